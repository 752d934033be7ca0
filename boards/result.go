package boards

import "github.com/hermesboard/hermes/events"

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
	Purses    []Purse          `json:"purses,omitzero"`         // shared budgets that bound it, filled in by whoever starts it
}

// Purse is what a run may spend of a budget that it shares with others: what
// was left when it was claimed. Zero is no bound.
type Purse struct {
	What   string `json:"what"` // for people
	Micros int64  `json:"micros,omitzero"`
	Tokens int64  `json:"tokens,omitzero"`
}
