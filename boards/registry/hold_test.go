package registry

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
)

func TestHoldAndRelease(t *testing.T) {
	h := newHome(t)
	id := makeBoard(t, h, "acme", 3)
	held := hold(t, h, "Acme")
	if held.Board() != id || held.Slug() != "acme" || held.Unclean() {
		t.Errorf("got board %s %q, unclean %t", held.Board(), held.Slug(), held.Unclean())
	}
	if got := held.Anchored(); got != held.Log().Head() || got.Seq != 3 {
		t.Errorf("anchored: got %v, want the head %v", got, held.Log().Head())
	}
	if key, err := h.VerifierKey(id); key != held.VerifierKey() || key == "" || err != nil {
		t.Errorf("keys differ: %q, %q, %v", key, held.VerifierKey(), err)
	}
	fatal(t, held.Moved())
	fatal(t, held.Serving("/x.sock"))

	_, err := h.Hold(t.Context(), "acme", 0, nil)
	var heldErr *HeldError
	if !errors.As(err, &heldErr) {
		t.Fatalf("held twice: got %v, want a HeldError", err)
	}
	self := heldErr.Holder
	if self.PID != os.Getpid() || self.Version != "test" || self.Socket != "/x.sock" || !self.alive() {
		t.Errorf("holder: got %+v", self)
	}
	fatal(t, held.Release())
	fatal(t, held.Release())
	for _, err := range []error{held.Anchor(events.Head{}), held.Serving(""), held.Moved(), held.Delete(t.Context())} {
		if !errors.Is(err, ErrReleased) {
			t.Errorf("after Release: got %v, want ErrReleased", err)
		}
	}
	if got := readFile(t, h.Paths("acme").Lock); len(bytes.TrimSpace([]byte(got))) != 0 || len(got) != holderBytes {
		t.Errorf("lock after a clean release holds %q, want %d blanks", got, holderBytes)
	}
}

func TestHoldUnknownBoard(t *testing.T) {
	h := newHome(t)
	_, err := h.Hold(t.Context(), "nobody", 0, nil)
	var no *NoBoardError
	if !errors.Is(err, ErrNoBoard) || !errors.As(err, &no) || no.Slug != "nobody" {
		t.Errorf("got %v, want a NoBoardError", err)
	}
	var slugErr *SlugError
	if _, err := h.Hold(t.Context(), "../x", 0, nil); !errors.As(err, &slugErr) {
		t.Errorf("got %v, want a SlugError", err)
	}
	if exists(h.boards, "nobody") {
		t.Error("asking for a board made one")
	}
}

func TestHoldWaits(t *testing.T) {
	h := newHome(t)
	makeBoard(t, h, "acme", 1)
	first := hold(t, h, "acme")

	began := time.Now()
	var heldErr *HeldError
	if _, err := h.Hold(t.Context(), "acme", 60*time.Millisecond, nil); !errors.As(err, &heldErr) {
		t.Fatalf("got %v, want a HeldError", err)
	}
	if took := time.Since(began); took < 60*time.Millisecond {
		t.Errorf("gave up after %v, want at least 60 ms", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		_, err := h.Hold(ctx, "acme", -1, nil)
		result <- err
	}()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	go func() {
		second, err := h.Hold(t.Context(), "acme", -1, nil)
		if err == nil {
			err = second.Release()
		}
		result <- err
	}()
	fatal(t, first.Release())
	if err := <-result; err != nil {
		t.Errorf("after the release: %v", err)
	}
}

func TestOneHolderAtATime(t *testing.T) {
	h := newHome(t)
	makeBoard(t, h, "acme", 1)
	var holders, turns atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				held, err := h.Hold(t.Context(), "acme", -1, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d holders at once", n)
				}
				turns.Add(1)
				_, _ = h.List(t.Context())
				holders.Add(-1)
				if err := held.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := turns.Load(); got != 20 {
		t.Errorf("got %d turns, want 20", got)
	}
}

func TestProcessesTakeTurns(t *testing.T) {
	h := newHome(t)
	makeBoard(t, h, "acme", 1)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if out, err := child(t, "count", h, "acme", "8").Output(); err != nil {
				t.Errorf("child: %v %s", err, out)
			}
		})
	}
	wg.Wait()
	held := hold(t, h, "acme")
	if got := held.Log().Head().Seq; got != 25 || held.Unclean() {
		t.Errorf("got head %d, unclean %t, want 25 and clean", got, held.Unclean())
	}
}

