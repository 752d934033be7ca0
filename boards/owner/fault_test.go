package owner

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/events/logtest"
)

// Appends fail now and then, some with their batch on disk and some without.
// No answer may be lost, no command doubled, and what the owner holds must be
// what the log says.
func TestUnknownCommits(t *testing.T) {
	for _, tc := range []struct {
		name   string
		faults []logtest.Fault
	}{
		{"nothing persisted", []logtest.Fault{{Append: 3}}},
		{"all persisted", []logtest.Fault{{Append: 3, Persist: true}}},
		{"the first append", []logtest.Fault{{Append: 1, Persist: true}}},
		{"conflict", []logtest.Fault{{Append: 2, Err: events.ErrConflict}}},
		{"another refusal", []logtest.Fault{{Append: 2, Err: errors.New("no reason")}}},
		{"again after it was reopened", []logtest.Fault{{Append: 2}, {Append: 7, Persist: true}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTestStore(t, boltlog.Options{}).withFaults(tc.faults[0])
			more := tc.faults[1:]
			s.wrap = func(l events.Log) events.Log {
				f := logtest.Faulty(l, more...)
				more = nil
				return f
			}
			o := run(t, s, Options{Warn: func(error) {}})
			var mu sync.Mutex
			acked := map[events.CommandID]boards.Result{}
			var wait sync.WaitGroup
			for c := range 16 {
				wait.Go(func() {
					for i := range 10 {
						id := NewCommandID()
						r, err := o.Do(t.Context(), kai, id, create(fmt.Sprintf("%d %d", c, i)))
						if err != nil || r.Repeat {
							t.Errorf("got %+v, %v, want an answer of its own", r, err)
							continue
						}
						mu.Lock()
						acked[id] = r
						mu.Unlock()
					}
				})
			}
			wait.Wait()
			if s.reopens < len(tc.faults) {
				t.Errorf("got %d reopens, want %d", s.reopens, len(tc.faults))
			}
			s.wrap = nil
			n := perCommand(checkFold(t, s, o))
			if len(acked) != 160 || len(n) != 161 { // and the board's own
				t.Errorf("got %d answers and %d commands, want 160 and 161", len(acked), len(n))
			}
			for id := range acked {
				if n[id] != 1 {
					t.Errorf("command %s has %d records, want 1", id, n[id])
				}
			}
		})
	}
}

// A rejection told by a batch that never became durable may be wrong: it is
// decided again.
func TestRejectionsWaitForTheirBatch(t *testing.T) {
	s := newTestStore(t, boltlog.Options{}).withFaults(logtest.Fault{Append: 1})
	o, err := newOwner(s, Options{Warn: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	decided := 0
	o.decide = func(st *boards.State, c boards.Command, e boards.Env) ([]events.Draft, error) {
		if _, ok := c.(boards.ResumeBoard); ok {
			decided++
		}
		return boards.Decide(st, c, e)
	}
	answers := make(chan error, 2)
	for _, c := range []boards.Command{create("one"), boards.ResumeBoard{}} {
		go func() { _, err := o.Do(t.Context(), kai, NewCommandID(), c); answers <- err }()
	}
	for o.queue.len() < 2 {
		runtime.Gosched()
	}
	o.start(t.Context())
	<-answers
	<-answers
	checkFold(t, s, o)
	if decided != 2 {
		t.Errorf("got %d decisions, want 2", decided)
	}
}

func TestFrozenBoard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestStore(t, boltlog.Options{}).withFaults(logtest.Fault{Append: 1, Persist: true})
		thawed := make(chan struct{})
		s.refuse = func() error {
			select {
			case <-thawed:
				return nil
			default:
				return errors.New("the disk is away")
			}
		}
		o := run(t, s, Options{Warn: func(error) {}})
		start := time.Now()
		id := NewCommandID()
		if _, err := o.Do(t.Context(), kai, id, create("one")); codeOf(err) != api.CodeFrozen {
			t.Errorf("got %v, want board_frozen", err)
		}
		if got := time.Since(start); got != frozenPatience {
			t.Errorf("got the answer after %v, want %v", got, frozenPatience)
		}
		late := make(chan error, 1)
		go func() { _, err := o.Do(t.Context(), kai, NewCommandID(), create("two")); late <- err }()
		synctest.Wait()
		info, err := o.Info(t.Context())
		if err != nil || info.Intake == "" || !o.Frozen() {
			t.Errorf("got %+v, %v, want a frozen board", info, err)
		}
		if _, err := o.List(t.Context(), allCards); err != nil {
			t.Errorf("an empty list while frozen: %v", err)
		}
		if _, err := o.Read(t.Context(), 1, 0); codeOf(err) != api.CodeFrozen {
			t.Errorf("got %v, want board_frozen", err)
		}
		close(thawed)
		if err := <-late; err != nil {
			t.Errorf("got %v, want it carried out after the freeze", err)
		}
		r, err := o.Do(t.Context(), kai, id, create("one"))
		if err != nil || !r.Repeat {
			t.Errorf("got %+v, %v, want the first command found", r, err)
		}
		checkFold(t, s, o)
	})
}

