package projections

import "github.com/hermesboard/hermes/events"

// View is one read model of a board. It is not safe for concurrent use: Apply
// excludes everything else. NewView makes one.
type View struct {
	head     uint64
	board    Board
	policy   events.Policy
	policyAt uint64
	held     map[string]AgentHold
	pages    []*[pageLen]Task
	last     events.TaskID     // the highest task there is
	names    map[string]string // one copy of each name that rows hold
	spent    spent
	notices  notices

	// What follows is made from the rows and kept up by move, open and shut.

	columns  [events.Archived + 1]index // tasks by status, in the order of the queue
	queue    map[Lane]*index
	starts   index // scheduled tasks by the time they start
	retries  index // startable tasks by the time they may be tried again
	waiting  index // ready tasks by the time they became it
	asking   index // tasks that wait for a person, oldest first
	open     index // tasks with an open run, by its fence
	agents   map[string]int32
	tenants  map[string]int32
	folders  map[string]int32
	people   map[string]*NameCount
	finished minutes
}

// NewView returns the view of an empty log.
func NewView() *View {
	return &View{
		held:    map[string]AgentHold{},
		names:   map[string]string{},
		queue:   map[Lane]*index{},
		agents:  map[string]int32{},
		tenants: map[string]int32{},
		folders: map[string]int32{},
		people:  map[string]*NameCount{},
		spent:   newSpent(),
	}
}

// Head returns the position of the last record applied.
func (v *View) Head() uint64 { return v.head }

// Apply folds the next record. It takes any record: what makes no sense at its
// place changes nothing. Nothing of r is kept but strings.
func (v *View) Apply(r *events.Record) {
	v.head = r.Seq
	if v.applyBoard(r) || v.applyNotice(r) {
		return
	}
	t := v.row(r.Task)
	if t == nil {
		return
	}
	before := t.place()
	if p, ok := r.Data.(events.TaskCreated); ok {
		v.created(t, r, p)
	}
	if t.Status == 0 {
		return
	}
	if !v.applyTask(t, r) {
		v.applyRun(t, r)
	}
	if run := t.Run; run != nil && run.ID == r.Run && r.Actor.Kind == events.Worker {
		run.LastSign = r.Time
	}
	t.Updated = r.Time
	v.move(t.ID, before, t.place())
}

// applyTask folds the events about a task; it reports whether r is one.
func (v *View) applyTask(t *Task, r *events.Record) bool {
	switch p := r.Data.(type) {
	case events.TaskCreated, events.TaskCommented, events.TaskAttached, events.TaskDetached:
	case events.TaskEdited:
		v.edited(t, r, p)
	case events.TaskAssigned:
		t.Assignee, t.Implementer, t.RetryAt = v.name(p.Assignee), "", 0
	case events.TaskPrioritized:
		t.Priority = p.Priority
	case events.TenantChanged:
		t.Tenant = v.name(p.Tenant)
	case events.ModelChanged:
		t.Model = v.name(p.Model)
	case events.TaskLinked:
		v.link(t, events.Edge(p))
	case events.TaskUnlinked:
		v.unlink(t, p.Parent)
	case events.TaskPromoted:
		t.become(p.To, r.Time)
		t.StartAt = 0
		t.waive(p.Waived)
	case events.TaskDemoted:
		t.become(events.Todo, r.Time)
	case events.TaskSpecified:
		v.specified(t, r, p)
	case events.TaskDecomposed:
		v.decomposed(t, r, p)
	case events.PlanFailed:
		t.PlanTries, t.PlanRetryAt = p.Attempt, p.RetryAt
	case events.TaskScheduled:
		t.become(events.Scheduled, r.Time)
		t.StartAt = p.At
	case events.TaskUnblocked:
		v.unblocked(t, r, p)
	case events.TaskReopened:
		t.become(p.To, r.Time)
		t.RetryAt = 0
	case events.TaskArchived:
		t.become(events.Archived, r.Time)
	default:
		return false
	}
	return true
}

// place is all that indexes and counts know of a task.
type place struct {
	status   events.Status
	queued   bool
	asks     bool
	priority int32
	assignee string
	lane     Lane
	since    events.Time
	start    events.Time
	retry    events.Time
	ended    events.Time
}

func (t *Task) place() place {
	p := place{status: t.Status, priority: t.Priority, assignee: t.Assignee, since: t.Since, ended: t.Ended}
	switch t.Status {
	case events.Ready:
		p.queued = true
	case events.Review:
		p.queued, p.asks = t.Reviewer != "", t.Reviewer == ""
	case events.Blocked:
		p.asks = true
	case events.Scheduled:
		p.start = t.StartAt
	case events.Triage:
		p.asks = t.PlanTries > 0 && t.PlanRetryAt == 0
	}
	if p.queued {
		p.lane, p.retry = Lane{t.Who(), t.Tenant}, t.RetryAt
	}
	return p
}

// move brings indexes and counts from one place of a task to another.
func (v *View) move(id events.TaskID, a, b place) {
	if a == b {
		return
	}
	pa, pb := byPriority(id, a.priority), byPriority(id, b.priority)
	if a.status != b.status || pa != pb {
		if a.status != 0 {
			v.columns[a.status].remove(pa)
		}
		v.columns[b.status].insert(pb)
	}
	qa, qb := inQueue(id, a.priority, v.policy.Order), inQueue(id, b.priority, v.policy.Order)
	if a.queued != b.queued || a.lane != b.lane || a.queued && qa != qb {
		if a.queued {
			v.dequeue(a.lane, qa)
		}
		if b.queued {
			v.enqueue(b.lane, qb)
		}
	}
	sa, sb := byTime(id, a.since), byTime(id, b.since)
	shift(&v.waiting, a.status == events.Ready, sa, b.status == events.Ready, sb)
	shift(&v.asking, a.asks, sa, b.asks, sb)
	shift(&v.starts, a.start != 0, byTime(id, a.start), b.start != 0, byTime(id, b.start))
	shift(&v.retries, a.retry != 0, byTime(id, a.retry), b.retry != 0, byTime(id, b.retry))
	if a.status != b.status || a.assignee != b.assignee {
		v.count(a, -1)
		v.count(b, +1)
	}
	if a.ended != b.ended {
		v.finished.add(a.ended, -1)
		v.finished.add(b.ended, +1)
	}
}

// shift brings one index from one item to another, each of which may be none.
func shift(x *index, was bool, a item, is bool, b item) {
	if was == is && (!was || a == b) {
		return
	}
	if was {
		x.remove(a)
	}
	if is {
		x.insert(b)
	}
}

// name returns the one copy of s that rows hold.
func (v *View) name(s string) string {
	if s == "" {
		return ""
	}
	if have, ok := v.names[s]; ok {
		return have
	}
	v.names[s] = s
	return s
}
