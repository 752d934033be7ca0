package events

// Policy is what the dispatcher and the rules go by on one board. It is part
// of the log: the first is written when the board is created, each change is
// an event. Durations are milliseconds, money millionths. Zero means no limit
// for a cap or a budget.
type Policy struct {
	HostSlots  int32 `json:"host_slots"`         // runs at once on this host, over all boards
	BoardCap   int32 `json:"board_cap,omitzero"` // runs at once on this board
	AgentCap   int32 `json:"agent_cap,omitzero"` // runs at once of one agent, unless AgentCaps says otherwise
	TenantCap  int32 `json:"tenant_cap,omitzero"`
	AgentCaps  []Cap `json:"agent_caps,omitzero"`
	TenantCaps []Cap `json:"tenant_caps,omitzero"`

	Order Order `json:"order,omitzero"` // which task starts first; none said = ByPriority

	DefaultAssignee string `json:"default_assignee,omitzero"`
	Reviewer        string `json:"reviewer,omitzero"` // empty = reviews wait for a person

	TermMS        int64  `json:"term_ms"`
	PersonTermMS  int64  `json:"person_term_ms"`
	SilenceMS     int64  `json:"silence_ms"` // no heartbeat for so long: stalled
	MaxRuntimeMS  int64  `json:"max_runtime_ms,omitzero"`
	StopGraceMS   int64  `json:"stop_grace_ms"`
	FailureLimit  uint32 `json:"failure_limit"`
	VerdictLimit  uint32 `json:"verdict_limit"` // ends without a verdict
	LostLimit     uint32 `json:"lost_limit"`
	PaidLimit     uint32 `json:"paid_limit,omitzero"` // attempts in a row that cost something and failed alike; zero = as all others
	BlockLoop     uint32 `json:"block_loop"`          // blocks of one kind in a row
	BackoffMS     int64  `json:"backoff_ms"`
	BackoffMaxMS  int64  `json:"backoff_max_ms"`
	RateLimitMS   int64  `json:"rate_limit_ms"`
	RateLimitMax  int64  `json:"rate_limit_max_ms"` // rate limited for so long in a row: gave up
	LostWaitMS    int64  `json:"lost_wait_ms"`
	KeepScratchMS int64  `json:"keep_scratch_ms"`
	KeepLogMS     int64  `json:"keep_log_ms"`
	KeepOrphanMS  int64  `json:"keep_orphan_ms"` // artifacts that no event names

	MaxBytes int64 `json:"max_bytes,omitzero"` // quota of the board's file; new work stops at 90 % of it

	Deliver string `json:"deliver,omitzero"` // host folder that results of passed tasks are copied to; empty = none

	Currency    string `json:"currency"`
	Budget      Budget `json:"budget"`                // in millionths of the currency
	TokenBudget Budget `json:"token_budget,omitzero"` // in tokens, read and written ones together
}

// Cap is a limit for one name.
type Cap struct {
	Name string `json:"name"`
	Max  int32  `json:"max"`
}

// Budget limits what runs may spend. Days and months are those of UTC.
type Budget struct {
	Run         int64 `json:"run,omitzero"`
	Task        int64 `json:"task,omitzero"`
	BoardDay    int64 `json:"board_day,omitzero"`
	BoardMonth  int64 `json:"board_month,omitzero"`
	AgentDay    int64 `json:"agent_day,omitzero"` // of each agent
	AgentMonth  int64 `json:"agent_month,omitzero"`
	TenantDay   int64 `json:"tenant_day,omitzero"` // of each tenant
	TenantMonth int64 `json:"tenant_month,omitzero"`
}

// DefaultPolicy returns the policy a new board gets on a host with so many slots.
func DefaultPolicy(hostSlots int32) Policy {
	const second, minute, hour, day = 1000, 60_000, 3_600_000, 86_400_000
	return Policy{
		HostSlots: hostSlots,
		TermMS:    15 * minute, PersonTermMS: 15 * minute, SilenceMS: hour, StopGraceMS: 10 * second,
		FailureLimit: 3, VerdictLimit: 3, LostLimit: 10, PaidLimit: 2, BlockLoop: 3,
		BackoffMS: 10 * second, BackoffMaxMS: 5 * minute, RateLimitMS: 5 * minute, RateLimitMax: day, LostWaitMS: 10 * second,
		KeepScratchMS: 7 * day, KeepLogMS: 30 * day, KeepOrphanMS: day,
		Currency: "USD", Budget: Budget{Run: 2_000_000, Task: 5_000_000, BoardDay: 25_000_000},
	}
}