func TestCloseWhileFrozen(t *testing.T) {
	s := newTestStore(t, boltlog.Options{}).withFaults(logtest.Fault{Append: 1})
	tried := make(chan struct{}, 100)
	s.refuse = func() error { tried <- struct{}{}; return errors.New("the disk is away") }
	o := run(t, s, Options{Warn: func(error) {}})
	answer := make(chan error, 1)
	go func() { _, err := o.Do(t.Context(), kai, NewCommandID(), create("one")); answer <- err }()
	<-tried
	_ = o.Close() // the log inside is dead
	if err := <-answer; codeOf(err) != api.CodeFrozen {
		t.Errorf("got %v, want board_frozen", err)
	}
	if _, err := o.Do(t.Context(), kai, NewCommandID(), create("two")); codeOf(err) == "<nil>" {
		t.Error("got an answer after Close, want an error")
	}
}

func TestLostBoardEndsRun(t *testing.T) {
	s := newTestStore(t, boltlog.Options{}).withFaults(logtest.Fault{Append: 1})
	s.refuse = func() error { return fmt.Errorf("page 7: %w", events.ErrDamaged) }
	o, err := newOwner(s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- o.Run(t.Context()) }()
	if _, err := o.Do(t.Context(), kai, NewCommandID(), create("one")); codeOf(err) != api.CodeDamaged {
		t.Errorf("got %v, want board_damaged", err)
	}
	if err := <-ended; !errors.Is(err, events.ErrDamaged) {
		t.Errorf("got %v from Run, want damaged", err)
	}
	if _, err := o.Do(t.Context(), kai, NewCommandID(), create("two")); codeOf(err) != api.CodeDamaged {
		t.Errorf("got %v, want board_damaged", err)
	}
	_ = o.Close() // the log inside is dead
}

func TestBoardThatWasMovedEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestStore(t, boltlog.Options{})
		o, err := newOwner(s, Options{})
		if err != nil {
			t.Fatal(err)
		}
		s.moved = fmt.Errorf("acme: %w", registry.ErrMoved)
		if err := o.Run(t.Context()); !errors.Is(err, s.moved) {
			t.Errorf("got %v, want %v", err, s.moved)
		}
		closeOwner(t, o)
	})
}

func TestFullBoard(t *testing.T) {
	s := newTestStore(t, boltlog.Options{})
	s.ballast = true
	full := fmt.Errorf("put: %w", events.ErrFull)
	s.withFaults(logtest.Fault{Append: 2, Err: full}, logtest.Fault{Append: 3, Err: full})
	o := run(t, s, Options{Warn: func(error) {}})
	do(t, o, kai, create("one"))
	_, err := o.Do(t.Context(), kai, NewCommandID(), create("two"))
	if codeOf(err) != "board_full" {
		t.Errorf("intake: got %v, want board_full", err)
	}
	if !s.ballast {
		t.Error("got the ballast given up for intake, want it kept")
	}
	// The next append is refused too, and goes through once the ballast is gone.
	do(t, o, kai, boards.ArchiveTask{Task: 1})
	if s.ballast {
		t.Error("got the ballast kept, want it given up for an end")
	}
	if _, err := o.Do(t.Context(), kai, NewCommandID(), create("three")); codeOf(err) != "board_full" {
		t.Errorf("right after: got %v, want the intake shut", err)
	}
	if s.reopens != 0 {
		t.Errorf("got %d reopens, want none: a refusal is definite", s.reopens)
	}
	checkFold(t, s, o)
}

func TestIntakeStopsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestStore(t, boltlog.Options{})
		o := run(t, s, Options{})
		do(t, o, kai, create("one"))
		s.mu.Lock()
		s.usage = boltlog.Usage{MaxBytes: 100 << 20, UsedBytes: 91 << 20, DiskFree: 90, DiskTotal: 100}
		s.mu.Unlock()
		time.Sleep(usageGoodForTime)
		id := NewCommandID()
		_, err := o.Do(t.Context(), kai, id, create("two"))
		if codeOf(err) != "board_full" || !strings.Contains(err.Error(), "91 MiB of the 100 MiB") {
			t.Errorf("got %v, want board_full with the figure", err)
		}
		do(t, o, kai, boards.ArchiveTask{Task: 1})
		if info, err := o.Info(t.Context()); err != nil || info.Intake == "" {
			t.Errorf("got %+v, %v, want the intake shut", info, err)
		}
		closeOwner(t, o)
	})
}

func TestCancelledSenderStillHasItsCommand(t *testing.T) {
	s := newTestStore(t, boltlog.Options{})
	o, err := newOwner(s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	id := NewCommandID()
	answer := make(chan error, 1)
	go func() { _, err := o.Do(ctx, kai, id, create("one")); answer <- err }()
	for o.queue.len() < 1 {
		runtime.Gosched()
	}
	cancel()
	if err := <-answer; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want canceled", err)
	}
	o.start(t.Context())
	if r, err := o.Do(t.Context(), kai, id, create("one")); err != nil || !r.Repeat {
		t.Errorf("got %+v, %v, want a repeat", r, err)
	}
	if n := perCommand(checkFold(t, s, o)); n[id] != 1 {
		t.Errorf("got %d records, want 1", n[id])
	}
}
