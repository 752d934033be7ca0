package events

// TaskCreated adds a task. Text: title, body.
type TaskCreated struct {
	Status       Status    `json:"status"`
	Assignee     string    `json:"assignee,omitzero"`
	Reviewer     string    `json:"reviewer,omitzero"`
	Priority     int32     `json:"priority,omitzero"`
	Parents      []Edge    `json:"parents,omitzero"`
	Workspace    Workspace `json:"workspace,omitzero"`
	StartAt      Time      `json:"start_at,omitzero"`
	MaxRuntimeMS int64     `json:"max_runtime_ms,omitzero"`
	MaxRetries   uint32    `json:"max_retries,omitzero"` // failures allowed; 0 = the policy's limit
	Model        string    `json:"model,omitzero"`
	Skills       []string  `json:"skills,omitzero"`
	Recipe       string    `json:"recipe,omitzero"` // recipe and role it came from: "research/writer"
}

// TaskEdited changes what is given and leaves the rest. Text: title, body (where changed).
type TaskEdited struct {
	Title        bool       `json:"title,omitzero"` // the text holds a new title
	Body         bool       `json:"body,omitzero"`  // the text holds a new body
	Workspace    *Workspace `json:"workspace,omitzero"`
	MaxRuntimeMS *int64     `json:"max_runtime_ms,omitzero"`
	MaxRetries   *uint32    `json:"max_retries,omitzero"`
	Reviewer     *string    `json:"reviewer,omitzero"`
	Skills       *[]string  `json:"skills,omitzero"`
}

// TaskAssigned names who is to do it; empty = nobody.
type TaskAssigned struct {
	Assignee string `json:"assignee"`
}

// TaskPrioritized sets the priority; higher goes first.
type TaskPrioritized struct {
	Priority int32 `json:"priority"`
}

// TenantChanged sets the task's tenant; empty = none. The record's own tenant is the former one.
type TenantChanged struct {
	Tenant string `json:"tenant"`
}

// ModelChanged sets the model the next run is asked to use; empty = the agent's own.
type ModelChanged struct {
	Model string `json:"model"`
}

// TaskLinked adds an edge from a parent.
type TaskLinked struct {
	Parent TaskID `json:"parent"`
	Needs  Needs  `json:"needs"`
}

// TaskUnlinked removes it.
type TaskUnlinked struct {
	Parent TaskID `json:"parent"`
}

// TaskCommented adds a comment; its position is its name. Text: comment.
type TaskCommented struct{}

// TaskAttached adds a file from a person or a worker. Text: names (one).
type TaskAttached struct {
	Artifact Artifact `json:"artifact"`
}

// TaskDetached takes back an attachment, named by the position of its event.
type TaskDetached struct {
	Attachment uint64 `json:"attachment"`
}

// TaskPromoted moves a task on because nothing holds it back any more, or
// because a person waived the parents named. Text: reason.
type TaskPromoted struct {
	To     Status   `json:"to"`
	Waived []TaskID `json:"waived,omitzero"`
}

// TaskDemoted moves a startable task back to todo because an edge is open again.
type TaskDemoted struct {
	Parent TaskID `json:"parent"`
}

// TaskSpecified turns a rough idea into a task. Text: title, body (where changed).
type TaskSpecified struct {
	Title    bool   `json:"title,omitzero"` // the text holds a new title
	Body     bool   `json:"body,omitzero"`  // the text holds a new body
	To       Status `json:"to"`
	Assignee string `json:"assignee,omitzero"`
}

// TaskDecomposed turns a rough idea into the parent of others, which are
// created in the same commit and which it then waits for. Text: reason.
type TaskDecomposed struct {
	To       Status   `json:"to"`
	Assignee string   `json:"assignee,omitzero"`
	Children []TaskID `json:"children"`
}

// PlanFailed counts an attempt of a planner to specify or decompose. Text: evidence.
type PlanFailed struct {
	Attempt uint32 `json:"attempt"`
	RetryAt Time   `json:"retry_at,omitzero"` // zero = no more attempts
}

// TaskScheduled sets a start time; the task waits as scheduled. Text: reason.
type TaskScheduled struct {
	At Time `json:"at,omitzero"` // zero = until somebody promotes it
}

