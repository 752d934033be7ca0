package boards

import "github.com/hermesboard/hermes/events"

// Code says why a command was refused. Codes are stable: scripts and agents
// test for them.
type Code string

// The codes.
const (
	CodeUnknownCommand Code = "unknown_command"
	CodeBadCommand     Code = "bad_command"          // a value is missing, malformed or over its limit
	CodeNotFound       Code = "not_found"            // no such task, run or attachment
	CodeWrongStatus    Code = "wrong_status"         // the task's status does not allow it
	CodeNotYours       Code = "not_yours"            // a worker reached beyond its own task or role
	CodeStaleRun       Code = "stale_run"            // another run, another fence, or the verdict was given already
	CodeCycle          Code = "cycle"                // the link would close a circle
	CodeEdgeOpen       Code = "edge_open"            // a parent is not done with the verdict needed
	CodeRunOpen        Code = "run_open"             // the task has a run that has not ended
	CodePaused         Code = "paused"               // the board is paused
	CodeAgentHeld      Code = "agent_held"           // the agent must not be started
	CodeNoRoom         Code = "no_room"              // so many runs at once are not allowed
	CodeTooEarly       Code = "too_early"            // its time has not come
	CodeNoArtifact     Code = "artifact_missing"     // a file named is not stored
	CodeNoSuchCard     Code = "created_card_missing" // a card said to be created is not there or not by this run
	CodeAlready        Code = "already"              // it is so already; nothing changed
	CodeTooMany        Code = "too_many"             // more events or tasks than one command may make
	CodeMismatch       Code = "idempotency_mismatch" // this command id was used for something else
	CodeFull           Code = "board_full"           // intake is closed: quota or disk
	CodeInternal       Code = "internal"             // the rule itself broke; nothing was written
)

// Rejection is the rules' no: expected, stable, to be shown to whoever asked.
type Rejection struct {
	Code   Code          `json:"code"`
	Task   events.TaskID `json:"task,omitzero"`
	Detail string        `json:"detail"`
	Hint   string        `json:"hint,omitzero"` // what to do instead; may be pasted where it is a command
}

// Error returns the detail.
func (r *Rejection) Error() string { return r.Detail }

// Is makes errors.Is(err, &Rejection{Code: c}) match on the code alone.
func (r *Rejection) Is(target error) bool {
	t, ok := target.(*Rejection)
	return ok && t.Code == r.Code
}
