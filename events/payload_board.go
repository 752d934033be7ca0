package events

// BoardCreated is the first record of every board. Text: title.
type BoardCreated struct {
	Board BoardID `json:"board"`
	Slug  string  `json:"slug"`
	Key   string  `json:"key,omitzero"` // public key of the board's checkpoints, as section 7 writes it
}

// BoardRenamed gives the board another title. Text: title.
type BoardRenamed struct{}

// BoardAccepted is a person's word that the board goes on although something
// is wrong with it. Missing events were acknowledged and are gone. Text: reason.
type BoardAccepted struct {
	Problem     string `json:"problem"`               // a code, for example "rolled_back"
	MissingFrom uint64 `json:"missing_from,omitzero"` // first missing position
	MissingTo   uint64 `json:"missing_to,omitzero"`   // last missing position
	AnchorRoot  Digest `json:"anchor_root,omitzero"`  // root that the anchor names at the last missing position
	FormerBoard string `json:"former_board,omitzero"` // identity before, for a restored or imported board
}

// BoardPaused stops new starts. Drain says that whoever asked waits for the
// open runs to end. Text: reason.
type BoardPaused struct {
	Drain bool `json:"drain,omitzero"`
}

// BoardResumed lets runs start again. Text: reason.
type BoardResumed struct{}

// PolicyChanged carries the whole policy in force from here on. Text: reason.
type PolicyChanged struct {
	Policy Policy `json:"policy"`
}

// AgentHeld keeps an agent from being started, for all its tasks. Text: reason, evidence.
type AgentHeld struct {
	Agent string  `json:"agent"`
	Cause Outcome `json:"cause"`
	Until Time    `json:"until,omitzero"` // zero = until a person releases it
}

// AgentReleased ends a hold on an agent. Text: reason.
type AgentReleased struct {
	Agent string `json:"agent"`
}

// CallRefused counts the calls of a run that were refused, once per code and minute.
type CallRefused struct {
	Code  string `json:"code"`
	Count uint32 `json:"count"`
}

// BudgetReached says that four fifths of a budget are spent, or all of it: once
// for each share of it, and in each period. A budget of a run or a task is that
// of the record's, one of a tenant that of the record's tenant.
type BudgetReached struct {
	Budget   string `json:"budget"`            // its key in the policy: budget.board_day, token_budget.task
	Agent    string `json:"agent,omitzero"`    // whose it is, of a budget of an agent
	Percent  uint32 `json:"percent"`           // 80 or 100
	Spent    int64  `json:"spent"`             // in millionths of the currency, or in tokens
	Limit    int64  `json:"limit"`             // in the same
	Currency string `json:"currency,omitzero"` // of a budget of money
	Until    Time   `json:"until,omitzero"`    // when it begins anew; zero = never
}

// Type implements Payload.
func (BoardCreated) Type() Type { return "board.created" }

// Type implements Payload.
func (BoardRenamed) Type() Type { return "board.renamed" }

// Type implements Payload.
func (BoardAccepted) Type() Type { return "board.accepted" }

// Type implements Payload.
func (BoardPaused) Type() Type { return "board.paused" }

// Type implements Payload.
func (BoardResumed) Type() Type { return "board.resumed" }

// Type implements Payload.
func (PolicyChanged) Type() Type { return "policy.changed" }

// Type implements Payload.
func (AgentHeld) Type() Type { return "agent.held" }

// Type implements Payload.
func (AgentReleased) Type() Type { return "agent.released" }

// Type implements Payload.
func (CallRefused) Type() Type { return "call.refused" }

// Type implements Payload.
func (BudgetReached) Type() Type { return "budget.reached" }
