package dispatcher

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
)

// What the simulation has found, each by itself.

func TestShorterTermsDoNotCatchOutOpenRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := begin(t, newBoard(t, events.DefaultPolicy(4)), &starter{script: completes(30 * time.Minute)}, Options{})
		defer x.halt()
		x.create(t, 1, nil)
		synctest.Wait()
		policy := events.DefaultPolicy(4)
		policy.TermMS = 60_000 // the run renews every five minutes
		x.must(t, boardstest.Kai, boards.SetPolicy{Policy: policy})
		time.Sleep(time.Hour)
		if got := outcomes(x.memBoard); len(got) != 1 || got[0] != events.OutcomeCompleted {
			t.Errorf("got %v, want completed", got)
		}
	})
}

func TestRunThatOnlyRenewsAfterItsVerdictIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script := func(p *process) {
			_ = p.do(boards.CompleteTask{Task: p.a.Run.Task, Summary: "done"})
			p.work(1000*time.Hour, true)
		}
		x := begin(t, newBoard(t, events.DefaultPolicy(4)), &starter{script: script}, Options{})
		defer x.halt()
		x.create(t, 1, nil)
		time.Sleep(2 * time.Hour)
		if got := outcomes(x.memBoard); len(got) != 1 || got[0] != events.OutcomeCompleted {
			t.Errorf("got %v, want it ended after the silence", got)
		}
	})
}

// A run is as old as the monotonic clock says.
func TestStepsOfTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		now := events.TimeOf(start)
		d := New(Options{Board: newBoard(t, events.DefaultPolicy(4))})
		j := job{limit: 60_000, policy: events.DefaultPolicy(4)}
		j.Started, j.Token = now, events.Digest{1}
		w := &watched{signAt: start, started: start}
		d.wall = func(at time.Time) events.Time { return events.TimeOf(at.Add(24 * time.Hour)) }
		p := plan{next: start.Add(safetyTick)}
		if err := d.watchClock(t.Context(), start.Add(59*time.Second), &p, &j, w); err != nil {
			t.Errorf("got %v, want the run left alone", err)
		}
		d.refused[1] = Refusal{Since: now, Until: now.Add(refusalWait)}
		if f := d.newFacts(SlotState{}, now.Add(-time.Hour)); len(f.Refused) > 0 {
			t.Error("got a refusal that lasts until the clock has caught up, want it over")
		}
	})
}
