package boards

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hermesboard/hermes/events"
)

// Command is an intent, decided by [Decide] against the state of one board.
// Commands are plain data: what they need from outside (now, who, digests of
// stored files, host facts) has been put into them or into the Env by the shell.
type Command interface {
	// CommandName returns the wire name, for example "create_tasks".
	CommandName() string
}

// NewTask describes a task to be made.
type NewTask struct {
	Title        string           `json:"title"`
	Body         string           `json:"body,omitzero"`
	Assignee     string           `json:"assignee,omitzero"`
	Reviewer     string           `json:"reviewer,omitzero"`
	Tenant       string           `json:"tenant,omitzero"`
	Priority     int32            `json:"priority,omitzero"`
	Parents      []Parent         `json:"parents,omitzero"`
	Triage       bool             `json:"triage,omitzero"`
	Blocked      bool             `json:"blocked,omitzero"`  // stands before a person from the start
	StartAt      events.Time      `json:"start_at,omitzero"` // in the future: scheduled
	Workspace    events.Workspace `json:"workspace,omitzero"`
	MaxRuntimeMS int64            `json:"max_runtime_ms,omitzero"`
	MaxRetries   uint32           `json:"max_retries,omitzero"`
	Model        string           `json:"model,omitzero"`
	Skills       []string         `json:"skills,omitzero"`
	Recipe       string           `json:"recipe,omitzero"`
}

// Parent names an existing task, or by New the n-th task (from 1) of the same command.
type Parent struct {
	Task  events.TaskID `json:"task,omitzero"`
	New   int           `json:"new,omitzero"`
	Needs events.Needs  `json:"needs,omitzero"` // zero = pass
}

// The commands about the board itself.
type (
	// CreateBoard is the first command of a log.
	CreateBoard struct {
		Board  events.BoardID `json:"board"`
		Slug   string         `json:"slug"`
		Key    string         `json:"key,omitzero"` // public key of its checkpoints
		Title  string         `json:"title,omitzero"`
		Policy events.Policy  `json:"policy"`
	}
	// RenameBoard changes the title; the slug never changes.
	RenameBoard struct {
		Title string `json:"title"`
	}
	// AcceptBoard records that a person goes on with a board that is not what its anchor says.
	AcceptBoard struct {
		Accepted events.BoardAccepted `json:"accepted"`
		Reason   string               `json:"reason"`
	}
	// PauseBoard stops new starts.
	PauseBoard struct {
		Drain  bool   `json:"drain,omitzero"`
		Reason string `json:"reason,omitzero"`
	}
	// ResumeBoard undoes PauseBoard.
	ResumeBoard struct {
		Reason string `json:"reason,omitzero"`
	}
	// SetPolicy replaces the policy.
	SetPolicy struct {
		Policy events.Policy `json:"policy"`
		Reason string        `json:"reason,omitzero"`
	}
	// HoldAgent keeps an agent from being started.
	HoldAgent struct {
		Agent    string         `json:"agent"`
		Cause    events.Outcome `json:"cause"`
		Until    events.Time    `json:"until,omitzero"`
		Reason   string         `json:"reason,omitzero"`
		Evidence string         `json:"evidence,omitzero"`
	}
	// ReleaseAgent undoes HoldAgent.
	ReleaseAgent struct {
		Agent  string `json:"agent"`
		Reason string `json:"reason,omitzero"`
	}
)

// The commands about who is told what happens.
type (
	// Subscribe has a destination told what happens to a task, to a tenant's
	// tasks, to an agent's, or, with none of these, on the whole board.
	Subscribe struct {
		Task   events.TaskID      `json:"task,omitzero"`
		Tenant string             `json:"tenant,omitzero"`
		Agent  string             `json:"agent,omitzero"`
		To     events.Destination `json:"to"`
	}
	// Unsubscribe undoes Subscribe.
	Unsubscribe struct {
		Task   events.TaskID      `json:"task,omitzero"`
		Tenant string             `json:"tenant,omitzero"`
		Agent  string             `json:"agent,omitzero"`
		To     events.Destination `json:"to"`
	}
	// RecordSent says that a platform took a message about the event at Of.
	RecordSent struct {
		Of      uint64             `json:"of"`
		Task    events.TaskID      `json:"task,omitzero"`
		To      events.Destination `json:"to"`
		Message string             `json:"message,omitzero"`
		Token   string             `json:"token,omitzero"`
	}
	// RecordDead says that a message was given up.
	RecordDead struct {
		Of     uint64             `json:"of"`
		Task   events.TaskID      `json:"task,omitzero"`
		To     events.Destination `json:"to"`
		Tries  uint32             `json:"tries,omitzero"`
		Reason string             `json:"reason,omitzero"`
	}
	// ReportBudget says that so much of a budget is spent. Run is whoever found
	// it out, if a run did; a budget of a run or of a task is that run's.
	ReportBudget struct {
		Run     events.RunID         `json:"run,omitzero"`
		Tenant  string               `json:"tenant,omitzero"` // whose it is, of a budget of a tenant
		Reached events.BudgetReached `json:"reached"`
	}
	// RetryDead asks for a message that was given up to be delivered after all.
	RetryDead struct {
		Of   uint64             `json:"of"`
		Task events.TaskID      `json:"task,omitzero"`
		To   events.Destination `json:"to"`
	}
)

