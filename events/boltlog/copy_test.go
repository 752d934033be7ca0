package boltlog_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/events/logtest"
)

// contents is everything a log can tell.
type contents struct {
	Meta     boltlog.Meta
	Head     events.Head
	Entries  []events.Entry
	Commands map[events.CommandID]events.CommandEntry
	Tasks    map[events.TaskID][]uint64
	Offsets  map[string]uint64
}

func read(t testing.TB, l *boltlog.Log) contents {
	t.Helper()
	c := contents{l.Meta(), l.Head(), nil, map[events.CommandID]events.CommandEntry{}, map[events.TaskID][]uint64{}, map[string]uint64{}}
	for {
		part, err := l.Read(t.Context(), uint64(len(c.Entries))+1, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		if len(part) == 0 {
			break
		}
		c.Entries = append(c.Entries, part...)
	}
	for _, e := range c.Entries {
		r, err := events.Decode(e.Record)
		if err != nil {
			t.Fatal(err)
		}
		if c.Commands[r.Cmd], _, err = l.Command(r.Cmd); err != nil {
			t.Fatal(err)
		}
	}
	for task := range events.TaskID(9) {
		for next := uint64(1); ; {
			part, err := l.ReadTask(t.Context(), task, next, 0, false)
			if err != nil {
				t.Fatal(err)
			}
			if len(part) == 0 {
				break
			}
			for _, e := range part {
				c.Tasks[task] = append(c.Tasks[task], e.Seq)
				next = e.Seq + 1
			}
		}
	}
	for _, s := range []string{"web", "mail", "chat"} {
		n, err := l.Offset(s)
		if err != nil {
			t.Fatal(err)
		}
		c.Offsets[s] = n
	}
	return c
}

// big makes a closed file in which commands straddle slices.
func big(t *testing.T) (path string, want contents) {
	t.Helper()
	path = newPath(t)
	l := create(t, path, nil)
	fill(t, l, 3, 990)
	fill(t, l, 50, 1000)
	for range 300 {
		fill(t, l, 1, 2)
	}
	_, err := l.Append(t.Context(), l.Head().Seq, []events.Commit{{Offsets: []events.Offset{{Subscriber: "web", Seq: 7}, {Subscriber: "mail", Seq: 900}}}})
	if err != nil {
		t.Fatal(err)
	}
	want = read(t, l)
	l.Close()
	return path, want
}

func TestCopyForward(t *testing.T) {
	src, want := big(t)
	dst := newPath(t)
	head, err := boltlog.CopyForward(t.Context(), src, dst)
	if err != nil || head != want.Head {
		t.Fatalf("got %v, %v, want %v", head, err, want.Head)
	}
	verify(t, dst)
	l := open(t, dst, nil)
	if got := read(t, l); !reflect.DeepEqual(got, want) {
		t.Error("the copy tells something else")
	}
	fill(t, l, 1)
	l.Close()
	a, _ := os.Stat(src)
	b, _ := os.Stat(dst)
	if b.Size() > a.Size() {
		t.Errorf("the copy has %d bytes, the original %d", b.Size(), a.Size())
	}
}

func TestCopyForwardRefuses(t *testing.T) {
	t.Parallel() // it waits for a lock
	for name, spoil := range map[string]func(string) error{
		"Record": edit("log", func(b *bbolt.Bucket) error {
			r := bytes.Clone(b.Get(key(5)))
			copy(r[32+24:], bytes.Replace(logtest.Commit(5, 1).Records[0].Record, []byte(`"kai"`), []byte(`"ida"`), 1))
			return b.Put(key(5), r)
		}),
		"Text": edit("log", func(b *bbolt.Bucket) error {
			r := bytes.Clone(b.Get(key(5)))
			r[len(r)-3] ^= 1
			return b.Put(key(5), r)
		}),
		"Gap":   edit("log", func(b *bbolt.Bucket) error { return b.Delete(key(5)) }),
		"Hash":  edit("log", func(b *bbolt.Bucket) error { return b.Put(key(5), append(make([]byte, 32), b.Get(key(5))[32:]...)) }),
		"Inner": edit("log", func(b *bbolt.Bucket) error { return b.Put(key(6), append(make([]byte, 64), b.Get(key(6))[64:]...)) }),
	} {
		src, dst := sample(t), newPath(t)
		if err := spoil(src); err != nil {
			t.Fatal(err)
		}
		if _, err := boltlog.CopyForward(t.Context(), src, dst); !errors.Is(err, events.ErrDamaged) {
			t.Errorf("%s: got %v, want events.ErrDamaged", name, err)
		}
		if _, err := os.Lstat(dst); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a failed copy left a file", name)
		}
	}
	src := sample(t)
	if _, err := boltlog.CopyForward(t.Context(), src, sample(t)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("onto a file: got %v, want fs.ErrExist", err)
	}
	l := open(t, src, nil)
	defer l.Close()
	if _, err := boltlog.CopyForward(t.Context(), src, newPath(t)); !errors.Is(err, boltlog.ErrLocked) {
		t.Errorf("of an open file: got %v, want ErrLocked", err)
	}
}

func TestRebuildIndexes(t *testing.T) {
	path, want := big(t)
	lost := logtest.CommandID(4)
	err := errors.Join(
		edit("cmd", func(b *bbolt.Bucket) error {
			return errors.Join(b.Delete(lost[:]), b.Put(make([]byte, 16), []byte("x")))
		})(path),
		edit("task", func(b *bbolt.Bucket) error {
			return errors.Join(b.Delete(append([]byte{0, 0, 0, 3}, key(3)...)), b.Put([]byte("odd"), nil))
		})(path))
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, path, nil)
	if err := l.RebuildIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := read(t, l); !reflect.DeepEqual(got, want) {
		t.Error("the log tells something else after rebuilding")
	}
	fill(t, l, 1)
	l.Close()
	verify(t, path)
}
