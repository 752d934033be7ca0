package notify

import (
	"testing"

	"github.com/hermesboard/hermes/events"
)

// TestMayTell holds the list of types against what KindOf says.
func TestMayTell(t *testing.T) {
	told := []events.Payload{
		events.TaskCompleted{Verdict: events.Pass}, events.TaskCompleted{Verdict: events.Fail}, events.TaskApproved{},
		events.TaskBlocked{Kind: events.BlockNeedsInput, To: events.Blocked}, events.TaskBlocked{Kind: events.BlockGaveUp, To: events.Blocked},
		events.TaskBlocked{Kind: events.BlockLoop, To: events.Blocked}, events.ReviewRequested{}, events.ChangesAsked{}, events.PlanFailed{}, events.AgentHeld{},
		events.BudgetReached{Percent: 80}, events.BudgetReached{Percent: 100},
		events.RunEnded{Outcome: events.OutcomeCrashed, To: events.Ready}, events.RunEnded{Outcome: events.OutcomeTimedOut, To: events.Ready},
		events.RunEnded{Outcome: events.OutcomeOverBudget, To: events.Ready},
	}
	types := map[events.Type]bool{"notify.retried": true}
	for _, p := range told {
		types[p.Type()] = true
		if KindOf(&events.Record{Data: p}) == "" {
			t.Errorf("%s %+v is not told", p.Type(), p)
		}
	}
	for _, k := range events.Catalog() {
		if got := mayTell(k.Type); got != types[k.Type] {
			t.Errorf("%s: got %t, want %t", k.Type, got, types[k.Type])
		}
		if KindOf(&events.Record{Data: k.Zero}) != "" && !mayTell(k.Type) {
			t.Errorf("%s would never be told", k.Type)
		}
	}
	for _, p := range []events.Payload{
		events.TaskCompleted{Verdict: events.Cancelled}, events.TaskBlocked{Kind: events.BlockStopped, To: events.Blocked}, events.TaskBlocked{Kind: events.BlockDependency, To: events.Todo},
		events.PlanFailed{RetryAt: 1}, events.RunEnded{Outcome: events.OutcomeCrashed, To: events.Blocked, GaveUp: true}, events.RunEnded{Outcome: events.OutcomeCompleted},
		events.RunEnded{Outcome: events.OutcomeLost, To: events.Ready}, events.RunEnded{Outcome: events.OutcomeReleased, To: events.Ready}, events.TaskCommented{},
	} {
		if k := KindOf(&events.Record{Data: p}); k != "" {
			t.Errorf("%s %+v is told as %s: that is noise", p.Type(), p, k)
		}
	}
}
