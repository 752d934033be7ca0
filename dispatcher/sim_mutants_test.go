package dispatcher

import (
	"context"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// mutant is a way in which the engine is broken, to prove that the simulation
// would notice. The zero value breaks nothing.
type mutant struct {
	name string

	look    func(context.Context, *sim, *tree) (Life, error) // instead of Look
	explain func(*projections.View, events.TaskID, Facts, events.Time) projections.Hold
	rules   func(*events.Record) bool  // records that the rules miss
	folds   func(*events.Record) bool  // records that the view misses
	follows func(*sim, boards.Command) // after a command of the dispatcher
	changes func(*events.Record)       // records as the dispatcher sees them
	bends   func(*events.Record)       // records as the rules and the view see them

	anyFence        bool // a run's commands count as those of the open run
	forgetsCommands bool
	startsEarly     bool // the agent does not wait for its release
	reportsEarly    bool // the end is reported while processes live
	dropsSlot       bool
	losesRenewals   bool
}

func (m *mutant) losesFromRules(r *events.Record) bool { return m.rules != nil && m.rules(r) }
func (m *mutant) losesFromView(r *events.Record) bool  { return m.folds != nil && m.folds(r) }

func (m *mutant) bend(r *events.Record) *events.Record {
	if m.bends == nil {
		return r
	}
	bent := *r
	m.bends(&bent)
	return &bent
}

func (m *mutant) after(s *sim, c boards.Command, err error) {
	if m.follows != nil && err == nil {
		m.follows(s, c)
	}
}

// view is what the dispatcher sees instead of the board; nil = the board.
func (m *mutant) view(s *sim) *projections.View {
	if m.changes == nil {
		return nil
	}
	if s.other == nil {
		s.other = projections.NewView()
	}
	for _, r := range s.log.records[s.other.Head():s.log.folded] {
		m.changes(&r)
		s.other.Apply(&r)
	}
	return s.other
}

// sender is who a command of a run comes from.
func (m *mutant) sender(s *sim, by boards.Principal) boards.Principal {
	if run, ok := s.log.state.OpenRun(by.Run.Task); m.anyFence && ok && !run.Personal {
		by.Run, by.Fence = run.Run, run.Fence
	}
	return by
}

func lookOf(f func(*tree) Life) func(context.Context, *sim, *tree) (Life, error) {
	return func(_ context.Context, _ *sim, t *tree) (Life, error) { return f(t), nil }
}

func uncap(p *events.Policy) {
	p.BoardCap, p.AgentCap, p.TenantCap, p.AgentCaps = 0, 0, 0, nil
}

// mutants: each must be caught by one of the first seeds.
var mutants = []mutant{
	{name: "gone once the supervisor is", look: lookOf(func(t *tree) Life {
		if t != nil && t.super {
			return Living
		}
		return Gone
	})},
	{name: "gone before it is looked at", look: lookOf(func(*tree) Life { return Gone })},
	{name: "never gone", look: lookOf(func(*tree) Life { return Living })},
	{name: "look that hangs", look: func(ctx context.Context, s *sim, _ *tree) (Life, error) {
		s.mu.Unlock()
		defer s.mu.Lock()
		select {
		case <-s.over:
		case <-ctx.Done():
		}
		return Living, nil
	}},
	{name: "end before the tree is gone", follows: func(s *sim, c boards.Command) {
		if stop, ok := c.(boards.StopRun); ok {
			_, _ = s.log.commit(me, s.log.newID(), boards.EndRun{Run: stop.Run, Outcome: stop.Outcome})
		}
	}},
	{name: "supervisor that reports too early", reportsEarly: true},
	{name: "agent that does not wait for its release", startsEarly: true},
	{name: "no fence", anyFence: true},
	{name: "commands without memory", forgetsCommands: true},
	{name: "slots that nobody holds", dropsSlot: true},
	{name: "renewals that are lost", losesRenewals: true},
	{name: "no caps", bends: func(r *events.Record) {
		if p, ok := r.Data.(events.PolicyChanged); ok {
			uncap(&p.Policy)
			r.Data = p
		}
	}},
	{name: "rules that forget verdicts", rules: func(r *events.Record) bool {
		_, ok := r.Data.(events.TaskCompleted)
		return ok && r.Seq%3 == 0
	}},
	{name: "view that misses what is ready", folds: func(r *events.Record) bool {
		_, ok := r.Data.(events.TaskPromoted)
		return ok && r.Seq%2 == 0
	}},
	{name: "dispatcher that misses what is ready", changes: func(r *events.Record) {
		if _, ok := r.Data.(events.TaskCreated); ok && r.Task%4 == 0 {
			r.Data = events.TaskCommented{}
		}
	}},
	{name: "hold without a reason", explain: func(v *projections.View, id events.TaskID, f Facts, now events.Time) projections.Hold {
		h := Explain(v, id, f, now)
		if h.Reason == events.BlockNeedsInput.String() {
			h.Reason = ""
		}
		return h
	}},
}
