package boards

import (
	"strings"

	"github.com/hermesboard/hermes/events"
)

// party is a set of the kinds of sender a command may come from.
type party uint8

const (
	person       party = 1 << iota // a person, or whoever speaks for one
	dispatcher                     // the code that starts and watches runs
	ownRun                         // the task's own run; a person who claimed the task has it too
	peer                           // a run of another task of the same tenant
	orchestrator                   // a run with that role, on any task of its tenant
)

var partyWords = []string{"person", "dispatcher", "run", "peer", "orchestrator"}

// places is a set of places a task can be in: the statuses, running split by
// phase, and "not there yet".
type places uint16

const (
	nowhere   places = 1 << 0  // before the task exists; written "-"
	reviewing places = 1 << 10 // running, claimed from review; plain running means claimed from ready
	same      places = 1 << 11 // as a destination: the task stays where it is
)

const (
	triage    = places(1) << events.Triage
	todo      = places(1) << events.Todo
	scheduled = places(1) << events.Scheduled
	ready     = places(1) << events.Ready
	running   = places(1) << events.Running
	review    = places(1) << events.Review
	blocked   = places(1) << events.Blocked
	done      = places(1) << events.Done
	archived  = places(1) << events.Archived

	taken    = running | reviewing
	still    = triage | todo | scheduled | ready | review // neither running, nor before a person, nor over
	live     = still | blocked | done | taken
	anywhere = live | archived
)

// transition says that a command by one of the parties works on a task in one
// of the places, and where the task is afterwards.
type transition struct {
	command string
	by      party
	from    places
	to      places
}

// The two moves that no command makes of itself: a task follows its parents.
const (
	edgeMet    = "(edge met)"
	edgeOpened = "(edge opened)"
)

// transitions is the state machine. Decide refuses what is not in it.
var transitions = []transition{
	{"create_tasks", person | dispatcher | ownRun, nowhere, triage | todo | scheduled | ready | blocked},
	{"specify_task", person | dispatcher, triage, todo | scheduled | ready},
	{"decompose_task", person | dispatcher, triage, todo | scheduled},
	{"fail_plan", person | dispatcher, triage, same | blocked},
	{edgeMet, 0, todo, scheduled | ready | review},
	{edgeOpened, 0, scheduled | ready | review, todo},
	{"promote_task", person, triage | todo | scheduled, triage | todo | scheduled | ready | review},
	{"promote_task", dispatcher, scheduled, triage | todo | ready | review},
	{"schedule_task", person, still | blocked | done, scheduled},

	{"claim_task", person | dispatcher, ready, running},
	{"claim_task", person | dispatcher, review, reviewing},
	{"start_run", dispatcher | ownRun, taken, same},
	{"heartbeat", ownRun, taken, same},
	{"complete_task", ownRun, running, done},
	{"complete_task", person, still | blocked, done},
	{"request_review", ownRun, running, review},
	{"approve_task", ownRun, reviewing, done},
	{"approve_task", person, review, done},
	{"request_changes", ownRun, reviewing, todo | ready},
	{"request_changes", person, review, todo | ready},
	{"block_task", ownRun, taken, blocked | todo},
	{"block_task", person, still, blocked},
	{"stop_run", person | dispatcher, taken, same | todo | ready | review | blocked | done | archived},
	{"stop_run", person, still | blocked | done | archived, same},
	{"end_run", dispatcher | ownRun, taken, todo | ready | review | blocked | done | archived},
	{"end_run", dispatcher | ownRun, still | blocked | done | archived, same},
	{"refuse_calls", person | dispatcher | ownRun, anywhere, same},

	{"unblock_task", person | orchestrator, blocked, triage | todo | scheduled | ready | review},
	{"reopen_task", person, done | archived, triage | todo | scheduled | ready | review},
	{"archive_task", person, still | blocked | done, archived},
	{"link_tasks", person | orchestrator, live, same | todo | scheduled | ready | review},
	{"unlink_tasks", person, live, same | scheduled | ready | review},
	{"assign_task", person | dispatcher, live, same | todo | ready | review},
	{"edit_task", person | dispatcher, live, same},
	{"prioritize_task", person | dispatcher, live, same},
	{"set_tenant", person, still | blocked | done, same},
	{"set_model", person, live, same},
	{"comment_task", person | dispatcher | ownRun | peer, live, same},
	{"attach_file", person | dispatcher | ownRun, live, same},
	{"detach_file", person, live, same},
	{"subscribe", person | dispatcher, anywhere, same},
	{"unsubscribe", person | dispatcher, anywhere, same},
	{"record_sent", dispatcher, anywhere, same},
	{"record_dead", dispatcher, anywhere, same},
	{"retry_dead", person, anywhere, same},
	{"report_budget", dispatcher | ownRun, anywhere, same},
}

// byCommand finds the rows of a command.
var byCommand = func() map[string][]transition {
	m := make(map[string][]transition)
	for _, t := range transitions {
		m[t.command] = append(m[t.command], t)
	}
	return m
}()

// allowed returns the places from which the parties may send the command at
// all, and whether the place is one of them.
func allowed(command string, by party, at places) (from places, ok bool) {
	for _, t := range byCommand[command] {
		if t.by&by != 0 {
			from |= t.from
		}
	}
	return from, from&at != 0
}

// String returns the places in the order of the columns, for example "todo ready".
func (p places) String() string {
	var b []string
	if p&nowhere != 0 {
		b = append(b, "-")
	}
	for _, s := range events.Statuses() {
		if p&(1<<s) != 0 {
			b = append(b, s.String())
		}
		if s == events.Running && p&reviewing != 0 {
			b = append(b, "reviewing")
		}
	}
	if p&same != 0 {
		b = append(b, "same")
	}
	return strings.Join(b, " ")
}

// String returns for example "person run"; none is "rule".
func (p party) String() string {
	if p == 0 {
		return "rule"
	}
	var b []string
	for i, w := range partyWords {
		if p&(1<<i) != 0 {
			b = append(b, w)
		}
	}
	return strings.Join(b, " ")
}