// TaskBlocked puts a task before a person. Run is set if a worker did. Text: reason, options, evidence.
type TaskBlocked struct {
	Kind    BlockKind `json:"kind"`
	Said    BlockKind `json:"said,omitzero"`    // the worker's own kind, where the rules changed it
	To      Status    `json:"to"`               // blocked, or todo for a dependency with an open edge
	Options uint8     `json:"options,omitzero"` // how many answers the text offers
	Streak  uint32    `json:"streak,omitzero"`  // blocks of this kind in a row since the last completion
}

// TaskUnblocked lets a task go on. Text: answer (also to be shown as a comment), note.
type TaskUnblocked struct {
	To     Status `json:"to"`
	Choice uint8  `json:"choice,omitzero"` // 1-based option taken; 0 = words or nothing
	Model  string `json:"model,omitzero"`
	Fresh  bool   `json:"fresh,omitzero"` // the next run starts clean
}

// ReviewRequested is a verdict: a worker hands its work to a reviewer. Text: summary, metadata, names.
type ReviewRequested struct {
	Reviewer  string     `json:"reviewer,omitzero"` // empty = a person
	Artifacts []Artifact `json:"artifacts,omitzero"`
}

// TaskApproved is a reviewer's or a person's word that the work is good; the task is done: pass. Text: summary.
type TaskApproved struct{}

// ChangesAsked sends the work back to its implementer. Text: reason.
type ChangesAsked struct {
	To          Status `json:"to"`
	Implementer string `json:"implementer,omitzero"`
}

// TaskCompleted ends a task with a verdict. Text: summary, result, metadata, names.
type TaskCompleted struct {
	Verdict   Verdict    `json:"verdict"`
	Artifacts []Artifact `json:"artifacts,omitzero"`
	Created   []TaskID   `json:"created,omitzero"` // cards the worker says it made; checked
}

// TaskReopened takes a done or archived task back. Children that stay as they
// are although their parent is open again are named. Text: reason.
type TaskReopened struct {
	To   Status   `json:"to"`
	Stay []TaskID `json:"stay,omitzero"`
}

// TaskArchived takes a task off the board; its verdict stays. Text: reason.
type TaskArchived struct{}

// Type implements Payload.
func (TaskCreated) Type() Type { return "task.created" }

// Type implements Payload.
func (TaskEdited) Type() Type { return "task.edited" }

// Type implements Payload.
func (TaskAssigned) Type() Type { return "task.assigned" }

// Type implements Payload.
func (TaskPrioritized) Type() Type { return "task.prioritized" }

// Type implements Payload.
func (TenantChanged) Type() Type { return "task.tenant_changed" }

// Type implements Payload.
func (ModelChanged) Type() Type { return "task.model_changed" }

// Type implements Payload.
func (TaskLinked) Type() Type { return "task.linked" }

// Type implements Payload.
func (TaskUnlinked) Type() Type { return "task.unlinked" }

// Type implements Payload.
func (TaskCommented) Type() Type { return "task.commented" }

// Type implements Payload.
func (TaskAttached) Type() Type { return "task.attached" }

// Type implements Payload.
func (TaskDetached) Type() Type { return "task.detached" }

// Type implements Payload.
func (TaskPromoted) Type() Type { return "task.promoted" }

// Type implements Payload.
func (TaskDemoted) Type() Type { return "task.demoted" }

// Type implements Payload.
func (TaskSpecified) Type() Type { return "task.specified" }

// Type implements Payload.
func (TaskDecomposed) Type() Type { return "task.decomposed" }

// Type implements Payload.
func (PlanFailed) Type() Type { return "task.plan_failed" }

// Type implements Payload.
func (TaskScheduled) Type() Type { return "task.scheduled" }

// Type implements Payload.
func (TaskBlocked) Type() Type { return "task.blocked" }

// Type implements Payload.
func (TaskUnblocked) Type() Type { return "task.unblocked" }

// Type implements Payload.
func (ReviewRequested) Type() Type { return "task.review_requested" }

// Type implements Payload.
func (TaskApproved) Type() Type { return "task.approved" }

// Type implements Payload.
func (ChangesAsked) Type() Type { return "task.changes_requested" }

// Type implements Payload.
func (TaskCompleted) Type() Type { return "task.completed" }

// Type implements Payload.
func (TaskReopened) Type() Type { return "task.reopened" }

// Type implements Payload.
func (TaskArchived) Type() Type { return "task.archived" }
