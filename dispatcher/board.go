package dispatcher

import (
	"context"
	"os"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Board is what a dispatcher needs of whoever holds a board. Methods are safe
// for concurrent use.
type Board interface {
	// Do carries out a command once, however often it is sent under the same id.
	Do(ctx context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error)
	// View calls f under a lock that keeps the View as it is. Committed events
	// only; f must be quick and the View must not escape.
	View(f func(*projections.View))
	// Wake returns a channel that is signalled after commits, and a function
	// that ends this. Signals may be merged.
	Wake() (<-chan struct{}, func())
	// Assignment says what whoever starts a claimed run must know.
	Assignment(run events.RunID) (boards.Assignment, error)
}

// Agents knows the agents that may work on a board. It is asked often and
// under the board's lock, so it answers from memory. Safe for concurrent use.
type Agents interface {
	Agent(name string) Agent
}

// Starter makes and finds the supervisors of runs, which are processes of
// their own. Safe for concurrent use.
type Starter interface {
	// Start makes the supervisor of a run. It waits on a pipe and does nothing
	// before it is released. slot is a locked slot file: its descriptor is
	// passed on and the supervisor keeps it open until it ends; the caller
	// closes its own copy. An error means that nothing is left running. ctx
	// bounds the call, not the run.
	Start(ctx context.Context, a boards.Assignment, token string, slot *os.File) (Supervisor, error)
	// Fits says what keeps an agent from working in a workspace, before a run is
	// claimed for it: an agent problem and its words, empty if nothing is known
	// to. It may take a moment and remembers its answers.
	Fits(ctx context.Context, agent string, w events.Workspace) (problem, detail string)
	// Look says what is left of a run. It is quick.
	Look(ctx context.Context, r Ref) (Life, error)
	// Stop ends the processes of a run: asks its supervisor, waits for grace,
	// kills; without a supervisor there is nobody to ask. It returns nil when
	// they are gone and an error when they will not die. A supervisor that lives
	// reports the end itself. At most one call per run at a time.
	Stop(ctx context.Context, r Ref, grace time.Duration) error
}

// Ref names a run and what is known of its processes. Started is zero for a
// run that was never said to have started: it is found by its mark.
type Ref struct {
	Board   events.BoardID
	Run     events.RunID
	Started events.RunStarted
}

// Life is what is left of a run.
type Life uint8

// Gone: no process is left, not even the supervisor. Living: one is. Left: some
// have outlived their supervisor.
const (
	Gone Life = iota + 1
	Living
	Left
)

// Supervisor is one that was just made.
type Supervisor interface {
	// Process identifies it; see [events.RunStarted].
	Process() events.RunStarted
	// Release lets it go on. An error means that it is gone already.
	Release() error
	// Abort makes it exit before anything ran. Not after Release.
	Abort()
	// Done is closed when the supervisor has ended.
	Done() <-chan struct{}
}
