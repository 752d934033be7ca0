package events

// RunClaimed gives a task to an agent for one attempt. The position of this
// record is the run's fence.
type RunClaimed struct {
	Phase     Status `json:"phase"` // ready or review
	Agent     string `json:"agent"`
	Role      Role   `json:"role"`
	Token     Digest `json:"token,omitzero"`      // SHA-256 of the run's token; zero for a person's claim
	Policy    uint64 `json:"policy"`              // position of the policy it was decided under
	Facts     Facts  `json:"facts"`               // what was known beyond this board
	Continues RunID  `json:"continues,omitzero"`  // the attempt whose workspace and conversation go on
	ExpiresMS int64  `json:"expires_ms,omitzero"` // a person's claim: its term
	Backend   string `json:"backend,omitzero"`    // sandbox backend
	Runtime   string `json:"runtime,omitzero"`    // how the agent is launched
	Model     string `json:"model,omitzero"`      // the model asked for
	Allowed   Amount `json:"allowed,omitzero"`    // what it may spend, set aside of the budgets it shares; zero = nothing is
}

// Amount is money, in millionths of the policy's currency, and tokens.
type Amount struct {
	CostMicros int64 `json:"cost_micros,omitzero"`
	Tokens     int64 `json:"tokens,omitzero"`
}

// Facts is what the dispatcher knew that is not on the board, so that a replay
// can decide again.
type Facts struct {
	HostSlots int32 `json:"host_slots"`     // free host slots before this claim
	Order     int32 `json:"order,omitzero"` // place in the pass: 0 for the first start of a wake
}

// RunStarted says that the run's process tree exists. Identity is boot, pid
// and start time together, never the pid alone.
type RunStarted struct {
	Boot      string `json:"boot"`
	PID       int64  `json:"pid"`
	StartTime uint64 `json:"start_time"` // clock ticks since boot, /proc/PID/stat field 22
	PIDNS     uint64 `json:"pid_ns,omitzero"`
	Cgroup    string `json:"cgroup,omitzero"`
}

// RunStopping says that a run is being stopped and what follows. The run's
// credential is dead from here on. Text: reason.
type RunStopping struct {
	Outcome Outcome `json:"outcome"` // what the end will be booked as
	Then    Then    `json:"then"`
	Verdict Verdict `json:"verdict,omitzero"` // then=complete
	Force   bool    `json:"force,omitzero"`   // a person attests that the tree is dead
}

// RunHeartbeat is a sign of life with something to say, at most one a minute. Text: note.
type RunHeartbeat struct {
	Done  uint32 `json:"done,omitzero"` // progress, where the agent counts it
	Total uint32 `json:"total,omitzero"`
}

// RunEnded says that the run's process tree is proven gone. Text: evidence, reason.
type RunEnded struct {
	Outcome    Outcome  `json:"outcome"`
	To         Status   `json:"to,omitzero"` // where the task goes; zero = the verdict has moved it already
	GaveUp     bool     `json:"gave_up,omitzero"`
	Failures   uint32   `json:"failures,omitzero"` // streaks reached with this end
	NoVerdicts uint32   `json:"no_verdicts,omitzero"`
	Losses     uint32   `json:"losses,omitzero"`
	RetryAt    Time     `json:"retry_at,omitzero"`
	Exit       *int32   `json:"exit,omitzero"`   // exit code, if there was one
	Signal     int32    `json:"signal,omitzero"` // signal that ended it
	RanMS      int64    `json:"ran_ms"`
	Usage      Usage    `json:"usage,omitzero"`
	Egress     []Egress `json:"egress,omitzero"`
	Transcript Digest   `json:"transcript,omitzero"` // SHA-256 of the sealed transcript
	Kept       bool     `json:"kept,omitzero"`       // workspace and agent state can be continued
}

// Usage is what a run consumed.
type Usage struct {
	Model       string `json:"model,omitzero"`
	TokensIn    int64  `json:"tokens_in,omitzero"`
	TokensOut   int64  `json:"tokens_out,omitzero"`
	TokensCache int64  `json:"tokens_cache,omitzero"`
	CostMicros  int64  `json:"cost_micros,omitzero"` // millionths of the currency
	Currency    string `json:"currency,omitzero"`    // ISO 4217
	Source      string `json:"source,omitzero"`      // endpoint, runtime or none
}

// Egress is the traffic of a run with one host.
type Egress struct {
	Host     string `json:"host"`
	Requests uint32 `json:"requests,omitzero"`
	BytesOut int64  `json:"bytes_out,omitzero"`
	BytesIn  int64  `json:"bytes_in,omitzero"`
	Refused  uint32 `json:"refused,omitzero"`
}

// Type implements Payload.
func (RunClaimed) Type() Type { return "run.claimed" }

// Type implements Payload.
func (RunStarted) Type() Type { return "run.started" }

// Type implements Payload.
func (RunStopping) Type() Type { return "run.stopping" }

// Type implements Payload.
func (RunHeartbeat) Type() Type { return "run.heartbeat" }

// Type implements Payload.
func (RunEnded) Type() Type { return "run.ended" }
