package dispatcher

import (
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Presence says whether somebody starts runs on a board.
type Presence uint8

// Absent: nobody does. Serving: somebody does. Stopping: it claims nothing more.
const (
	Absent Presence = iota
	Serving
	Stopping
)

// Facts is everything a decision looks at that is not on the board.
type Facts struct {
	Dispatcher Presence
	Slots      int // of this host
	Free       int
	Agents     map[string]Agent             // an agent not in the map is unknown
	Stuck      map[events.RunID]events.Time // runs whose processes did not die, since when
	Refused    map[events.TaskID]Refusal    // claims that the rules refused lately
}

// Agent is what is known of an agent before a run is claimed for it.
type Agent struct {
	Problem string // why it cannot be started: one of the agent problems below; empty = it can
	Detail  string // the problem in words
	Fix     string // a command that helps; may be empty
	Role    events.Role
	Backend string
	Runtime string
	Model   string
	Metered bool // it is known what its runs spend while they do
}

// Refusal is a start that was refused although nothing seemed to hold it: by the
// rules, or because the agent cannot work in the task's workspace.
type Refusal struct {
	Since, Until events.Time
	Problem      string // of the agent in that workspace; empty = the rules refused
	Detail       string
}

// Start is a run to be claimed.
type Start struct {
	Task    events.TaskID
	Phase   events.Status
	Agent   string
	Role    events.Role
	Backend string
	Runtime string
	Model   string
	Facts   events.Facts
	Allowed events.Amount  // set aside for it of the budgets it shares
	Purses  []boards.Purse // all budgets that bound it

	Workspace events.Workspace // of the task
}

// Reasons of holds. They are stable: scripts test for them. A blocked task has
// its block kind as the reason.
const (
	ReasonStart = "start" // nothing holds it

	// The board and whoever starts runs.
	Paused             = "paused"
	Draining           = "draining"
	NoDispatcher       = "no_dispatcher"
	DispatcherStopping = "dispatcher_stopping"

	// Whoever is to do it.
	NoAssignee        = "no_assignee"
	AgentUnknown      = "agent_unknown"
	ProfileNotAllowed = "profile_not_allowed"
	RuntimeMissing    = "runtime_missing"
	SandboxGap        = "sandbox_gap"
	Checking          = "checking" // whether its program is what it should be
	AgentHeld         = "agent_held"

	// The task itself.
	PreviousRunEnding = "previous_run_ending"
	StuckKill         = "stuck_kill"
	RetryWait         = "retry_wait"
	ClaimRefused      = "claim_refused"
	Budget            = "budget"
	FolderInUse       = "folder_in_use"

	// Room.
	BoardCap  = "board_cap"
	AgentCap  = "agent_cap"
	TenantCap = "tenant_cap"
	HostSlots = "host_slots"

	// Tasks that are not in the queue.
	Parent         = "parent"
	ParentFailed   = "parent_failed"
	ParentArchived = "parent_archived"
	Scheduled      = "scheduled"
	Triage         = "triage"
	ReviewPerson   = "review_person"
	Claimed        = "claimed"  // by a person
	Starting       = "starting" // claimed, its process not yet there
	Running        = "running"
	StoppingRun    = "stopping"
	Ending         = "ending" // verdict given, its processes still end
	Done           = "done"
	Archived       = "archived"
	NotOnBoard     = "not_on_board"
)

// who returns who would do a task of a lane: whoever is named, or the
// policy's default.
func who(lane projections.Lane, p *events.Policy) string {
	if lane.Agent == "" {
		return p.DefaultAssignee
	}
	return lane.Agent
}

// capOf returns the limit for a name: its own, or the general one; 0 = none.
func capOf(name string, own []events.Cap, general int32) int32 {
	for _, c := range own {
		if c.Name == name {
			return c.Max
		}
	}
	return general
}
