package worker

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Limits of the protocol.
const (
	MaxRequestBytes  = 1 << 20
	MaxArtifactBytes = 1 << 30
	MaxRunBytes      = 4 << 30
	MaxRunFiles      = 10_000
	MaxCallsPerSec   = 20  // changing calls of one run, and as many at once
	MaxReadsPerSec   = 200 // other calls of one run
)

// The arguments of the tools, by path. Every mutating call may carry a Key:
// the same key has one effect however often it is sent.
type (
	// Show asks for a task; none named is the run's own. Path: /v1/show.
	Show struct {
		Task events.TaskID `json:"task_id,omitzero"`
	}
	// List asks for cards of the run's tenant; orchestrators and reviewers only. Path: /v1/list.
	List struct {
		Assignee string        `json:"assignee,omitzero"`
		Status   events.Status `json:"status,omitzero"`
		Limit    int           `json:"limit,omitzero"` // 50 at first, 200 at most
		Archived bool          `json:"include_archived,omitzero"`
	}
	// Create makes tasks, several in one commit. Path: /v1/create.
	Create struct {
		Key   string `json:"idempotency_key,omitzero"`
		Tasks []Task `json:"tasks"`
	}
	// Task is a task to be made. Parents are ids ("t4") or, as "#1", earlier
	// tasks of the same call.
	Task struct {
		Title        string   `json:"title"`
		Body         string   `json:"body,omitzero"`
		Assignee     string   `json:"assignee,omitzero"`
		Parents      []string `json:"parents,omitzero"`
		Needs        string   `json:"needs,omitzero"` // of all its parents: pass or any
		Priority     int32    `json:"priority,omitzero"`
		Triage       bool     `json:"triage,omitzero"`
		Workspace    string   `json:"workspace,omitzero"` // scratch, or the dir:<abs> or repo:<abs> of the run's own task
		MaxRuntimeMS int64    `json:"max_runtime_ms,omitzero"`
		Recipe       string   `json:"recipe,omitzero"`
	}
	// Link makes a child wait for a parent. Path: /v1/link.
	Link struct {
		Key    string        `json:"idempotency_key,omitzero"`
		Parent events.TaskID `json:"parent_id"`
		Child  events.TaskID `json:"child_id"`
		Needs  events.Needs  `json:"needs,omitzero"`
	}
	// Complete gives the verdict. Artifacts were put before. Path: /v1/complete.
	Complete struct {
		Key       string          `json:"idempotency_key,omitzero"`
		Verdict   events.Verdict  `json:"verdict,omitzero"` // pass or fail; zero = pass
		Summary   string          `json:"summary,omitzero"`
		Result    string          `json:"result,omitzero"`
		Metadata  jsontext.Value  `json:"metadata,omitzero"`
		Artifacts []Artifact      `json:"artifacts,omitzero"`
		Created   []events.TaskID `json:"created_cards,omitzero"`
	}
	// RequestReview hands the work to a reviewer. Path: /v1/request_review.
	RequestReview struct {
		Key       string         `json:"idempotency_key,omitzero"`
		Summary   string         `json:"summary"`
		Reviewer  string         `json:"reviewer,omitzero"`
		Metadata  jsontext.Value `json:"metadata,omitzero"`
		Artifacts []Artifact     `json:"artifacts,omitzero"`
	}
	// RequestChanges sends reviewed work back. Path: /v1/request_changes.
	RequestChanges struct {
		Key    string `json:"idempotency_key,omitzero"`
		Reason string `json:"reason"`
	}
	// Approve ends a review well. Path: /v1/approve.
	Approve struct {
		Key     string `json:"idempotency_key,omitzero"`
		Summary string `json:"summary,omitzero"`
	}
	// Block asks a person. Path: /v1/block.
	Block struct {
		Key     string           `json:"idempotency_key,omitzero"`
		Kind    events.BlockKind `json:"kind,omitzero"`
		Reason  string           `json:"reason"`
		Options []string         `json:"options,omitzero"`
	}
	// Unblock answers another blocked task; orchestrators only. Path: /v1/unblock.
	Unblock struct {
		Key    string        `json:"idempotency_key,omitzero"`
		Task   events.TaskID `json:"task_id"`
		Answer string        `json:"answer,omitzero"`
	}
	// Comment says something about a task. Path: /v1/comment.
	Comment struct {
		Key  string        `json:"idempotency_key,omitzero"`
		Task events.TaskID `json:"task_id,omitzero"` // zero = the run's own
		Body string        `json:"body"`
	}
	// Heartbeat is a sign of life. Path: /v1/heartbeat.
	Heartbeat struct {
		Note  string `json:"note,omitzero"`
		Done  uint32 `json:"done,omitzero"`
		Total uint32 `json:"total,omitzero"`
	}
	// Attach names a file put before on the run's own task. Path: /v1/attach.
	Attach struct {
		Key      string   `json:"idempotency_key,omitzero"`
		Artifact Artifact `json:"artifact"`
	}
)

// Artifact is a file that was put: POST /v1/put?name=NAME with the bytes as
// the body answers one.
type Artifact struct {
	Name   string        `json:"name"`
	SHA256 events.Digest `json:"sha256"`
	Size   int64         `json:"size"`
}

// Answer is what every tool answers. Of a task with a long history the newest
// part is given, and of many or long hand-offs the words of the first ones.
type Answer struct {
	Status  events.Status       `json:"status,omitzero"`
	Tasks   []events.TaskID     `json:"tasks,omitzero"`   // created
	Task    *projections.Detail `json:"task,omitzero"`    // show
	Context string              `json:"context,omitzero"` // show: the same as bounded text
	Cards   []projections.Card  `json:"cards,omitzero"`   // list
	Put     *Artifact           `json:"put,omitzero"`
	Notices []Notice            `json:"notices,omitzero"`
}

// Notice tells a run what happened around it since its last call.
type Notice struct {
	Seq  uint64 `json:"seq,omitzero"`
	What string `json:"what"` // comment, stopping or budget
	By   string `json:"by,omitzero"`
	Text string `json:"text,omitzero"`
}

// Error is a refusal or a fault. Retry says that the same call may go through later.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitzero"`
	Retry   bool   `json:"retry,omitzero"`

	fault bool  // nobody's refusal: the operator is told
	cause error // what the operator is told
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

type envelope struct {
	Error *Error `json:"error"`
}
