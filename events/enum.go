package events

import "fmt"

// Enums are small numbers in memory and words in records. The zero value of
// each means "not said" and is left out; an unknown word is refused.

// Status is the column a task stands in.
type Status uint8

// The nine statuses.
const (
	Triage Status = iota + 1
	Todo
	Scheduled
	Ready
	Running
	Review
	Blocked
	Done
	Archived
)

var statusWords = words{"", "triage", "todo", "scheduled", "ready", "running", "review", "blocked", "done", "archived"}

// Statuses lists all statuses in the order of the board's columns.
func Statuses() []Status {
	return []Status{Triage, Todo, Scheduled, Ready, Running, Review, Blocked, Done, Archived}
}

// Verdict is how a task ended.
type Verdict uint8

// The closed set of verdicts. Cancelled is a person's word, never a worker's.
const (
	Pass Verdict = iota + 1
	Fail
	Cancelled
)

var verdictWords = words{"", "pass", "fail", "cancelled"}

// Needs says which verdict of a parent releases a child.
type Needs uint8

// NeedsPass is met by a pass; NeedsAny by any verdict.
const (
	NeedsPass Needs = iota + 1
	NeedsAny
)

var needsWords = words{"", "pass", "any"}

// BlockKind says why a task waits for a person.
type BlockKind uint8

// A worker may say the first four; a person's block has BlockPerson; the rest
// are the rules' own: a block loop, a run stopped by a person, the breaker.
const (
	BlockNeedsInput BlockKind = iota + 1
	BlockCapability
	BlockTransient
	BlockDependency
	BlockPerson
	BlockLoop
	BlockStopped
	BlockGaveUp
)

var blockKindWords = words{"", "needs_input", "capability", "transient", "dependency", "person", "loop", "stopped", "gave_up"}

// Outcome is how a run ended.
type Outcome uint8

// The first five follow a verdict; the others end a run without one.
const (
	OutcomeCompleted Outcome = iota + 1
	OutcomeBlocked
	OutcomeReviewRequested
	OutcomeChangesRequested
	OutcomeApproved
	OutcomeCrashed
	OutcomeTimedOut
	OutcomeStalled
	OutcomeSpawnFailed
	OutcomeSandboxFailed
	OutcomeNoVerdict
	OutcomeToolsMissing
	OutcomeAuthFailed
	OutcomeNoCredit
	OutcomeOverloaded
	OutcomeOverBudget
	OutcomeRateLimited
	OutcomeLost
	OutcomeReleased
	OutcomeKilled
	OutcomeInvalidRequest
)

var outcomeWords = words{"", "completed", "blocked", "review_requested", "changes_requested", "approved",
	"crashed", "timed_out", "stalled", "spawn_failed", "sandbox_failed", "no_verdict", "tools_missing",
	"auth", "credit", "overloaded", "budget", "rate_limited", "lost", "released", "killed", "invalid_request"}

// Then is what happens to a task once its stopped run has ended.
type Then uint8

// The five continuations of StopRun.
const (
	ThenRetry Then = iota + 1
	ThenBlock
	ThenCancel
	ThenArchive
	ThenComplete
)

var thenWords = words{"", "retry", "block", "cancel", "archive", "complete"}

// ActorKind says what sort of principal acted.
type ActorKind uint8

// The five kinds, as established by the door the command came through.
const (
	Human ActorKind = iota + 1
	Worker
	Dispatcher
	Gateway
	System
)

var actorKindWords = words{"", "human", "worker", "dispatcher", "gateway", "system"}

// Role is what a run may do beyond its own task.
type Role uint8

// The three roles.
const (
	RoleWorker Role = iota + 1
	RoleOrchestrator
	RoleReviewer
)

var roleWords = words{"", "worker", "orchestrator", "reviewer"}

// WorkspaceKind is where a run works.
type WorkspaceKind uint8

// Scratch is a fresh folder for each attempt, Dir a fixed host folder, Repo a
// private clone of a repository.
const (
	Scratch WorkspaceKind = iota + 1
	Dir
	Repo
)

