package boltlog

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/logtest"
)

func TestOpenNewer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "board.db")
	l, err := Create(path, Meta{Slug: "eng"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	value, err := encodeMeta(Meta{Slug: "eng", Needs: Format + 1})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyBoard, value) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = Open(path, nil)
	var newer *NewerError
	if !errors.As(err, &newer) || newer.Needs != Format+1 || newer.Have != Format || errors.Is(err, events.ErrDamaged) {
		t.Errorf("got %v, want a NewerError", err)
	}
	if _, err := Create(path+".2", Meta{Needs: Format + 1}, nil); !errors.As(err, &newer) {
		t.Errorf("create: got %v, want a NewerError", err)
	}
	if _, err := os.Lstat(path + ".2"); err == nil {
		t.Error("a failed Create left a file")
	}
}

func TestUsable(t *testing.T) {
	const m = 1 << 20
	for _, x := range []struct{ quota, want int64 }{
		{0, 0}, {m, m}, {m + 1, m}, {10 * m, 8 * m}, {16 * m, 16 * m}, {31 * m, 16 * m}, {32 * m, 16 * m}, {100 * m, 84 * m},
	} {
		if got := usable(x.quota); got != x.want {
			t.Errorf("usable(%d): got %d, want %d", x.quota, got, x.want)
		}
	}
}

// A long-lived log keeps its list of free pages in memory. It must be on disk
// after Close, and its absence after a crash must do no harm.
func TestFreelist(t *testing.T) {
	path := filepath.Join(t.TempDir(), "board.db")
	l, err := Create(path, Meta{Slug: "eng"}, &Options{LongLived: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		appendOne(t, l)
	}
	if synced(t, path) {
		t.Error("the free list is on disk while the log is open, want it in memory")
	}
	crashed := filepath.Join(t.TempDir(), "board.db")
	copyFile(t, path, crashed)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if !synced(t, path) {
		t.Error("the free list is not on disk after Close")
	}
	if synced(t, crashed) {
		t.Fatal("the copy has a free list, so it shows nothing")
	}
	for _, path := range []string{path, crashed} {
		l, err := Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if l.Head().Seq != 50 {
			t.Errorf("head: got %d, want 50", l.Head().Seq)
		}
		appendOne(t, l)
		l.Close()
		if !synced(t, path) {
			t.Error("a short-lived log left no free list on disk")
		}
		for p := range Verify(t.Context(), path) {
			t.Errorf("verify: %s", p)
		}
	}
}

func appendOne(t *testing.T, l *Log) {
	t.Helper()
	seq := l.Head().Seq
	if _, err := l.Append(t.Context(), seq, []events.Commit{logtest.Commit(seq+1, 1)}); err != nil {
		t.Fatal(err)
	}
}

func synced(t *testing.T, path string) bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pages, err := readMetaPages(f)
	m, ok := pages.best()
	if err != nil || !ok {
		t.Fatalf("meta pages: %v, %v", ok, err)
	}
	return m.freelist != noFreelist
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	a, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := io.Copy(b, a); err != nil {
		t.Fatal(err)
	}
}

// Whatever bit is flipped, walking the pages ends, quickly and by itself.
func TestWalkPagesSurvives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "board.db")
	l, err := Create(path, Meta{Slug: "eng"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 60 { // enough for branch pages and free pages
		appendOne(t, l)
	}
	l.Close()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if found, err := walkPages(f); len(found) != 0 || err != nil {
		t.Fatalf("undamaged: got %q, %v", found, err)
	}
	info, _ := f.Stat()
	found := 0
	for page := range info.Size() / pageSize {
		for at := range int64(48) { // headers and the first elements, all bits
			for bit := range 8 {
				off := page*pageSize + at
				var b [1]byte
				f.ReadAt(b[:], off)
				f.WriteAt([]byte{b[0] ^ 1<<bit}, off)
				if bad, err := walkPages(f); len(bad) > 0 || err != nil {
					found++
				}
				f.WriteAt(b[:], off)
			}
		}
	}
	if found == 0 {
		t.Error("no flipped bit was found")
	}
}

// bbolt shows a commit while its last fdatasync is still running. We do not,
// until it has succeeded.
func TestReadersSeeOnlyWhatIsDurable(t *testing.T) {
	l, err := Create(filepath.Join(t.TempDir(), "board.db"), Meta{Slug: "eng"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	appendOne(t, l)
	before := l.Head()
	c := logtest.Commit(2, 8)
	c.Offsets = []events.Offset{{Subscriber: "web", Seq: 1}}
	next, later := l.frontier, &tail{after: 1}
	err = l.commit(func(tx *bbolt.Tx) error {
		return errors.Join(l.put(tx, &next, later, []events.Commit{c}, extent{records: 8, offsets: 1}), later.put(tx), putIndexed(tx, 9))
	})
	if err != nil {
		t.Fatal(err)
	}
	look := func() (seen int) {
		t.Helper()
		entries, err1 := l.Read(t.Context(), 1, 0, true)
		task, err2 := l.ReadTask(t.Context(), 3, 1, 0, false)
		texts, err3 := l.Texts(t.Context(), []uint64{3})
		_, found, err4 := l.Command(c.ID)
		offset, err5 := l.Offset("web")
		if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
			t.Fatal(err)
		}
		if _, err := l.RootAt(9); err == nil {
			seen++
		}
		if found {
			seen++
		}
		if texts[0] != nil {
			seen++
		}
		return seen + len(entries) - 1 + len(task) + int(offset)
	}
	if seen := look(); seen != 0 || l.Head() != before {
		t.Errorf("while the commit was running a reader saw %d things of it", seen)
	}
	l.frontier = next
	l.advance([]events.Commit{c}, later, true)
	if seen := look(); seen != 3+8+1+1 {
		t.Errorf("after the commit a reader saw %d things of it, want 13", seen)
	}
}

// A panic on the way to the disk leaves the outcome open and bbolt's locks
// perhaps held; Close must come back and free the file all the same.
func TestPanicWhileWriting(t *testing.T) {
	for name, fn := range map[string]func(*bbolt.Tx) error{
		"InTransaction": func(*bbolt.Tx) error { panic("boom") },
		"InCommit": func(tx *bbolt.Tx) error {
			tx.OnCommit(func() { panic("boom") })
			return nil
		},
	} {
		path := filepath.Join(t.TempDir(), "board.db")
		l, err := Create(path, Meta{Slug: "eng"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		appendOne(t, l)
		if err := l.commit(fn); !errors.Is(err, events.ErrUnknownCommit) {
			t.Errorf("%s: got %v, want events.ErrUnknownCommit", name, err)
		}
		if _, err := l.Read(t.Context(), 1, 0, false); !errors.Is(err, events.ErrUnknownCommit) || !errors.Is(err, events.ErrClosed) {
			t.Errorf("%s: read: got %v, want ErrUnknownCommit and ErrClosed", name, err)
		}
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
		l, err = Open(path, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		appendOne(t, l)
		l.Close()
	}
}
