package dispatcher

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// slowAgents are checked for a while before they can be started.
type slowAgents struct{ ready atomic.Bool }

func (a *slowAgents) Agent(name string) Agent {
	if !a.ready.Load() {
		return Agent{Problem: Checking, Detail: "checking /usr/bin/" + name}
	}
	return goodAgents{}.Agent(name)
}

// TestChecking: a task waits while its agent is looked at, says so, and starts
// soon after; who works until nothing can start waits for it, too.
func TestChecking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agents := &slowAgents{}
		board := newBoard(t, events.DefaultPolicy(4))
		task := board.create(t, 1, nil)[0]
		x := begin(t, board, &starter{script: completes(time.Second)}, Options{Agents: agents, UntilIdle: true})
		defer x.halt()
		time.Sleep(7 * time.Second)
		synctest.Wait()
		var w projections.Why
		x.View(func(v *projections.View) { w = x.d.Explain(v, task, events.TimeOf(time.Now())) })
		if w.Hold.Reason != Checking || w.Hold.Detail != "checking /usr/bin/coder" {
			t.Errorf("got %+v", w)
		}
		agents.ready.Store(true)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if s := x.status(task); s != events.Done {
			t.Errorf("got %v, want it done", s)
		}
	})
}
