package owner

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/projections"
)

var allCards = projections.ListQuery{Tasks: []events.TaskID{}}

func TestFollowersSeeEveryEventOnceInOrder(t *testing.T) {
	s := newTestStore(t, boltlog.Options{})
	o := run(t, s, Options{})
	const writers, each = 16, 40
	last := uint64(2 + writers*each)
	enough := errors.New("enough")
	var wait sync.WaitGroup
	for i := range 8 {
		from := uint64(rand.IntN(200)) * uint64(i%4)
		wait.Go(func() {
			next := max(from, 1)
			err := o.Follow(t.Context(), from, func(e events.Entry) error {
				if e.Seq != next {
					return fmt.Errorf("got %d, want %d", e.Seq, next)
				}
				o.View(func(v *projections.View) {
					if v.Head() < e.Seq {
						t.Error("got an event before the view has it")
					}
				})
				if next++; e.Seq == last {
					return enough
				}
				return nil
			})
			if err != enough {
				t.Errorf("from %d: %v", from, err)
			}
		})
	}
	for range writers {
		wait.Go(func() {
			for range each {
				if _, err := o.Do(t.Context(), kai, NewCommandID(), create("x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	checkFold(t, s, o)
}

func TestFollowEndsWithItsContextAndWithTheOwner(t *testing.T) {
	s := newTestStore(t, boltlog.Options{})
	o := run(t, s, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	err := o.Follow(ctx, 2, func(events.Entry) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	seen, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- o.Follow(t.Context(), 2, func(events.Entry) error { close(seen); return nil })
	}()
	<-seen
	closeOwner(t, o)
	if err := <-ended; err == nil {
		t.Error("got nil from Follow after Close, want an error")
	}
}

func TestWakeIsCoalesced(t *testing.T) {
	s := newTestStore(t, boltlog.Options{})
	o := run(t, s, Options{})
	wake, drop := o.Wake()
	do(t, o, kai, create("one"))
	do(t, o, kai, create("two"))
	o.Close() // the writer has rung by then
	if len(wake) != 1 {
		t.Errorf("got %d signals, want 1", len(wake))
	}
	drop()
	if len(o.wakes.subs) != 0 {
		t.Errorf("got %d subscribers, want none", len(o.wakes.subs))
	}
}

func TestCloseWhileBusy(t *testing.T) {
	s := newTestStore(t, boltlog.Options{})
	o := run(t, s, Options{})
	var mu sync.Mutex
	acked := map[events.CommandID]bool{}
	var wait sync.WaitGroup
	started := make(chan struct{}, 1000)
	for range 32 {
		wait.Go(func() {
			for {
				id := NewCommandID()
				if _, err := o.Do(t.Context(), kai, id, create("x")); err != nil {
					if codeOf(err) != "board_busy" {
						t.Errorf("got %v, want board_busy", err)
					}
					return
				}
				mu.Lock()
				acked[id] = true
				mu.Unlock()
				select {
				case started <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 200 {
		<-started
	}
	closeOwner(t, o)
	wait.Wait()
	n := perCommand(checkFold(t, s, o))
	for id := range acked {
		if n[id] != 1 {
			t.Errorf("acknowledged command %s has %d records, want 1", id, n[id])
		}
	}
	if s.anchored != o.head {
		t.Errorf("got %v signed, want the head %v", s.anchored.Seq, o.head.Seq)
	}
	if err := o.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := o.Run(t.Context()); err == nil {
		t.Error("got nil from Run after Close, want an error")
	}
}

func TestSnapshotAndTailIsTheWholeFold(t *testing.T) {
	s := newTestStore(t, boltlog.Options{})
	o := run(t, s, Options{})
	fill := func(o *Owner, n int) {
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				for i := range n / 24 {
					if err := life(t.Context(), o, rand.Int64()); err != nil {
						t.Errorf("%d: %v", i, err)
					}
				}
			})
		}
		wait.Wait()
	}
	fill(o, snapshotAtClose+48)
	checkFold(t, s, o)
	if len(s.snaps) != 2 {
		t.Fatalf("got %d snapshots, want 2", len(s.snaps))
	}
	s.again()
	o = run(t, s, Options{})
	if o.saved != o.head.Seq {
		t.Errorf("got a tail of %d events, want none", o.head.Seq-o.saved)
	}
	fill(o, 240)
	checkFold(t, s, o) // too few for another snapshot
	s.again()
	o = run(t, s, Options{})
	if tail := o.head.Seq - o.saved; tail == 0 || tail > 1000 {
		t.Errorf("got a tail of %d events, want a few hundred", tail)
	}
	checkFold(t, s, o)
	// Damaged ones are dropped.
	s.snaps[rulesName] = testSnapshot{rulesVersion, []byte("x")}
	s.snaps[projections.SnapshotName] = testSnapshot{projections.SnapshotVersion, nil}
	s.again()
	checkFold(t, s, run(t, s, Options{}))
}

func TestSnapshotsAreSavedWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestStore(t, boltlog.Options{})
		o := run(t, s, Options{})
		do(t, o, kai, create("one"))
		o.snapshot(t.Context())
		do(t, o, kai, create("two"))
		if len(s.snaps) != 2 || o.lastSaved() != 3 {
			t.Errorf("got %d snapshots at %d, want 2 at 3", len(s.snaps), o.lastSaved())
		}
		checkFold(t, s, o)
	})
}

func TestHeadIsSignedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestStore(t, boltlog.Options{})
		o := run(t, s, Options{})
		r := do(t, o, kai, create("one"))
		if got := s.Anchored().Seq; got != 0 {
			t.Errorf("got %d signed at once, want none", got)
		}
		time.Sleep(keepEvery + time.Millisecond)
		synctest.Wait()
		if got := s.Anchored().Seq; got != r.Last {
			t.Errorf("got %d signed after a second, want %d", got, r.Last)
		}
		closeOwner(t, o)
	})
}

func TestOffsets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestStore(t, boltlog.Options{})
		o := run(t, s, Options{})
		o.SaveOffset(t.Context(), "telegram", 1)
		o.SaveOffset(t.Context(), "telegram", 2)
		if got, err := o.Offset(t.Context(), "telegram"); err != nil || got != 2 {
			t.Errorf("got %d, %v, want 2 before it is saved", got, err)
		}
		time.Sleep(keepEvery + time.Millisecond)
		synctest.Wait()
		if got, err := s.Log().Offset("telegram"); err != nil || got != 2 {
			t.Errorf("got %d, %v saved after a second, want 2", got, err)
		}
		o.SaveOffset(t.Context(), "telegram", 3)
		do(t, o, kai, create("one"))
		if got, err := s.Log().Offset("telegram"); err != nil || got != 3 {
			t.Errorf("got %d, %v saved with the next command, want 3", got, err)
		}
		o.SaveOffset(t.Context(), "webhook", 1)
		closeOwner(t, o)
		s.again()
		if got, err := s.log.Offset("webhook"); err != nil || got != 1 {
			t.Errorf("got %d, %v saved at Close, want 1", got, err)
		}
		s.log.Close()
	})
}