// The commands about a task that need no run.
type (
	// CreateTasks makes one task or a whole graph in one commit.
	CreateTasks struct {
		Tasks []NewTask `json:"tasks"`
	}
	// EditTask changes what is not nil.
	EditTask struct {
		Task         events.TaskID     `json:"task"`
		Title        *string           `json:"title,omitzero"`
		Body         *string           `json:"body,omitzero"`
		Workspace    *events.Workspace `json:"workspace,omitzero"`
		MaxRuntimeMS *int64            `json:"max_runtime_ms,omitzero"`
		MaxRetries   *uint32           `json:"max_retries,omitzero"`
		Reviewer     *string           `json:"reviewer,omitzero"`
		Skills       *[]string         `json:"skills,omitzero"`
	}
	// AssignTask names who is to do it; empty = nobody. A running task is
	// refused unless Reclaim, which also stops its run.
	AssignTask struct {
		Task     events.TaskID `json:"task"`
		Assignee string        `json:"assignee"`
		Reclaim  bool          `json:"reclaim,omitzero"`
		Reason   string        `json:"reason,omitzero"`
	}
	// PrioritizeTask sets the priority.
	PrioritizeTask struct {
		Task     events.TaskID `json:"task"`
		Priority int32         `json:"priority"`
	}
	// SetTenant sets the tenant; empty = none.
	SetTenant struct {
		Task   events.TaskID `json:"task"`
		Tenant string        `json:"tenant"`
	}
	// SetModel sets the model for the next run; empty = the agent's own.
	SetModel struct {
		Task  events.TaskID `json:"task"`
		Model string        `json:"model"`
	}
	// LinkTasks makes Child wait for Parent.
	LinkTasks struct {
		Parent events.TaskID `json:"parent"`
		Child  events.TaskID `json:"child"`
		Needs  events.Needs  `json:"needs,omitzero"` // zero = pass
	}
	// UnlinkTasks undoes LinkTasks.
	UnlinkTasks struct {
		Parent events.TaskID `json:"parent"`
		Child  events.TaskID `json:"child"`
	}
	// CommentTask adds a comment.
	CommentTask struct {
		Task events.TaskID `json:"task"`
		Body string        `json:"body"`
	}
	// AttachFile adds a stored file.
	AttachFile struct {
		Task     events.TaskID   `json:"task"`
		Name     string          `json:"name"`
		Artifact events.Artifact `json:"artifact"`
	}
	// DetachFile takes an attachment back; Attachment is the position of its event.
	DetachFile struct {
		Task       events.TaskID `json:"task"`
		Attachment uint64        `json:"attachment"`
	}
	// PromoteTask moves a task on: by a person from triage, todo, scheduled or
	// blocked-by-edges, waiving open edges; by the dispatcher when a start time has come.
	PromoteTask struct {
		Task   events.TaskID `json:"task"`
		Reason string        `json:"reason,omitzero"`
	}
	// SpecifyTask turns a rough idea in triage into a task.
	SpecifyTask struct {
		Task     events.TaskID `json:"task"`
		Title    string        `json:"title,omitzero"`
		Body     string        `json:"body,omitzero"`
		Assignee string        `json:"assignee,omitzero"`
	}
	// DecomposeTask turns a rough idea into a graph which it then waits for; once per task.
	DecomposeTask struct {
		Task     events.TaskID `json:"task"`
		Assignee string        `json:"assignee,omitzero"`
		Children []NewTask     `json:"children"` // Parent.New counts these
		Reason   string        `json:"reason,omitzero"`
	}
	// FailPlan counts a planner's failed attempt.
	FailPlan struct {
		Task     events.TaskID `json:"task"`
		Evidence string        `json:"evidence,omitzero"`
	}
	// ScheduleTask parks a task until a time, or without one until promoted.
	ScheduleTask struct {
		Task   events.TaskID `json:"task"`
		At     events.Time   `json:"at,omitzero"`
		Reason string        `json:"reason,omitzero"`
	}
	// UnblockTask answers a blocked task and lets it go on.
	UnblockTask struct {
		Task   events.TaskID `json:"task"`
		Answer string        `json:"answer,omitzero"`
		Choice uint8         `json:"choice,omitzero"` // 1-based option
		Note   string        `json:"note,omitzero"`
		Model  string        `json:"model,omitzero"`
		Fresh  bool          `json:"fresh,omitzero"`
	}
	// ReopenTask takes a done or archived task back.
	ReopenTask struct {
		Task   events.TaskID `json:"task"`
		Reason string        `json:"reason,omitzero"`
	}
	// ArchiveTask takes a task off the board.
	ArchiveTask struct {
		Task   events.TaskID `json:"task"`
		Reason string        `json:"reason,omitzero"`
	}
)

