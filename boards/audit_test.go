package boards_test

import (
	"fmt"

	"github.com/hermesboard/hermes/events"
)

// audit reads a history as somebody would who knows the promises and not the
// rules: it keeps its own small picture of each task and says where the
// records break a promise.
type audit struct {
	tasks  map[events.TaskID]*audited
	paused bool
	held   map[string]events.Time // zero = until released
}

type audited struct {
	verdict  events.Verdict
	parents  map[events.TaskID]events.Needs
	waived   map[events.TaskID]bool
	dir      string
	busy     string // where the open run works
	runs     uint32
	open     events.RunID
	fence    uint64
	spoken   bool // the open run gave its verdict
	stopping bool
	blocks   uint32
	kind     events.BlockKind
}

func (a *audit) read(r *events.Record) error {
	switch p := r.Data.(type) {
	case events.BoardPaused:
		a.paused = true
	case events.BoardResumed:
		a.paused = false
	case events.AgentHeld:
		a.held[p.Agent] = p.Until
	case events.AgentReleased:
		delete(a.held, p.Agent)
	case events.TaskCreated:
		t := &audited{parents: map[events.TaskID]events.Needs{}, waived: map[events.TaskID]bool{}}
		for _, e := range p.Parents {
			t.parents[e.Parent] = e.Needs
		}
		t.place(p.Workspace)
		a.tasks[r.Task] = t
	}
	if t := a.tasks[r.Task]; t != nil {
		return a.task(t, r)
	}
	return nil
}

func (t *audited) place(w events.Workspace) {
	t.dir = ""
	if w.Kind == events.Dir {
		t.dir = w.Path
	}
}

func (a *audit) task(t *audited, r *events.Record) error {
	switch p := r.Data.(type) {
	case events.TaskEdited:
		if p.Workspace != nil {
			t.place(*p.Workspace)
		}
	case events.TaskLinked:
		t.parents[p.Parent] = p.Needs
		delete(t.waived, p.Parent)
	case events.TaskUnlinked:
		delete(t.parents, p.Parent)
		delete(t.waived, p.Parent)
	case events.TaskDecomposed:
		for _, c := range p.Children {
			t.parents[c] = events.NeedsPass
		}
	case events.TaskPromoted:
		for _, w := range p.Waived {
			t.waived[w] = true
		}
		if p.To == events.Ready && a.waits(t) {
			return fmt.Errorf("promoted although a parent holds it")
		}
	case events.RunClaimed:
		return a.claimed(t, r, &p)
	case events.RunStarted:
		if t.open != r.Run || t.stopping {
			return fmt.Errorf("%v started, open is %v", r.Run, t.open)
		}
	case events.RunStopping:
		t.stopping = true
	case events.RunEnded:
		if t.open != r.Run {
			return fmt.Errorf("%v ended, open is %v", r.Run, t.open)
		}
		if t.spoken != (p.To == 0) {
			return fmt.Errorf("%v ended to %v, its verdict given: %t", r.Run, p.To, t.spoken)
		}
		t.open = events.RunID{}
	case events.TaskReopened, events.TaskScheduled:
		t.verdict = 0
	case events.TaskCompleted:
		t.verdict = p.Verdict
		t.blocks, t.kind = 0, 0
		if r.Actor.Kind == events.Worker && p.Verdict == events.Cancelled {
			if r.Run != (events.RunID{}) {
				return fmt.Errorf("a worker cancelled")
			}
		}
		return t.spoke(r)
	case events.TaskApproved:
		t.verdict = events.Pass
		t.blocks, t.kind = 0, 0
		return t.spoke(r)
	case events.ReviewRequested, events.ChangesAsked:
		return t.spoke(r)
	case events.TaskBlocked:
		if p.Streak > 0 {
			said := p.Kind
			if p.Said != 0 {
				said = p.Said
			}
			if said != t.kind {
				t.blocks = 0
			}
			t.kind = said
			t.blocks++
			if t.blocks != p.Streak || (p.Streak >= 3) != (p.Kind == events.BlockLoop) {
				return fmt.Errorf("block %d of kind %v booked as %+v", t.blocks, said, p)
			}
		}
		return t.spoke(r)
	}
	return nil
}

// spoke checks a verdict: by the open run, once, under its fence, not once it is being stopped.
func (t *audited) spoke(r *events.Record) error {
	if r.Run == (events.RunID{}) {
		if t.open != (events.RunID{}) && !t.spoken {
			return fmt.Errorf("%s by %v over the head of %v", r.Data.Type(), r.Actor, t.open)
		}
		return nil
	}
	if r.Run != t.open || t.spoken || t.stopping || r.Cause != t.fence {
		return fmt.Errorf("%s by %v: open is %v, spoken %t, stopping %t, fence %d, cause %d", r.Data.Type(), r.Run, t.open, t.spoken, t.stopping, t.fence, r.Cause)
	}
	t.spoken = true
	return nil
}

func (a *audit) claimed(t *audited, r *events.Record, p *events.RunClaimed) error {
	until, held := a.held[p.Agent]
	person := p.Token == events.Digest{}
	switch {
	case t.open != events.RunID{}:
		return fmt.Errorf("%v claimed while %v is open", r.Run, t.open)
	case r.Run.N != t.runs+1:
		return fmt.Errorf("%v claimed after %d runs", r.Run, t.runs)
	case a.paused:
		return fmt.Errorf("claimed while paused")
	case a.waits(t):
		return fmt.Errorf("claimed although a parent holds it")
	case held && !person && (until == 0 || until > r.Time):
		return fmt.Errorf("claimed for %s, which is held", p.Agent)
	}
	for id, other := range a.tasks {
		if other.open != (events.RunID{}) && other.busy == t.dir && t.dir != "" && other != t {
			return fmt.Errorf("claimed while %v works in %s too", id, t.dir)
		}
	}
	t.open, t.fence, t.runs = r.Run, r.Seq, r.Run.N
	t.spoken, t.stopping, t.busy = false, false, t.dir
	return nil
}

func (a *audit) waits(t *audited) bool {
	for parent, needs := range t.parents {
		v := a.tasks[parent].verdict
		if !t.waived[parent] && (v == 0 || needs == events.NeedsPass && v != events.Pass) {
			return true
		}
	}
	return false
}