func TestNothingGrows(t *testing.T) {
	s := newTestStore(t, boltlog.Options{})
	o := run(t, s, Options{})
	commands := 10_000
	if testing.Short() {
		commands = 1000
	}
	var files, goroutines int
	for round := range 2 {
		var wait sync.WaitGroup
		for range 50 {
			wait.Go(func() {
				for i := range commands / 50 {
					if _, err := o.Do(t.Context(), kai, NewCommandID(), create("x")); err != nil {
						t.Errorf("%d: %v", i, err)
					}
				}
			})
		}
		wait.Wait()
		if round == 0 {
			files, goroutines = openFiles(t), runtime.NumGoroutine()
			continue
		}
		if got := openFiles(t); got > files {
			t.Errorf("got %d open files, %d before", got, files)
		}
		for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines; runtime.Gosched() { // one may be ending
			if time.Now().After(end) {
				t.Fatalf("got %d goroutines, %d before", runtime.NumGoroutine(), goroutines)
			}
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("needs /proc: %v", err)
	}
	return len(list)
}

// A command that was committed after its sender had looked is found, and the
// log is asked for it only where the last batch cannot tell.
func TestLookup(t *testing.T) {
	s := newTestStore(t, boltlog.Options{})
	log := &askedLog{Log: s.log}
	s.log = log
	o, err := newOwner(s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := o.writer
	start := w.head.Seq
	commit := func() events.CommandID {
		t.Helper()
		p := &pending{by: kai, id: NewCommandID(), c: create("x"), seen: w.head.Seq, answer: make(chan answer, 1)}
		w.rest = append(w.rest, p)
		if err := w.commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if a := <-p.answer; a.err != nil {
			t.Fatal(a.err)
		}
		return p.id
	}
	look := func(what string, id events.CommandID, seen uint64, wantFound, wantAsked bool) {
		t.Helper()
		before := log.asked
		entry, found, err := w.lookup(&pending{id: id, seen: seen})
		if err != nil || found != wantFound || found != (entry.Count > 0) || log.asked > before != wantAsked {
			t.Errorf("%s: got %+v, %v, %v and %d questions, want found: %v, asked: %v", what, entry, found, err, log.asked-before, wantFound, wantAsked)
		}
	}
	one := commit()
	look("of the last batch", one, start, true, false)
	look("new", NewCommandID(), start, false, false)
	between := w.head.Seq
	two := commit()
	look("of the batch before", one, start, true, true)
	look("of the last batch", two, between, true, false)
	look("of the last batch, looked for long ago", two, start, true, false)
	look("new", NewCommandID(), between, false, false)
	look("new, looked for long ago", NewCommandID(), start, false, true)
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

// askedLog counts how often it was asked for a command. One goroutine.
type askedLog struct {
	events.Log
	asked int
}

func (l *askedLog) Command(id events.CommandID) (events.CommandEntry, bool, error) {
	l.asked++
	return l.Log.Command(id)
}

func TestFoldStopsAtDamage(t *testing.T) {
	s := newTestStore(t, boltlog.Options{})
	o := run(t, s, Options{})
	do(t, o, kai, create("one"))
	for _, bad := range []events.Log{hole{s.log}, garbage{s.log}} {
		err := fold(t.Context(), bad, 1, 3, boards.NewState().Evolve)
		if !errors.Is(err, events.ErrDamaged) {
			t.Errorf("%T: got %v, want damaged", bad, err)
		}
	}
}

// hole is a log that ends early.
type hole struct{ events.Log }

func (l hole) Read(ctx context.Context, from uint64, limit int, text bool) ([]events.Entry, error) {
	if from > 2 {
		return nil, nil
	}
	return l.Log.Read(ctx, from, min(limit, 2), text)
}

// garbage is a log with a record that does not decode.
type garbage struct{ events.Log }

func (l garbage) Read(ctx context.Context, from uint64, limit int, text bool) ([]events.Entry, error) {
	entries, err := l.Log.Read(ctx, from, limit, text)
	for i := range entries {
		if entries[i].Seq == 2 {
			entries[i].Record = []byte("{}")
		}
	}
	return entries, err
}
