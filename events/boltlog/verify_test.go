package boltlog_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/events/logtest"
)

// Each way to damage a file is seen by the check that is meant to see it.
func TestVerifyFinds(t *testing.T) {
	flip := func(b *bbolt.Bucket, key []byte, at int) error {
		v := bytes.Clone(b.Get(key))
		v[at] ^= 1
		return b.Put(key, v)
	}
	id := logtest.CommandID(4)
	for _, x := range []struct {
		name, bucket, want string
		change             func(*bbolt.Bucket) error
	}{
		{"Record", "log", "record 5: ", func(b *bbolt.Bucket) error { return flip(b, key(5), 32+24+20) }},
		{"RecordReplaced", "log", "record 5: does not match its stored hash", func(b *bbolt.Bucket) error {
			r := bytes.Clone(b.Get(key(5)))
			copy(r[32+24:], bytes.Replace(logtest.Commit(5, 1).Records[0].Record, []byte(`"kai"`), []byte(`"ida"`), 1))
			return b.Put(key(5), r)
		}},
		{"RecordsSwapped", "log", "record 5: says that it is record 3", func(b *bbolt.Bucket) error {
			three, five := bytes.Clone(b.Get(key(3))), bytes.Clone(b.Get(key(5)))
			return errors.Join(b.Put(key(3), append(three[:32+24:32+24], five[32+24:]...)), b.Put(key(5), append(five[:32+24:32+24], three[32+24:]...)))
		}},
		{"RecordSpaced", "log", "record 5: log damaged", func(b *bbolt.Bucket) error {
			r := bytes.Clone(b.Get(key(5)))
			r[bytes.IndexByte(r[32+24:], ',')+32+24] = ' '
			return b.Put(key(5), r)
		}},
		{"RecordMissing", "log", "record 5: missing", func(b *bbolt.Bucket) error { return b.Delete(key(5)) }},
		{"RecordZero", "log", "bucket log has 10 entries", func(b *bbolt.Bucket) error { return b.Put(key(0), []byte("x")) }},
		{"Text", "log", "record 5: log damaged: the text hashes to", func(b *bbolt.Bucket) error { return flip(b, key(5), len(b.Get(key(5)))-3) }},
		{"TextLost", "log", "record 5: log damaged: the text is missing", func(b *bbolt.Bucket) error {
			e := logtest.Commit(5, 1).Records[0]
			return b.Put(key(5), bytes.TrimSuffix(b.Get(key(5)), e.Text))
		}},
		{"TextStray", "log", "record 6: log damaged: the text hashes to", func(b *bbolt.Bucket) error { return b.Put(key(6), append(bytes.Clone(b.Get(key(6))), "{}"...)) }},
		{"TombstoneOther", "log", "record 5: log damaged: the text hashes to", func(b *bbolt.Bucket) error {
			e := logtest.Commit(5, 1).Records[0]
			return b.Put(key(5), append(bytes.Clone(bytes.TrimSuffix(b.Get(key(5)), e.Text)), 1, 2, 3, 4))
		}},
		{"Check", "log", "record 5: its row of", func(b *bbolt.Bucket) error { return flip(b, key(5), 32) }},
		{"RecordSize", "log", "record 5: its row of", func(b *bbolt.Bucket) error { return flip(b, key(5), 32+19) }},
		{"LogEndsEarly", "log", "meta does not say up to where the records are indexed", func(b *bbolt.Bucket) error { return b.Delete(key(9)) }},
		{"Leaf", "log", "does not match its stored hash", func(b *bbolt.Bucket) error { return flip(b, key(4), 0) }},
		{"Inner", "log", "record 4: the stored hash of level 1 does not follow", func(b *bbolt.Bucket) error { return flip(b, key(4), 63) }},
		{"RowShort", "log", "record 5: its row of 32 bytes is damaged", func(b *bbolt.Bucket) error { return b.Put(key(5), b.Get(key(5))[:32]) }},
		{"RowStray", "log", "last key of the log", func(b *bbolt.Bucket) error { return b.Put([]byte("odd"), key(1)) }},
		{"CmdMissing", "cmd", "record 4: the index does not say", func(b *bbolt.Bucket) error { return b.Delete(id[:]) }},
		{"CmdFirst", "cmd", "record 4: the index does not say", func(b *bbolt.Bucket) error { return flip(b, id[:], 7) }},
		{"CmdCount", "cmd", "record 4: the index does not say", func(b *bbolt.Bucket) error { return flip(b, id[:], 11) }},
		{"CmdStray", "cmd", "bucket cmd has 4 entries, 3 follow", func(b *bbolt.Bucket) error { return b.Put(make([]byte, 16), b.Get(id[:])) }},
		{"TaskMissing", "task", "record 3: is not in the index of task t3", func(b *bbolt.Bucket) error {
			return b.Delete(append([]byte{0, 0, 0, 3}, key(3)...))
		}},
		{"TaskStray", "task", "bucket task has 9 entries, 8 follow", func(b *bbolt.Bucket) error {
			return b.Put(append([]byte{0, 0, 0, 3}, key(4)...), nil)
		}},
		{"Offset", "offset", `offset of "web" does not match its checksum`, func(b *bbolt.Bucket) error { return flip(b, []byte("web"), 7) }},
		{"OffsetLost", "offset", "offsets of 0 subscribers, meta speaks of 1", func(b *bbolt.Bucket) error { return b.Delete([]byte("web")) }},
		{"Indexed", "meta", "up to where the records are indexed", func(b *bbolt.Bucket) error { return flip(b, []byte("indexed"), 7) }},
		{"MetaStray", "meta", `meta has an unknown key "x"`, func(b *bbolt.Bucket) error { return b.Put([]byte("x"), []byte("y")) }},
		{"BucketStray", "meta", `unknown bucket "x"`, func(b *bbolt.Bucket) error {
			_, err := b.Tx().CreateBucket([]byte("x"))
			return err
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			path := sample(t)
			if err := edit(x.bucket, x.change)(path); err != nil {
				t.Fatal(err)
			}
			var all []string
			for p := range boltlog.Verify(t.Context(), path) {
				all = append(all, p.String())
			}
			if got := strings.Join(all, "\n"); !strings.Contains(got, x.want) {
				t.Errorf("got problems %q, want one with %q", got, x.want)
			}
		})
	}
}