// The commands of a run's life, and the verdicts. A verdict by a worker is
// about its own run; a person may give one where no run is open.
type (
	// ClaimTask gives a ready or review task to an agent or a person.
	ClaimTask struct {
		Task    events.TaskID `json:"task"`
		Agent   string        `json:"agent"`
		Role    events.Role   `json:"role"`
		Token   events.Digest `json:"token,omitzero"` // zero = a person's claim
		Facts   events.Facts  `json:"facts"`
		TermMS  int64         `json:"term_ms,omitzero"` // a person's claim; 0 = the policy's
		Backend string        `json:"backend,omitzero"`
		Runtime string        `json:"runtime,omitzero"`
		Model   string        `json:"model,omitzero"`
		Allowed events.Amount `json:"allowed,omitzero"` // what the run may spend, set aside of the budgets it shares
	}
	// StartRun says that the process tree of a claimed run exists.
	StartRun struct {
		Run     events.RunID      `json:"run"`
		Started events.RunStarted `json:"started"`
	}
	// Heartbeat is a run's sign of life with something to say.
	Heartbeat struct {
		Task  events.TaskID `json:"task"`
		Note  string        `json:"note,omitzero"`
		Done  uint32        `json:"done,omitzero"`
		Total uint32        `json:"total,omitzero"`
	}
	// CompleteTask gives a verdict: pass or fail by a worker, also cancelled by a person.
	CompleteTask struct {
		Task      events.TaskID     `json:"task"`
		Verdict   events.Verdict    `json:"verdict,omitzero"` // zero = pass
		Summary   string            `json:"summary,omitzero"`
		Result    string            `json:"result,omitzero"`
		Metadata  jsontext.Value    `json:"metadata,omitzero"`
		Artifacts []events.Artifact `json:"artifacts,omitzero"`
		Names     []string          `json:"names,omitzero"` // of the artifacts, in order
		Created   []events.TaskID   `json:"created,omitzero"`
	}
	// RequestReview hands the work to a reviewer.
	RequestReview struct {
		Task      events.TaskID     `json:"task"`
		Reviewer  string            `json:"reviewer,omitzero"` // empty = the task's, then the policy's
		Summary   string            `json:"summary"`
		Metadata  jsontext.Value    `json:"metadata,omitzero"`
		Artifacts []events.Artifact `json:"artifacts,omitzero"`
		Names     []string          `json:"names,omitzero"`
	}
	// ApproveTask ends a review well.
	ApproveTask struct {
		Task    events.TaskID `json:"task"`
		Summary string        `json:"summary,omitzero"`
	}
	// RequestChanges sends the work back to its implementer.
	RequestChanges struct {
		Task   events.TaskID `json:"task"`
		Reason string        `json:"reason"`
	}
	// BlockTask puts a task before a person.
	BlockTask struct {
		Task    events.TaskID    `json:"task"`
		Kind    events.BlockKind `json:"kind,omitzero"` // zero = needs_input by a worker, person by a person
		Reason  string           `json:"reason,omitzero"`
		Options []string         `json:"options,omitzero"`
	}
	// StopRun starts the end of a task's open run; Then is applied when the run has ended.
	StopRun struct {
		Task    events.TaskID  `json:"task"`
		Run     events.RunID   `json:"run,omitzero"`     // refuse unless this is the open run; zero = whichever is
		Outcome events.Outcome `json:"outcome,omitzero"` // zero = killed
		Then    events.Then    `json:"then"`
		Verdict events.Verdict `json:"verdict,omitzero"` // then=complete; zero = pass
		Force   bool           `json:"force,omitzero"`   // attest that an unreachable tree is dead: ends the run at once, if it is named or ending
		Reason  string         `json:"reason,omitzero"`
	}
	// EndRun reports that a run's process tree is proven gone.
	EndRun struct {
		Run        events.RunID    `json:"run"`
		Outcome    events.Outcome  `json:"outcome"` // ignored where a verdict was given or the run was stopped
		RetryAfter int64           `json:"retry_after_ms,omitzero"`
		Exit       *int32          `json:"exit,omitzero"`
		Signal     int32           `json:"signal,omitzero"`
		RanMS      int64           `json:"ran_ms,omitzero"`
		Usage      events.Usage    `json:"usage,omitzero"`
		Egress     []events.Egress `json:"egress,omitzero"`
		Transcript events.Digest   `json:"transcript,omitzero"`
		Kept       bool            `json:"kept,omitzero"`
		Evidence   string          `json:"evidence,omitzero"`
		Reason     string          `json:"reason,omitzero"`
	}
	// RefuseCalls records refused calls of a run.
	RefuseCalls struct {
		Run   events.RunID `json:"run"`
		Code  string       `json:"code"`
		Count uint32       `json:"count"`
	}
)
