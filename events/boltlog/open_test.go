package boltlog_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
)

func TestCreate(t *testing.T) {
	path := newPath(t)
	l := create(t, path, nil)
	want := testMeta
	want.Needs = boltlog.Format
	if l.Meta() != want || l.Path() != path {
		t.Errorf("got %v at %s, want %v at %s", l.Meta(), l.Path(), want, path)
	}
	if _, err := boltlog.Create(path, testMeta, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create again: got %v, want fs.ErrExist", err)
	}
	fill(t, l, 2)
	l.Close()
	l = open(t, path, nil)
	if l.Meta() != want || l.Head().Seq != 2 {
		t.Errorf("opened: got %v, head %d", l.Meta(), l.Head().Seq)
	}
	l.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v, %v, want 0600", info.Mode(), err)
	}
	verify(t, path)
}

func TestOpenRefuses(t *testing.T) {
	for _, x := range []struct {
		name, code string
		spoil      func(path string) error
	}{
		{"Symlink", boltlog.NotRegular, func(p string) error {
			return errors.Join(os.Rename(p, p+".real"), os.Symlink(p+".real", p))
		}},
		{"Folder", boltlog.NotRegular, func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }},
		{"FIFO", boltlog.NotRegular, func(p string) error { return errors.Join(os.Remove(p), syscall.Mkfifo(p, 0o600)) }},
		{"HardLink", boltlog.Linked, func(p string) error { return os.Link(p, p+".2") }},
		{"Mode", boltlog.Mode, func(p string) error { return os.Chmod(p, 0o640) }},
		{"Empty", boltlog.Empty, func(p string) error { return os.Truncate(p, 0) }},
		{"OneByte", boltlog.Short, func(p string) error { return os.Truncate(p, 1) }},
		{"OnePage", boltlog.Short, func(p string) error { return os.Truncate(p, 4096) }},
		{"TwoPages", boltlog.Short, func(p string) error { return os.Truncate(p, 8192) }},
		{"ThreePages", boltlog.Short, func(p string) error { return os.Truncate(p, 3*4096) }},
		{"Garbage", boltlog.Damaged, func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte("garbage "), 8192), 0o600) }},
		{"NoMeta", boltlog.Damaged, dropBucket("meta")},
		{"NoLog", boltlog.Damaged, dropBucket("log")},
		{"NoCmd", boltlog.Damaged, dropBucket("cmd")},
		{"NoTask", boltlog.Damaged, dropBucket("task")},
		{"NoOffset", boltlog.Damaged, dropBucket("offset")},
		{"LastShort", boltlog.Damaged, edit("log", func(b *bbolt.Bucket) error { return b.Put(key(9), b.Get(key(9))[:32]) })},
		{"LastHash", boltlog.Damaged, edit("log", func(b *bbolt.Bucket) error { return b.Put(key(9), append(make([]byte, 32), b.Get(key(9))[32:]...)) })},
		{"LastRecord", boltlog.Damaged, edit("log", func(b *bbolt.Bucket) error { return b.Put(key(9), []byte("{}")) })},
		{"Meta", boltlog.Damaged, edit("meta", func(b *bbolt.Bucket) error { return b.Put([]byte("board"), []byte("{}1234")) })},
		{"OtherPageSize", boltlog.BadFormat, func(p string) error {
			db, err := bbolt.Open(p+".2", 0o600, &bbolt.Options{PageSize: 8192})
			return errors.Join(err, db.Close(), os.Rename(p+".2", p))
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			path := newPath(t)
			l := create(t, path, nil)
			fill(t, l, 3, 3, 3)
			l.Close()
			if err := x.spoil(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(path)
			for _, o := range []*boltlog.Options{nil, {ReadOnly: true}} {
				_, err := boltlog.Open(path, o)
				var refused *boltlog.RefusedError
				if !errors.As(err, &refused) || refused.Code != x.code || refused.Path != path {
					t.Fatalf("got %v, want a refusal with code %s", err, x.code)
				}
				inside := x.code == boltlog.Empty || x.code == boltlog.Short || x.code == boltlog.Damaged || x.code == boltlog.BadFormat
				if errors.Is(err, events.ErrDamaged) != inside {
					t.Errorf("%v matches events.ErrDamaged: %v, want %v", err, !inside, inside)
				}
			}
			if after, _ := os.Lstat(path); after.Size() != before.Size() {
				t.Errorf("the refused file was changed")
			}
			n := 0
			for range boltlog.Verify(t.Context(), path) {
				n++
			}
			if n == 0 {
				t.Error("verify found nothing")
			}
		})
	}
}

func TestOpenForeignOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving a file away needs root")
	}
	path := newPath(t)
	create(t, path, nil).Close()
	if err := os.Chown(path, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	var refused *boltlog.RefusedError
	if _, err := boltlog.Open(path, nil); !errors.As(err, &refused) || refused.Code != boltlog.Owner {
		t.Errorf("got %v, want a refusal with code owner", err)
	}
}

func TestOpenNeverCreates(t *testing.T) {
	path := newPath(t)
	if _, err := boltlog.Open(path, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after open: got %v, want fs.ErrNotExist", err)
	}
}

func TestOpenLocked(t *testing.T) {
	t.Parallel() // it waits
	path := newPath(t)
	l := create(t, path, nil)
	defer l.Close()
	start := time.Now()
	_, err := boltlog.Open(path, &boltlog.Options{Timeout: 1})
	if !errors.Is(err, boltlog.ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
	if d := time.Since(start); d < time.Second || d > 5*time.Second {
		t.Errorf("gave up after %v, want about 2 s", d)
	}
}

func TestReadOnly(t *testing.T) {
	path := newPath(t)
	l := create(t, path, nil)
	head := fill(t, l, 2)
	l.Close()
	a := open(t, path, &boltlog.Options{ReadOnly: true})
	b := open(t, path, &boltlog.Options{ReadOnly: true})
	if _, err := a.Append(t.Context(), 2, []events.Commit{{Offsets: []events.Offset{{Subscriber: "web", Seq: 1}}}}); err == nil || errors.Is(err, events.ErrUnknownCommit) {
		t.Errorf("append: got %v, want a definite error", err)
	}
	if got, err := b.Read(t.Context(), 1, 0, false); len(got) != 2 || err != nil || a.Head() != head {
		t.Errorf("got %d entries, %v", len(got), err)
	}
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Error(err)
	}
}

func TestCheckFile(t *testing.T) {
	path := newPath(t)
	l := create(t, path, nil)
	defer l.Close()
	if err := l.CheckFile(); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "board.db")
	create(t, other, nil).Close()
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	var refused *boltlog.RefusedError
	if err := l.CheckFile(); !errors.As(err, &refused) {
		t.Errorf("another file: got %v, want a refusal", err)
	}
	os.Remove(path)
	if err := l.CheckFile(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v, want fs.ErrNotExist", err)
	}
}

func key(seq byte) []byte { return []byte{0, 0, 0, 0, 0, 0, 0, seq} }

// edit changes a bucket behind the log's back.
func edit(bucket string, change func(*bbolt.Bucket) error) func(path string) error {
	return func(path string) error {
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			return err
		}
		err = db.Update(func(tx *bbolt.Tx) error { return change(tx.Bucket([]byte(bucket))) })
		return errors.Join(err, db.Close())
	}
}

func dropBucket(name string) func(path string) error {
	return func(path string) error {
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			return err
		}
		err = db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(name)) })
		return errors.Join(err, db.Close())
	}
}