// sample makes a closed file of three commands with three records each.
func sample(t *testing.T) string {
	t.Helper()
	path := newPath(t)
	l := create(t, path, nil)
	fill(t, l, 3, 3, 3)
	if _, err := l.Append(t.Context(), 9, []events.Commit{{Offsets: []events.Offset{{Subscriber: "web", Seq: 2}}}}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	verify(t, path)
	return path
}

func TestVerifyMetaPage(t *testing.T) {
	for page := range int64(2) {
		path := sample(t)
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{0xff}, page*4096+16+50); err != nil {
			t.Fatal(err)
		}
		f.Close()
		found := false
		for p := range boltlog.Verify(t.Context(), path) {
			found = found || strings.Contains(p.What, "meta pages is damaged")
		}
		if !found {
			t.Errorf("meta page %d damaged: not found", page)
		}
	}
}

func TestVerifyOpenLog(t *testing.T) {
	l := create(t, newPath(t), &boltlog.Options{LongLived: true})
	defer l.Close()
	for range 9 {
		fill(t, l, 1000)
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // goes on appending meanwhile
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				head := l.Head().Seq
				if _, err := l.Append(context.Background(), head, []events.Commit{logtest.Commit(head+1, 3)}); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	for range 3 {
		for p := range l.Verify(t.Context()) {
			t.Errorf("verify: %s", p)
		}
	}
	close(stop)
	<-done
}

// A check that did not come to its end must not look like a clean one.
func TestVerifyUnfinished(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, path := range map[string]string{"Cancelled": sample(t), "NoFile": filepath.Join(t.TempDir(), "board.db")} {
		n := 0
		for p := range boltlog.Verify(ctx, path) {
			n++
			if p.Err == nil {
				t.Errorf("%s: %s has no error", name, p)
			}
		}
		if n == 0 {
			t.Errorf("%s: no problem", name)
		}
	}
	for range boltlog.Verify(t.Context(), sample(t)) {
		t.Error("a problem in a good file")
	}
}

// A text that was erased is no damage.
func TestErasedText(t *testing.T) {
	path := sample(t)
	l := open(t, path, nil)
	if err := l.EraseText(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	if err := l.EraseText(t.Context(), 6); err == nil {
		t.Error("erasing a text that never was: got nil error")
	}
	texts, err := l.Texts(t.Context(), []uint64{3, 5})
	if err != nil || texts[0] == nil || texts[1] != nil {
		t.Errorf("texts: got %q, %v, want one and nil", texts, err)
	}
	got, err := l.Read(t.Context(), 5, 1, true)
	if err != nil || len(got) != 1 || got[0].Text != nil || got[0].Record == nil {
		t.Errorf("entry: got %v, %v, want no text", got, err)
	}
	l.Close()
	verify(t, path)
	dst := newPath(t)
	if _, err := boltlog.CopyForward(t.Context(), path, dst); err != nil {
		t.Fatal(err)
	}
	verify(t, dst)
	b, err := os.ReadFile(dst)
	if err != nil || bytes.Contains(b, []byte("had to say about 5.")) || !bytes.Contains(b, []byte("had to say about 3.")) {
		t.Errorf("the copy still holds the erased text, or lost another (%v)", err)
	}
}
