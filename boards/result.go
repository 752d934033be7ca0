package boards

import (
	"strings"

	"github.com/hermesboard/hermes/events"
)

// Result answers a command. It is made from the command's events alone, so
// that the same command sent again gets the same answer.
type Result struct {
	First  uint64          `json:"first"` // positions of the events
	Last   uint64          `json:"last"`
	Tasks  []events.TaskID `json:"tasks,omitzero"`  // tasks created, in order
	Run    events.RunID    `json:"run,omitzero"`    // run claimed
	Fence  uint64          `json:"fence,omitzero"`  // its fence
	Status events.Status   `json:"status,omitzero"` // where the command's task went, if it moved
	Repeat bool            `json:"repeat,omitzero"` // the command had been carried out before
}

// ResultOf makes the answer to a command from its records. Repeat is the owner's to set.
func ResultOf(records []events.Record) Result {
	var out Result
	if len(records) == 0 {
		return out
	}
	out.First, out.Last = records[0].Seq, records[len(records)-1].Seq
	var main events.TaskID
	for i := range records {
		r := &records[i]
		switch p := r.Data.(type) {
		case events.TaskCreated:
			out.Tasks = append(out.Tasks, r.Task)
		case events.RunClaimed:
			out.Run, out.Fence = r.Run, r.Seq
		case events.TaskDecomposed:
			main, out.Status = r.Task, p.To
		}
		if main == 0 {
			main = r.Task
		}
		if to := movedTo(r.Data); to != 0 && r.Task == main {
			out.Status = to
		}
	}
	return out
}

// movedTo returns the status that an event puts its task into, if any.
func movedTo(p events.Payload) events.Status {
	switch p := p.(type) {
	case events.TaskCreated:
		return p.Status
	case events.TaskPromoted:
		return p.To
	case events.TaskDemoted:
		return events.Todo
	case events.TaskSpecified:
		return p.To
	case events.TaskDecomposed:
		return p.To
	case events.TaskScheduled:
		return events.Scheduled
	case events.TaskBlocked:
		return p.To
	case events.TaskUnblocked:
		return p.To
	case events.ReviewRequested:
		return events.Review
	case events.TaskApproved, events.TaskCompleted:
		return events.Done
	case events.ChangesAsked:
		return p.To
	case events.TaskReopened:
		return p.To
	case events.TaskArchived:
		return events.Archived
	case events.RunClaimed:
		return events.Running
	case events.RunEnded:
		return p.To
	}
	return 0
}

// Assignment is all that whoever starts runs must know about one.
type Assignment struct {
	Board     events.BoardID   `json:"board"`
	Slug      string           `json:"slug"`
	Run       events.RunID     `json:"run"`
	Fence     uint64           `json:"fence"`
	Agent     string           `json:"agent"`
	Role      events.Role      `json:"role"`
	Tenant    string           `json:"tenant,omitzero"`
	Phase     events.Status    `json:"phase"`
	Workspace events.Workspace `json:"workspace,omitzero"`
	Continues events.RunID     `json:"continues,omitzero"`
	Backend   string           `json:"backend,omitzero"`
	Runtime   string           `json:"runtime,omitzero"`
	Model     string           `json:"model,omitzero"`
	Policy    events.Policy    `json:"policy"`
	MaxRunMS  int64            `json:"max_runtime_ms,omitzero"` // 0 = none
	Purses    []Purse          `json:"purses,omitzero"`         // budgets that bound it, filled in by whoever starts it
}

// Purse is a budget that bounds a run: how it stood when the run was claimed,
// in millionths of the policy's currency or in tokens, and what the run may
// spend of it.
type Purse struct {
	Budget string      `json:"budget"` // its key in the policy: budget.run, token_budget.board_day
	Agent  string      `json:"agent,omitzero"`
	Tenant string      `json:"tenant,omitzero"`
	What   string      `json:"what"`          // for people
	Left   int64       `json:"left,omitzero"` // for this run; 0 or less is nothing
	Spent  int64       `json:"spent,omitzero"`
	Limit  int64       `json:"limit"`
	Until  events.Time `json:"until,omitzero"` // when it begins anew; 0 = never
}

// InTokens reports whether the amounts are tokens.
func (p *Purse) InTokens() bool { return strings.HasPrefix(p.Budget, "token_") }

// Share returns how much of the budget is spent, 80 or 100 percent, if the run
// has spent so much; 0 below that.
func (p *Purse) Share(run int64) uint32 {
	switch spent := p.Spent + run; {
	case spent <= 0:
	case spent >= p.Limit:
		return 100
	case spent >= p.Limit/100*80+p.Limit%100*80/100:
		return 80
	}
	return 0
}

// Reached is what is to be reported of the budget.
func (p *Purse) Reached(run int64, currency string) events.BudgetReached {
	if p.InTokens() {
		currency = ""
	}
	return events.BudgetReached{Budget: p.Budget, Agent: p.Agent, Percent: p.Share(run), Spent: p.Spent + run, Limit: p.Limit, Currency: currency, Until: p.Until}
}
