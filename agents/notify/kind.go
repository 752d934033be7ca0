package notify

import "github.com/hermesboard/hermes/events"

// Kind says what is told. The words are stable.
type Kind string

// The kinds. Everything else that happens is noise to who is not looking.
const (
	Completed        Kind = "completed"
	Approved         Kind = "approved"
	Failed           Kind = "failed"
	Blocked          Kind = "blocked"
	Loop             Kind = "loop"
	GaveUp           Kind = "gave_up"
	ReviewRequested  Kind = "review_requested"
	ChangesRequested Kind = "changes_requested"
	Crashed          Kind = "crashed"
	TimedOut         Kind = "timed_out"
	OverBudget       Kind = "budget"
	BudgetLow        Kind = "budget_low"
	BudgetSpent      Kind = "budget_spent"
	PlanFailed       Kind = "plan_failed"
	AgentHeld        Kind = "agent_held"
	Morning          Kind = "digest"  // how all boards stand
	Several          Kind = "several" // what was missed, in one message
)

// KindOf says as what an event is told; empty = it is not.
func KindOf(r *events.Record) Kind {
	switch p := r.Data.(type) {
	case events.TaskCompleted:
		switch p.Verdict {
		case events.Pass:
			return Completed
		case events.Fail:
			return Failed
		}
	case events.TaskApproved:
		return Approved
	case events.TaskBlocked:
		return blockedKind(p)
	case events.ReviewRequested:
		return ReviewRequested
	case events.ChangesAsked:
		return ChangesRequested
	case events.RunEnded:
		return endedKind(p)
	case events.PlanFailed:
		if p.RetryAt == 0 {
			return PlanFailed
		}
	case events.AgentHeld:
		return AgentHeld
	case events.BudgetReached:
		if p.Percent < 100 {
			return BudgetLow
		}
		return BudgetSpent
	}
	return ""
}

// mayTell reports whether events of a type can have a kind, or ask for one that
// was given up.
func mayTell(t events.Type) bool {
	switch t {
	case "task.completed", "task.approved", "task.blocked", "task.review_requested", "task.changes_requested", "task.plan_failed",
		"run.ended", "agent.held", "budget.reached", "notify.retried":
		return true
	}
	return false
}

// blockedKind leaves out what a person did by stopping a run, and tasks that
// only wait for others.
func blockedKind(p events.TaskBlocked) Kind {
	switch {
	case p.To != events.Blocked || p.Kind == events.BlockStopped:
		return ""
	case p.Kind == events.BlockLoop:
		return Loop
	case p.Kind == events.BlockGaveUp:
		return GaveUp
	}
	return Blocked
}

// endedKind leaves out what the task's own event says in the same commit.
func endedKind(p events.RunEnded) Kind {
	if p.GaveUp || p.To == 0 {
		return ""
	}
	switch p.Outcome {
	case events.OutcomeCrashed, events.OutcomeStalled:
		return Crashed
	case events.OutcomeTimedOut:
		return TimedOut
	case events.OutcomeOverBudget:
		return OverBudget
	}
	return ""
}
