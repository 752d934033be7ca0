package projections

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hermesboard/hermes/events"
)

// The answers to queries. Their JSON is a contract that scripts rely on.
// Whoever holds the log fills in the prose, which the folds do not keep: a
// field named …At holds the position of the record whose text has it.

// ListQuery selects cards. The zero value selects every task that is not archived.
type ListQuery struct {
	Statuses  []events.Status `json:"statuses,omitzero"`
	Assignees []string        `json:"assignees,omitzero"`
	Tenant    *string         `json:"tenant,omitzero"` // pointer to "" = tasks without a tenant
	Tasks     []events.TaskID `json:"tasks,omitzero"`
	Archived  bool            `json:"archived,omitzero"` // also archived ones
	Sort      string          `json:"sort,omitzero"`     // created, created-desc, priority (default), priority-desc, status, assignee, title, updated
	Limit     int             `json:"limit,omitzero"`    // 0 = all
	Holds     bool            `json:"holds,omitzero"`    // also say what each card waits for
}

// Card is one line of a list.
type Card struct {
	ID       events.TaskID   `json:"id"`
	Status   events.Status   `json:"status"`
	Title    string          `json:"title"`
	Assignee string          `json:"assignee"`
	Tenant   string          `json:"tenant"`
	Priority int32           `json:"priority"`
	Parents  []events.TaskID `json:"parents"`
	Hold     *Hold           `json:"hold,omitzero"`
	Verdict  events.Verdict  `json:"verdict,omitzero"`
	Since    events.Time     `json:"since"` // when it got this status
	Created  events.Time     `json:"created"`
	Updated  events.Time     `json:"updated"`
	Attempts uint32          `json:"attempts,omitzero"`
	Run      *RunRow         `json:"run,omitzero"` // the open run

	TitleAt uint64 `json:"-"`
}

// Hold says why a task does not go on. Reason is a stable word; Start means
// that nothing holds it.
type Hold struct {
	Reason string          `json:"reason"`
	Since  events.Time     `json:"since,omitzero"`
	Until  events.Time     `json:"until,omitzero"` // zero = until somebody or something changes it
	Detail string          `json:"detail,omitzero"`
	Tasks  []events.TaskID `json:"tasks,omitzero"` // the tasks waited for
}

// Why answers the question why a task does not move: one line, facts, and the
// command that would change it.
type Why struct {
	Task   events.TaskID   `json:"task"`
	Status events.Status   `json:"status"`
	Hold   Hold            `json:"hold"`
	Detail string          `json:"detail"`
	Next   string          `json:"next"`            // a command that may be pasted; empty where only waiting helps
	Blocks []events.TaskID `json:"blocks,omitzero"` // the children that wait for this task
}

// Detail is everything about one task.
type Detail struct {
	Card
	Body        string           `json:"body"`
	Reviewer    string           `json:"reviewer,omitzero"`
	Implementer string           `json:"implementer,omitzero"`
	Edges       []events.Edge    `json:"edges,omitzero"`
	Children    []events.TaskID  `json:"children"`
	Workspace   events.Workspace `json:"workspace,omitzero"`
	StartAt     events.Time      `json:"start_at,omitzero"`
	RetryAt     events.Time      `json:"retry_at,omitzero"`
	MaxRuntime  int64            `json:"max_runtime_ms,omitzero"`
	MaxRetries  uint32           `json:"max_retries,omitzero"`
	Model       string           `json:"model,omitzero"`
	Skills      []string         `json:"skills,omitzero"`
	Recipe      string           `json:"recipe,omitzero"`
	CreatedBy   events.Actor     `json:"created_by"`
	Block       *BlockRow        `json:"block,omitzero"`    // while blocked
	Answer      *CommentRow      `json:"answer,omitzero"`   // the answer to the last block
	Findings    *CommentRow      `json:"findings,omitzero"` // of the last review that asked for changes
	Runs        []RunRow         `json:"runs"`
	Comments    []CommentRow     `json:"comments"`
	Artifacts   []ArtifactRow    `json:"artifacts"`
	Handoff     *Handoff         `json:"handoff,omitzero"` // its own result
	Inputs      []Handoff        `json:"inputs,omitzero"`  // its parents' results
	Events      []EventRow       `json:"events"`

	BodyAt uint64 `json:"-"`
}

// BlockRow is a question to a person.
type BlockRow struct {
	Kind    events.BlockKind `json:"kind"`
	Said    events.BlockKind `json:"said,omitzero"`
	By      events.Actor     `json:"by"`
	Since   events.Time      `json:"since"`
	Reason  string           `json:"reason"`
	Options []string         `json:"options,omitzero"`
	Seq     uint64           `json:"seq"` // its record, which also has the text
}