func TestKilledHolderIsSeen(t *testing.T) {
	h := newHome(t)
	makeBoard(t, h, "acme", 2)
	cmd, _ := startHolder(t, h, "acme")
	_, err := h.Hold(t.Context(), "acme", 0, nil)
	var heldErr *HeldError
	if !errors.As(err, &heldErr) || heldErr.Holder.PID != cmd.Process.Pid || heldErr.Holder.Socket != "/somewhere.sock" {
		t.Fatalf("got %v, want held by %d", err, cmd.Process.Pid)
	}
	kill(t, cmd)

	verified := 0
	o := &HoldOptions{VerifyChild: func(_ context.Context, path string) error {
		verified++
		if path != h.Paths("acme").DB {
			t.Errorf("verifies %s", path)
		}
		return nil
	}}
	held, err := h.Hold(t.Context(), "acme", 0, o)
	fatal(t, err)
	if !held.Unclean() || verified != 1 {
		t.Errorf("after a kill: unclean %t, verified %d times, want true and 1", held.Unclean(), verified)
	}
	fatal(t, held.Release())
	held, err = h.Hold(t.Context(), "acme", 0, o)
	fatal(t, err)
	fatal(t, held.Release())
	if held.Unclean() || verified != 1 {
		t.Errorf("after a clean stop: unclean %t, verified %d times, want false and 1", held.Unclean(), verified)
	}
	o.Log.LongLived = true
	held, err = h.Hold(t.Context(), "acme", 0, o)
	fatal(t, err)
	fatal(t, held.Release())
	if verified != 2 {
		t.Errorf("a long-lived owner verified %d times, want always", verified-1)
	}
}

func TestHolderStopsCleanly(t *testing.T) {
	h := newHome(t)
	makeBoard(t, h, "acme", 2)
	cmd, in := startHolder(t, h, "acme")
	result := make(chan error)
	var held *Held
	go func() {
		var err error
		held, err = h.Hold(t.Context(), "acme", -1, nil)
		result <- err
	}()
	fatal(t, in.Close())
	fatal(t, cmd.Wait())
	fatal(t, <-result)
	if held.Unclean() {
		t.Error("a clean stop counts as unclean")
	}
	fatal(t, held.Release())
}

// A failed attempt must not wipe out that the stop before was unclean.
func TestFailedHoldKeepsUnclean(t *testing.T) {
	h := newHome(t)
	makeBoard(t, h, "acme", 2)
	cmd, _ := startHolder(t, h, "acme")
	kill(t, cmd)
	broken := errors.New("no child could be started")
	o := &HoldOptions{VerifyChild: func(context.Context, string) error { return broken }}
	if _, err := h.Hold(t.Context(), "acme", 0, o); !errors.Is(err, broken) {
		t.Fatalf("got %v, want %v", err, broken)
	}
	if held := hold(t, h, "acme"); !held.Unclean() {
		t.Error("the unclean stop was forgotten")
	}
}

func TestMoved(t *testing.T) {
	for name, move := range map[string]func(p Paths) error{
		"folder": func(p Paths) error { return os.Rename(p.Dir, p.Dir+"-away") },
		"lock": func(p Paths) error {
			return errors.Join(os.Remove(p.Lock), os.WriteFile(p.Lock, nil, 0o600))
		},
		"file": func(p Paths) error { return os.Rename(p.DB, filepath.Join(p.Dir, "away")) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			makeBoard(t, h, "acme", 1)
			held := hold(t, h, "acme")
			fatal(t, held.Moved())
			fatal(t, move(held.Paths()))
			if err := held.Moved(); !errors.Is(err, ErrMoved) {
				t.Errorf("got %v, want ErrMoved", err)
			}
		})
	}
}

// Somebody who only looks at the lock does not keep anybody from taking it.
func TestHoldOutwaitsALook(t *testing.T) {
	h := newHome(t)
	makeBoard(t, h, "acme", 1)
	look, err := tryLock(h.boards, "acme")
	fatal(t, err)
	time.AfterFunc(5*time.Millisecond, look.giveUp)
	hold(t, h, "acme")
}

// The folder may move between opening its lock and getting it.
func TestLockOfMovedFolder(t *testing.T) {
	h := newHome(t)
	makeBoard(t, h, "acme", 1)
	f, err := openLock(h.boards, "acme")
	fatal(t, err)
	defer f.Close()
	fatal(t, os.Rename(h.Paths("acme").Dir, h.Paths("shop").Dir))
	makeBoard(t, h, "other", 1)
	fatal(t, os.Rename(h.Paths("other").Dir, h.Paths("acme").Dir))
	l := &boardLock{boards: h.boards, name: "acme", file: f}
	if err := l.win(); !errors.As(err, new(*HeldError)) {
		t.Errorf("got %v, want to have to look again", err)
	}
}

func BenchmarkHoldRelease(b *testing.B) {
	h := newHome(b)
	makeBoard(b, h, "acme", 100)
	b.Run("hold", func(b *testing.B) {
		for b.Loop() {
			held, err := h.Hold(b.Context(), "acme", 0, nil)
			if err != nil {
				b.Fatal(err)
			}
			if err := held.Release(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("boltlog", func(b *testing.B) {
		for b.Loop() {
			log, err := boltlog.Open(h.Paths("acme").DB, nil)
			if err != nil {
				b.Fatal(err)
			}
			if err := log.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
