package boltlog_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/events/logtest"
)

func TestAppendRefusesSameCommand(t *testing.T) {
	path := newPath(t)
	l := create(t, path, nil)
	head := fill(t, l, 2)
	again := logtest.Commit(3, 1)
	again.ID = logtest.CommandID(1)
	for name, batch := range map[string][]events.Commit{
		"InLog":   {again},
		"InBatch": {logtest.Commit(3, 1), logtest.Commit(4, 1), func() events.Commit { c := logtest.Commit(5, 1); c.ID = logtest.CommandID(3); return c }()},
	} {
		_, err := l.Append(t.Context(), 2, batch)
		if err == nil || errors.Is(err, events.ErrUnknownCommit) {
			t.Errorf("%s: got %v, want a definite error", name, err)
		}
		if l.Head() != head {
			t.Errorf("%s: head %v, want %v", name, l.Head(), head)
		}
	}
	fill(t, l, 1)
	l.Close()
	verify(t, path)
}

// Until the quota is reached everything is taken, then nothing, and the file
// stays what it was.
func TestQuota(t *testing.T) {
	const quota = 4 << 20
	for _, longLived := range []bool{false, true} {
		path := newPath(t)
		o := &boltlog.Options{MaxBytes: quota, LongLived: longLived}
		l := create(t, path, o)
		warned := false
		var err error
		var full events.Head
		for n := 0; err == nil && n < 10_000; n++ {
			full = l.Head()
			_, err = l.Append(t.Context(), full.Seq, []events.Commit{logtest.Commit(full.Seq+1, 20)})
			u, uerr := l.Usage()
			if uerr != nil {
				t.Fatal(uerr)
			}
			if u.UsedBytes > u.MaxBytes || u.MaxBytes != quota || u.FileBytes > quota {
				t.Fatalf("usage %+v is over the quota", u)
			}
			warned = warned || u.StopIntake() != ""
		}
		if !errors.Is(err, events.ErrFull) || errors.Is(err, events.ErrUnknownCommit) {
			t.Fatalf("got %v, want events.ErrFull alone", err)
		}
		if !warned {
			t.Error("the log was full before StopIntake said anything")
		}
		for range 3 {
			if _, err := l.Append(t.Context(), full.Seq, []events.Commit{logtest.Commit(full.Seq+1, 500)}); !errors.Is(err, events.ErrFull) {
				t.Errorf("again: got %v, want events.ErrFull", err)
			}
		}
		if l.Head() != full {
			t.Errorf("head: got %v, want %v", l.Head(), full)
		}
		if root, err := l.RootAt(full.Seq); root != full.Root || err != nil {
			t.Errorf("root: got %v, %v, want %v", root, err, full.Root)
		}
		if err := l.Close(); err != nil {
			t.Errorf("close when full: %v", err)
		}
		verify(t, path)
		l = open(t, path, o) // a full board can be opened, …
		if l.Head() != full {
			t.Errorf("head after opening: got %v, want %v", l.Head(), full)
		}
		l.Close()
		l = open(t, path, nil) // … and goes on with a larger quota
		fill(t, l, 100)
		l.Close()
		verify(t, path)
	}
}

func TestStopIntake(t *testing.T) {
	for _, x := range []struct {
		u    boltlog.Usage
		stop bool
	}{
		{boltlog.Usage{UsedBytes: 89 << 20, MaxBytes: 100 << 20, DiskFree: 50, DiskTotal: 100}, false},
		{boltlog.Usage{UsedBytes: 90 << 20, MaxBytes: 100 << 20, DiskFree: 50, DiskTotal: 100}, true},
		{boltlog.Usage{UsedBytes: 90 << 20, DiskFree: 5, DiskTotal: 100}, false},
		{boltlog.Usage{DiskFree: 4, DiskTotal: 100}, true},
	} {
		if got := x.u.StopIntake(); (got != "") != x.stop {
			t.Errorf("%+v: got %q, want a reason: %v", x.u, got, x.stop)
		}
	}
}

func TestBallast(t *testing.T) {
	path := newPath(t)
	l := create(t, path, nil)
	defer l.Close()
	if dropped, err := l.DropBallast(); dropped || err != nil {
		t.Errorf("drop nothing: got %v, %v", dropped, err)
	}
	for range 2 {
		for range 2 {
			if err := l.MakeBallast(); err != nil {
				t.Fatal(err)
			}
		}
		info, err := os.Stat(filepath.Join(filepath.Dir(path), boltlog.BallastName))
		if err != nil || info.Size() != boltlog.BallastBytes {
			t.Fatalf("ballast: %v, %v", info, err)
		}
		if dropped, err := l.DropBallast(); !dropped || err != nil {
			t.Errorf("drop: got %v, %v", dropped, err)
		}
	}
}

func TestRootAt(t *testing.T) {
	l := create(t, newPath(t), nil)
	defer l.Close()
	heads := []events.Head{l.Head()}
	for range 70 {
		heads = append(heads, fill(t, l, 1))
	}
	for _, h := range heads {
		if root, err := l.RootAt(h.Seq); root != h.Root || err != nil {
			t.Errorf("root at %d: got %v, %v, want %v", h.Seq, root, err, h.Root)
		}
	}
	if _, err := l.RootAt(71); err == nil {
		t.Error("root beyond the head: got nil error")
	}
	proof, err := events.ProveGrowth(70, 33, l)
	if err == nil {
		err = events.CheckGrowth(proof, heads[70], heads[33])
	}
	if err != nil {
		t.Errorf("proof of growth: %v", err)
	}
}