// RunRow is one attempt.
type RunRow struct {
	Run       events.RunID    `json:"run"`
	Agent     string          `json:"agent"`
	Role      events.Role     `json:"role"`
	Phase     events.Status   `json:"phase"`
	Claimed   events.Time     `json:"claimed"`
	Started   events.Time     `json:"started,omitzero"`
	Ended     events.Time     `json:"ended,omitzero"`
	Stopping  bool            `json:"stopping,omitzero"`
	Outcome   events.Outcome  `json:"outcome,omitzero"`
	Verdict   string          `json:"verdict,omitzero"` // pass, fail, blocked, review_requested, …; empty = none yet
	Exit      *int32          `json:"exit,omitzero"`
	Signal    int32           `json:"signal,omitzero"`
	RanMS     int64           `json:"ran_ms,omitzero"`
	Usage     events.Usage    `json:"usage,omitzero"`
	Egress    []events.Egress `json:"egress,omitzero"`
	Backend   string          `json:"backend,omitzero"`
	Runtime   string          `json:"runtime,omitzero"`
	Continues events.RunID    `json:"continues,omitzero"`
	LastSign  events.Time     `json:"last_sign,omitzero"` // last heartbeat or worker command
	Note      string          `json:"note,omitzero"`      // of the last heartbeat
	Done      uint32          `json:"done,omitzero"`
	Total     uint32          `json:"total,omitzero"`
	Evidence  string          `json:"evidence,omitzero"`
	Summary   string          `json:"summary,omitzero"`
	Fence     uint64          `json:"fence"`
	PID       int64           `json:"pid,omitzero"`

	NoteAt, EndAt, VerdictAt uint64 `json:"-"`
}

// CommentRow is something a person or agent said. Seq names it.
type CommentRow struct {
	Seq  uint64       `json:"seq"`
	Time events.Time  `json:"time"`
	By   events.Actor `json:"by"`
	Body string       `json:"body"`
}

// ArtifactRow is a stored file of a task.
type ArtifactRow struct {
	Name   string        `json:"name"`
	SHA256 events.Digest `json:"sha256"`
	Size   int64         `json:"size"`
	By     events.Actor  `json:"by"`
	Seq    uint64        `json:"seq"`  // the record that named it
	Kind   string        `json:"kind"` // attachment or result
	Index  int           `json:"-"`    // place among that record's names
}

// Handoff is what a finished task passes to its children.
type Handoff struct {
	Task      events.TaskID  `json:"task"`
	Title     string         `json:"title"`
	Verdict   events.Verdict `json:"verdict,omitzero"` // zero = handed over for review
	Agent     string         `json:"agent,omitzero"`
	Time      events.Time    `json:"time"`
	Summary   string         `json:"summary,omitzero"`
	Result    string         `json:"result,omitzero"`
	Metadata  jsontext.Value `json:"metadata,omitzero"`
	Artifacts []ArtifactRow  `json:"artifacts"`
	Seq       uint64         `json:"seq"`

	TitleAt uint64 `json:"-"`
}

// EventRow is one line of a task's history.
type EventRow struct {
	Seq   uint64       `json:"seq"`
	Time  events.Time  `json:"time"`
	Type  events.Type  `json:"type"`
	Run   events.RunID `json:"run,omitzero"`
	Actor events.Actor `json:"actor"`
	What  string       `json:"what"` // in words
}

// InboxItem is something that waits for a person, with the command that settles it.
type InboxItem struct {
	Task     events.TaskID   `json:"task,omitzero"` // zero for an agent that is held
	Title    string          `json:"title"`
	Kind     string          `json:"kind"` // a block kind, review, triage or agent_held
	Agent    string          `json:"agent,omitzero"`
	Since    events.Time     `json:"since"`
	Question string          `json:"question,omitzero"`
	Options  []string        `json:"options,omitzero"`
	Blocks   []events.TaskID `json:"blocks,omitzero"` // the tasks it holds up
	Settle   string          `json:"settle"`          // the command to type

	TitleAt, TextAt uint64 `json:"-"`
}

// Stats counts a board.
type Stats struct {
	Tasks       int            `json:"tasks"`
	ByStatus    []StatusCount  `json:"by_status"`
	ByAssignee  []NameCount    `json:"by_assignee"`
	OpenRuns    int            `json:"open_runs"`
	Runs        int            `json:"runs"`
	ByOutcome   []OutcomeCount `json:"by_outcome"`
	OldestReady events.Time    `json:"oldest_ready,omitzero"`
	NeedsYou    int            `json:"needs_you"`
	Done24h     int            `json:"done_24h"`
	CostMicros  int64          `json:"cost_micros"` // of all runs
	CostToday   int64          `json:"cost_today"`  // since midnight UTC
	Tokens      int64          `json:"tokens"`
	Currency    string         `json:"currency"`
	Events      uint64         `json:"events"`
}

// StatusCount counts the tasks of a status.
type StatusCount struct {
	Status events.Status `json:"status"`
	Count  int           `json:"count"`
}

// NameCount counts the open tasks of an assignee, by status.
type NameCount struct {
	Name    string `json:"name"`
	Ready   int    `json:"ready"`
	Running int    `json:"running"`
	Open    int    `json:"open"`
	Done    int    `json:"done"`
}

// OutcomeCount counts ended runs.
type OutcomeCount struct {
	Outcome events.Outcome `json:"outcome"`
	Count   int            `json:"count"`
}
