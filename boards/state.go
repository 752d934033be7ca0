package boards

import (
	"math"
	"slices"

	"github.com/hermesboard/hermes/events"
)

// State is what the rules of one board need to know: the fold of its log, and
// nothing that only screens need. Not safe for concurrent use, except that any
// number of readers and Decide may run while nothing calls Evolve.
type State struct {
	head      uint64
	board     events.BoardID
	slug      string
	policy    events.Policy
	policySeq uint64
	paused    bool
	drain     bool

	names names
	tasks shelf

	// Found by what they exclude; all three follow from tasks.
	tokens  map[events.Digest]events.TaskID // token → the task whose un-ended run has it
	folders map[name]events.TaskID          // folder → the task whose un-ended run works there
	running int                             // un-ended runs

	held        map[name]hold            // agents that must not be started
	attachments map[uint64]events.TaskID // position of the event → task
	subs        map[subscription]bool
	dead        map[letter]bool // messages that were given up
	budgets     map[budget]mark // how much of it was reported
}

// task is one card. Ordered by size: there are many.
type task struct {
	startAt   events.Time // not before; forever = until promoted
	retryAt   events.Time
	rateSince events.Time // first of the rate limits in a row
	maker     uint64      // fence of the run that created it

	parents  []edge
	children []events.TaskID // ascending
	run      *run            // not ended

	runs        uint32 // attempts so far
	failures    uint32
	noVerdicts  uint32
	losses      uint32
	maxRetries  uint32
	blockStreak uint32
	plans       uint32  // failed attempts of a planner
	paid        uint32  // attempts in a row that cost something and ended as cause says
	last        [2]lane // latest attempts at doing and at reviewing it

	assignee, reviewer, implementer, tenant name
	place                                   name // workspace: "dir:/path" or "repo:/path"
	folder                                  name // what no other run may share; empty = nothing

	status     events.Status
	phase      events.Status
	verdict    events.Verdict // zero = not done
	block      events.BlockKind
	blockSaid  events.BlockKind // kind the streak counts
	cause      events.Outcome   // what paid counts; 0 = nothing
	options    uint8
	rough      bool // in triage, or would be if nothing else held it
	decomposed bool
	fresh      bool // the next run starts clean
}

const forever = events.Time(math.MaxInt64)

// edge is a dependency on a parent.
type edge struct {
	parent events.TaskID
	needs  events.Needs
	waived bool
}

// lane is the last attempt that really ran in one phase.
type lane struct {
	n      uint32
	agent  name
	goesOn bool
}

// run is an attempt whose process tree is not proven gone.
type run struct {
	id         events.RunID
	fence      uint64
	token      events.Digest // zero = a person's claim
	claimed    events.Time
	beat       events.Time
	expiresMS  int64
	agent      name
	owner      name // a person's claim: whose
	folder     name
	role       events.Role
	phase      events.Status
	started    bool
	verdict    events.Outcome // zero = none yet
	verdictSeq uint64
	stop       uint64 // position of run.stopping; zero = not stopping
	outcome    events.Outcome
	then       events.Then
	final      events.Verdict // what then=complete or cancel says
}

func (r *run) personal() bool { return r.token == events.Digest{} }

// live reports whether the run may still speak for its task.
func (r *run) live() bool { return r.verdict == 0 && r.stop == 0 }

// hold keeps an agent from being started.
type hold struct {
	cause events.Outcome
	until events.Time // zero = until released
}

// NewState returns the state before the first record.
func NewState() *State {
	return &State{
		names:       newNames(),
		tokens:      make(map[events.Digest]events.TaskID),
		folders:     make(map[name]events.TaskID),
		held:        make(map[name]hold),
		attachments: make(map[uint64]events.TaskID),
		subs:        make(map[subscription]bool),
		dead:        make(map[letter]bool),
		budgets:     make(map[budget]mark),
	}
}

// name is a short string of which there are few: an index into names. Zero is "".
type name uint32

// names holds each name once.
type names struct {
	list  []string
	index map[string]name
}

func newNames() names { return names{[]string{""}, map[string]name{"": 0}} }

func (n *names) text(i name) string { return n.list[i] }

// intern returns the name of s, making one if there is none.
func (n *names) intern(s string) name {
	i, ok := n.index[s]
	if !ok {
		i = name(len(n.list))
		n.list = append(n.list, s)
		n.index[s] = i
	}
	return i
}

// task returns a task, or nil.
func (s *State) task(id events.TaskID) *task {
	if id == 0 || int64(id) > int64(s.tasks.n) {
		return nil
	}
	return s.tasks.at(id)
}

// place returns where the task is in the terms of the transition table.
func (t *task) at() places {
	if t.status == events.Running && t.phase == events.Review {
		return reviewing
	}
	return 1 << t.status
}

// settled is a verdict that a command is about to give or take.
type settled struct {
	task    events.TaskID
	verdict events.Verdict
}

// met reports whether an edge lets its child go, once what is settled holds.
func (s *State) met(e edge, o settled) bool {
	if e.waived {
		return true
	}
	var v events.Verdict
	if e.parent == o.task {
		v = o.verdict
	} else if p := s.task(e.parent); p != nil {
		v = p.verdict
	}
	return v != 0 && (e.needs == events.NeedsAny || v == events.Pass)
}

// allMet reports whether no edge of the list holds its child.
func (s *State) allMet(edges []edge, o settled) bool {
	for _, e := range edges {
		if !s.met(e, o) {
			return false
		}
	}
	return true
}

// rest returns where a task goes that nobody works on and that waits for nobody.
func (s *State) rest(t *task, now events.Time, o settled) events.Status {
	switch {
	case t.rough:
		return events.Triage
	case t.startAt > now:
		return events.Scheduled
	case !s.allMet(t.parents, o):
		return events.Todo
	}
	return t.phase
}

// waitsFor reports whether a task depends on another, at any distance.
func (s *State) waitsFor(child, ancestor events.TaskID) bool {
	if child == ancestor {
		return true
	}
	seen := make([]uint64, s.tasks.n/64+1) // a bit for each task
	stack := []events.TaskID{child}
	for len(stack) > 0 {
		t := s.task(stack[len(stack)-1])
		stack = stack[:len(stack)-1]
		if t == nil {
			continue
		}
		for _, e := range t.parents {
			if e.parent == ancestor {
				return true
			}
			if word, bit := &seen[e.parent/64], uint64(1)<<(e.parent%64); *word&bit == 0 {
				*word |= bit
				stack = append(stack, e.parent)
			}
		}
	}
	return false
}

// edgeTo returns the index of the edge to a parent, or -1.
func (t *task) edgeTo(parent events.TaskID) int {
	return slices.IndexFunc(t.parents, func(e edge) bool { return e.parent == parent })
}

func laneOf(phase events.Status) int {
	if phase == events.Review {
		return 1
	}
	return 0
}
