package api

import (
	"context"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Board is a board one may talk to, whoever holds it: the owner itself in this
// process, or a [Client] of the process that is. Methods are safe for
// concurrent use. Errors are *boards.Rejection for the rules' no, and *Error
// with a stable code for everything else that has one.
type Board interface {
	// Info says which board this is, how far it has come and who holds it.
	Info(ctx context.Context) (Info, error)
	// Do carries out a command once, however often it is sent under the same id.
	Do(ctx context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error)
	// List returns cards with their titles.
	List(ctx context.Context, q projections.ListQuery) ([]projections.Card, error)
	// Show returns everything about a task.
	Show(ctx context.Context, task events.TaskID) (projections.Detail, error)
	// Why says why a task does not go on; it has an answer for every task.
	Why(ctx context.Context, task events.TaskID) (projections.Why, error)
	// Inbox lists what waits for a person, oldest first.
	Inbox(ctx context.Context) ([]projections.InboxItem, error)
	// Stats counts the board.
	Stats(ctx context.Context) (projections.Stats, error)
	// Read returns committed entries with their texts from a position on, in
	// bounded slices; none means the end.
	Read(ctx context.Context, from uint64, limit int) ([]events.Entry, error)
	// ReadTask is Read over one task.
	ReadTask(ctx context.Context, task events.TaskID, from uint64, limit int) ([]events.Entry, error)
	// Follow calls yield for every entry from a position on, waiting for new
	// ones, until ctx ends or yield returns an error, which it returns.
	Follow(ctx context.Context, from uint64, yield func(events.Entry) error) error
	// Policy returns the policy in force and the position it came with.
	Policy(ctx context.Context) (events.Policy, uint64, error)
	// Notices says who is told what happens, and what was given up.
	Notices(ctx context.Context) (Notices, error)
	// FindSent finds a message that a platform took.
	FindSent(ctx context.Context, q SentQuery) (SentAnswer, error)
	// Offset returns how far a subscriber has come; 0 if it is new.
	Offset(ctx context.Context, subscriber string) (uint64, error)
	// SaveOffset notes how far a subscriber has come. It becomes durable with
	// the next commit, after a second at the latest.
	SaveOffset(ctx context.Context, subscriber string, seq uint64) error
	// Close ends the conversation; an owner in this process lets go of the board.
	Close() error
}

// Door is what the supervisor of a run may ask for: everything is done as that
// run, whatever the arguments say.
type Door interface {
	Do(ctx context.Context, id events.CommandID, c boards.Command) (boards.Result, error)
	Show(ctx context.Context, task events.TaskID) (projections.Detail, error)
	List(ctx context.Context, q projections.ListQuery) ([]projections.Card, error)
	// Renew renews the run's term; it returns whether the run is being stopped.
	Renew(ctx context.Context) (RunState, error)
	Close() error
}

// RunState is what a run must know about itself.
type RunState struct {
	Open     bool        `json:"open"`     // not ended
	Verdict  bool        `json:"verdict"`  // a verdict was given; the credential is dead
	Stopping bool        `json:"stopping"` // to be stopped now
	Then     events.Then `json:"then,omitzero"`
	Head     uint64      `json:"head"`
}

// Info describes a board and whoever holds it.
type Info struct {
	Slug       string         `json:"slug"`
	Board      events.BoardID `json:"board"`
	Title      string         `json:"title"`
	Created    events.Time    `json:"created"`
	Head       events.Head    `json:"head"`
	Signed     uint64         `json:"signed"` // position of the last signed checkpoint
	Owner      Owner          `json:"owner"`
	Dispatcher *DispatchInfo  `json:"dispatcher,omitzero"` // nil = nobody starts runs here
	Paused     bool           `json:"paused"`
	Drain      bool           `json:"drain,omitzero"`
	OpenRuns   int            `json:"open_runs"`
	Bytes      int64          `json:"bytes"`           // size of board.db
	MaxBytes   int64          `json:"max_bytes"`       // quota; 0 = none
	Intake     string         `json:"intake,omitzero"` // why new work is refused; empty = it is not
}

// Owner is the process that holds a board.
type Owner struct {
	PID     int         `json:"pid"`
	Started events.Time `json:"started"`
	Version string      `json:"version"`
	Socket  string      `json:"socket,omitzero"`
}

// DispatchInfo says how the dispatcher of a board is doing.
type DispatchInfo struct {
	Since    events.Time `json:"since"`
	LastTick events.Time `json:"last_tick,omitzero"`
	Slots    int         `json:"slots"`
	Free     int         `json:"free"`
	Stopping bool        `json:"stopping,omitzero"`
}

// Error is a failure with a stable code, to be shown to whoever asked.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitzero"`
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Codes of [Error].
const (
	CodeNotFound  = "board_not_found" // unknown or forbidden: the same answer
	CodeBusy      = "board_busy"      // held by a process that does not answer, or starting
	CodeFrozen    = "board_frozen"    // an unknown commit is being resolved
	CodeTooOld    = "owner_too_old"   // the owner does not know the command
	CodeDamaged   = "board_damaged"   // quarantined
	CodeForbidden = "forbidden"       // this door does not let that through
	CodeInternal  = "internal"
)
