package dispatcher

import (
	"cmp"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Explain says what holds a task, or that nothing does: the reason is then
// [ReasonStart]. It has an answer for every task, and without prose. A task
// that Explain would start may still have to wait for others before it in the
// queue to take the free slots: see [Next].
func Explain(v *projections.View, task events.TaskID, f Facts, now events.Time) projections.Hold {
	return newPass(v, &f, now).explain(task)
}

// pass is one walk over the queue: the view and the facts, and what the walk
// has started so far, which counts for the tasks behind.
type pass struct {
	v      *projections.View
	f      *Facts
	policy events.Policy
	now    events.Time

	spent   *hold                                      // what the board's budgets say; nil = not looked at yet
	aside   map[projections.Spender]projections.Amount // of them for open runs
	summed  bool                                       // aside is
	started int32
	agents  map[string]int32
	tenants map[string]int32
	folders map[string]events.TaskID
}

func newPass(v *projections.View, f *Facts, now events.Time) *pass {
	p := &pass{v: v, f: f, now: now}
	p.policy, _ = v.Policy()
	return p
}

// count takes note of a start.
func (p *pass) count(t *projections.Task, agent string) {
	if p.agents == nil {
		p.agents, p.tenants, p.folders = map[string]int32{}, map[string]int32{}, map[string]events.TaskID{}
	}
	p.started++
	p.agents[agent]++
	p.tenants[t.Tenant]++
	if folder := t.Folder(); folder != "" {
		p.folders[folder] = t.ID
	}
}

type hold = projections.Hold

// free is the answer that nothing holds a task.
var free = hold{Reason: ReasonStart}

// explain goes from what a person must mend to what passes by itself, so that
// the answer is the one to act on.
func (p *pass) explain(task events.TaskID) hold {
	t := p.v.Task(task)
	if t == nil {
		return hold{Reason: NotOnBoard}
	}
	if h := p.place(t); h.Reason != "" {
		return h
	}
	lane := projections.Lane{Agent: t.Who(), Tenant: t.Tenant}
	for _, h := range []hold{p.board(), p.agent(lane), p.task(t), p.boardRoom(), p.laneRoom(lane)} {
		if h.Reason != "" {
			if h.Since == 0 {
				h.Since = t.Since
			}
			return h
		}
	}
	return free
}

// place answers for tasks that are not in the queue.
func (p *pass) place(t *projections.Task) hold {
	switch t.Status {
	case events.Triage:
		return hold{Reason: Triage, Since: t.Since, Until: later(t.PlanRetryAt, p.now)}
	case events.Todo:
		return p.parents(t)
	case events.Scheduled:
		if t.StartAt != 0 && t.StartAt <= p.now && p.f.Dispatcher != Serving {
			return hold{Reason: NoDispatcher, Since: t.StartAt}
		}
		return hold{Reason: Scheduled, Since: t.Since, Until: later(t.StartAt, p.now)}
	case events.Running:
		return p.running(t)
	case events.Blocked:
		if t.Block != nil {
			return hold{Reason: t.Block.Kind.String(), Since: t.Block.Since}
		}
		return hold{Reason: events.BlockPerson.String(), Since: t.Since}
	case events.Review:
		if t.Reviewer == "" {
			return hold{Reason: ReviewPerson, Since: t.Since}
		}
	case events.Done, events.Archived:
		if t.Run != nil {
			return p.ending(t, Ending)
		}
		if t.Status == events.Archived {
			return hold{Reason: Archived, Since: t.Since}
		}
		return hold{Reason: Done, Since: t.Since}
	}
	return hold{}
}

// later returns an instant if it is still to come.
func later(at, now events.Time) events.Time {
	if at > now {
		return at
	}
	return 0
}

// parents says which parents a task waits for. One that ended otherwise, or
// was put away, matters more than those that are on their way.
func (p *pass) parents(t *projections.Task) hold {
	h := hold{Reason: Parent, Since: t.Since, Tasks: p.v.Open(t)}
	var failed, archived []events.TaskID
	for _, id := range h.Tasks {
		switch parent := p.v.Task(id); {
		case parent == nil:
		case parent.Verdict != 0:
			failed = append(failed, id)
		case parent.Status == events.Archived:
			archived = append(archived, id)
		}
	}
	switch {
	case failed != nil:
		h.Reason, h.Tasks = ParentFailed, failed
	case archived != nil:
		h.Reason, h.Tasks = ParentArchived, archived
	}
	return h
}

func (p *pass) running(t *projections.Task) hold {
	r := t.Run
	switch {
	case r == nil:
		return hold{Reason: Running, Since: t.Since}
	case r.Stopping:
		return p.ending(t, StoppingRun)
	case r.Person():
		return hold{Reason: Claimed, Since: r.Claimed}
	case r.Started == 0:
		return hold{Reason: Starting, Since: r.Claimed}
	}
	return hold{Reason: Running, Since: r.Started}
}

// ending answers for a run that is on its way out, or should be.
func (p *pass) ending(t *projections.Task, reason string) hold {
	h := hold{Reason: reason, Since: t.Since, Tasks: []events.TaskID{t.ID}}
	if t.Run.StopAt != 0 {
		h.Since = t.Run.StopAt
	}
	if since, stuck := p.f.Stuck[t.Run.ID]; stuck {
		h.Reason, h.Since = StuckKill, since
	}
	return h
}

// board holds every task.
func (p *pass) board() hold {
	b := p.v.Board()
	switch {
	case b.PausedAt != 0 && b.Drain:
		return hold{Reason: Draining, Since: b.PausedAt}
	case b.PausedAt != 0:
		return hold{Reason: Paused, Since: b.PausedAt}
	case p.f.Dispatcher == Absent:
		return hold{Reason: NoDispatcher}
	case p.f.Dispatcher == Stopping:
		return hold{Reason: DispatcherStopping}
	}
	return hold{}
}

// agent holds all tasks of a lane because of who would do them.
func (p *pass) agent(lane projections.Lane) hold {
	name := who(lane, &p.policy)
	if name == "" {
		return hold{Reason: NoAssignee}
	}
	a, known := p.f.Agents[name]
	if !known {
		return hold{Reason: AgentUnknown}
	}
	if a.Problem != "" {
		return hold{Reason: a.Problem}
	}
	if h, held := p.v.Held(name, p.now); held {
		return hold{Reason: AgentHeld, Since: h.Since, Until: h.Until}
	}
	return hold{}
}

// task holds the one task.
func (p *pass) task(t *projections.Task) hold {
	if t.Run != nil {
		return p.ending(t, PreviousRunEnding)
	}
	if h := p.parents(t); len(h.Tasks) > 0 { // linked while it ran, and then sent to review
		return h
	}
	var own [4]purse // on the stack: this is asked of every task in the queue
	if _, empty := spentOut(p.ownPurses(own[:0], t)); empty {
		return hold{Reason: Budget, Tasks: []events.TaskID{t.ID}}
	}
	if t.RetryAt > p.now {
		return hold{Reason: RetryWait, Until: t.RetryAt}
	}
	if r, refused := p.f.Refused[t.ID]; refused && r.Until > p.now {
		return hold{Reason: cmp.Or(r.Problem, ClaimRefused), Since: r.Since, Until: r.Until}
	}
	folder := t.Folder()
	if folder == "" {
		return hold{}
	}
	if p.v.InUse(folder) {
		return hold{Reason: FolderInUse, Tasks: p.v.UsedBy(folder)}
	}
	if other, used := p.folders[folder]; used {
		return hold{Reason: FolderInUse, Tasks: []events.TaskID{other}}
	}
	return hold{}
}

// boardRoom holds every task because there is no room or money for any.
func (p *pass) boardRoom() hold {
	if p.spent == nil { // it does not change while the queue is walked
		p.spent = &hold{}
		if b, empty := spentOut(p.boardPurses(nil)); empty {
			p.spent = &hold{Reason: Budget, Until: b.until}
		}
	}
	if p.spent.Reason != "" {
		return *p.spent
	}
	if c := p.policy.BoardCap; c > 0 && p.v.OpenCount()+p.started >= c {
		return hold{Reason: BoardCap, Tasks: runningTasks(p.v.OpenRuns())}
	}
	if p.freeSlots() <= 0 {
		return hold{Reason: HostSlots}
	}
	return hold{}
}

// freeSlots is what the host has left, and no more than the board's policy allows it.
func (p *pass) freeSlots() int32 {
	left := int32(p.f.Free)
	if limit := p.policy.HostSlots; limit > 0 {
		left = min(left, limit-int32(p.f.Slots-p.f.Free))
	}
	return left - p.started
}

// laneRoom holds all tasks of a lane because its agent or tenant has its share.
func (p *pass) laneRoom(lane projections.Lane) hold {
	name := who(lane, &p.policy)
	var shared [12]purse // on the stack, as above
	if b, empty := spentOut(p.lanePurses(shared[:0], lane)); empty {
		return hold{Reason: Budget, Until: b.until}
	}
	if p.metered(lane) {
		if _, short := p.shortOf(p.sharedPurses(shared[:0], lane)); short {
			return hold{Reason: Budget, Tasks: runningTasks(p.v.OpenRuns())}
		}
	}
	if c := capOf(name, p.policy.AgentCaps, p.policy.AgentCap); c > 0 && p.v.OpenOf(name)+p.agents[name] >= c {
		return hold{Reason: AgentCap, Tasks: p.runsOf(func(r *projections.Run) bool { return r.Agent == name })}
	}
	if lane.Tenant == "" {
		return hold{}
	}
	if c := capOf(lane.Tenant, p.policy.TenantCaps, p.policy.TenantCap); c > 0 && p.v.OpenFor(lane.Tenant)+p.tenants[lane.Tenant] >= c {
		return hold{Reason: TenantCap, Tasks: p.runsOf(func(r *projections.Run) bool { return r.Tenant == lane.Tenant })}
	}
	return hold{}
}

// runsOf returns the tasks of the open runs that match.
func (p *pass) runsOf(match func(*projections.Run) bool) []events.TaskID {
	var runs []*projections.Run
	for _, r := range p.v.OpenRuns() {
		if match(r) {
			runs = append(runs, r)
		}
	}
	return runningTasks(runs)
}

func runningTasks(runs []*projections.Run) []events.TaskID {
	tasks := make([]events.TaskID, len(runs))
	for i, r := range runs {
		tasks[i] = r.ID.Task
	}
	return tasks
}
