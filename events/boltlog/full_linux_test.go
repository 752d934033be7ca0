package boltlog_test

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/events/logtest"
)

// On a file system that is really full, appends are refused, the ballast makes
// room for a few more, and nothing is lost.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Skipf("mounting a small file system: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	path := filepath.Join(dir, "board.db")
	l := create(t, path, &boltlog.Options{LongLived: true})
	if err := l.MakeBallast(); err != nil {
		t.Fatal(err)
	}
	toTheBrim := func() (records uint64) {
		t.Helper()
		start := l.Head().Seq
		for n := 100; n > 0; {
			head := l.Head()
			_, err := l.Append(t.Context(), head.Seq, []events.Commit{logtest.Commit(head.Seq+1, n)})
			if err != nil {
				if !errors.Is(err, events.ErrFull) || errors.Is(err, events.ErrUnknownCommit) || l.Head() != head {
					t.Fatalf("got %v, want events.ErrFull alone", err)
				}
				n /= 10
			}
		}
		return l.Head().Seq - start
	}
	first := toTheBrim()
	u, err := l.Usage()
	if err != nil || u.StopIntake() == "" {
		t.Errorf("usage %+v, %v gives no reason to stop", u, err)
	}
	if dropped, err := l.DropBallast(); !dropped || err != nil {
		t.Fatalf("drop: got %v, %v", dropped, err)
	}
	second := toTheBrim()
	if first == 0 || second < 100 {
		t.Errorf("got %d records, and %d with the ballast gone, want some and at least 100", first, second)
	}
	if err := l.MakeBallast(); !errors.Is(err, events.ErrFull) {
		t.Errorf("ballast on a full disk: got %v, want events.ErrFull", err)
	}
	head := l.Head()
	if err := l.Close(); err != nil {
		t.Errorf("close on a full disk: %v", err)
	}
	verify(t, path)
	l = open(t, path, nil)
	defer l.Close()
	if l.Head() != head {
		t.Errorf("head: got %v, want %v", l.Head(), head)
	}
}
