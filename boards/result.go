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
}