var workspaceKindWords = words{"", "scratch", "dir", "repo"}

// Order says which of the tasks that could start goes first.
type Order uint8

// ByPriority is higher priority first, then older, and what holds where nothing
// is said; ByAge is older first, whatever the priority.
const (
	ByPriority Order = iota + 1
	ByAge
)

var orderWords = words{"", "priority", "fifo"}

type words []string

func (w words) word(i uint8) string {
	if int(i) < len(w) {
		return w[i]
	}
	return fmt.Sprintf("unknown(%d)", i)
}

func (w words) number(b []byte, what string) (uint8, error) {
	for i, s := range w {
		if s == string(b) && i > 0 {
			return uint8(i), nil
		}
	}
	return 0, fmt.Errorf("%q is not a %s (one of %v)", b, what, []string(w[1:]))
}

// String returns the word written in records.
func (s Status) String() string { return statusWords.word(uint8(s)) }

// MarshalText implements encoding.TextMarshaler.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Status) UnmarshalText(b []byte) error {
	i, err := statusWords.number(b, "status")
	*s = Status(i)
	return err
}

// String returns the word written in records.
func (v Verdict) String() string { return verdictWords.word(uint8(v)) }

// MarshalText implements encoding.TextMarshaler.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Verdict) UnmarshalText(b []byte) error {
	i, err := verdictWords.number(b, "verdict")
	*v = Verdict(i)
	return err
}

// String returns the word written in records.
func (n Needs) String() string { return needsWords.word(uint8(n)) }

// MarshalText implements encoding.TextMarshaler.
func (n Needs) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Needs) UnmarshalText(b []byte) error {
	i, err := needsWords.number(b, "need")
	*n = Needs(i)
	return err
}

// String returns the word written in records.
func (k BlockKind) String() string { return blockKindWords.word(uint8(k)) }

// MarshalText implements encoding.TextMarshaler.
func (k BlockKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *BlockKind) UnmarshalText(b []byte) error {
	i, err := blockKindWords.number(b, "block kind")
	*k = BlockKind(i)
	return err
}

// String returns the word written in records.
func (o Outcome) String() string { return outcomeWords.word(uint8(o)) }

// MarshalText implements encoding.TextMarshaler.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Outcome) UnmarshalText(b []byte) error {
	i, err := outcomeWords.number(b, "outcome")
	*o = Outcome(i)
	return err
}

// String returns the word written in records.
func (t Then) String() string { return thenWords.word(uint8(t)) }

// MarshalText implements encoding.TextMarshaler.
func (t Then) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Then) UnmarshalText(b []byte) error {
	i, err := thenWords.number(b, "continuation")
	*t = Then(i)
	return err
}

// String returns the word written in records.
func (a ActorKind) String() string { return actorKindWords.word(uint8(a)) }

// MarshalText implements encoding.TextMarshaler.
func (a ActorKind) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *ActorKind) UnmarshalText(b []byte) error {
	i, err := actorKindWords.number(b, "actor kind")
	*a = ActorKind(i)
	return err
}

// String returns the word written in records.
func (r Role) String() string { return roleWords.word(uint8(r)) }

// MarshalText implements encoding.TextMarshaler.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Role) UnmarshalText(b []byte) error {
	i, err := roleWords.number(b, "role")
	*r = Role(i)
	return err
}

// String returns the word written in records.
func (w WorkspaceKind) String() string { return workspaceKindWords.word(uint8(w)) }

// MarshalText implements encoding.TextMarshaler.
func (w WorkspaceKind) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *WorkspaceKind) UnmarshalText(b []byte) error {
	i, err := workspaceKindWords.number(b, "workspace kind")
	*w = WorkspaceKind(i)
	return err
}

// String returns the word written in records.
func (o Order) String() string { return orderWords.word(uint8(o)) }

// MarshalText implements encoding.TextMarshaler.
func (o Order) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Order) UnmarshalText(b []byte) error {
	i, err := orderWords.number(b, "order")
	*o = Order(i)
	return err
}
