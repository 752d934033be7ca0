package projections

import (
	"maps"
	"slices"

	"github.com/hermesboard/hermes/events"
)

// Lane is the part of the queue that one agent works through for one tenant.
// Agent is empty for tasks nobody is named for. What holds an agent or a
// tenant holds whole lanes, so that the queue can be walked past them.
type Lane struct{ Agent, Tenant string }

// Queue walks the tasks that are ready, or wait for an agent's review, in the
// order in which they are to start by the policy. It is valid until the View
// changes.
type Queue struct {
	v     *View
	lanes merge
	begun bool
}

// Queue returns a walk over the lanes for which open is true.
func (v *View) Queue(open func(Lane) bool) *Queue {
	q := &Queue{v: v}
	for lane, x := range v.queue {
		if open(lane) {
			q.lanes.add(x)
		}
	}
	q.lanes.start() // items differ, so the order does not depend on that of the map
	return q
}

// Next moves to the next task; nil at the end.
func (q *Queue) Next() *Task {
	if q.begun && len(q.lanes) > 0 {
		q.lanes.advance()
	}
	q.begun = true
	return q.task()
}

// Skip leaves out the rest of the current task's lane and moves on.
func (q *Queue) Skip() *Task {
	if len(q.lanes) > 0 {
		q.lanes.drop()
	}
	return q.task()
}

func (q *Queue) task() *Task {
	if len(q.lanes) == 0 {
		return nil
	}
	return q.v.Task(q.lanes[0].get().task)
}

// reorder makes the queue anew, for another order.
func (v *View) reorder() {
	for _, x := range v.queue {
		items := make([]item, 0, x.len())
		for _, chunk := range x.chunks {
			for _, it := range chunk {
				items = append(items, inQueue(it.task, v.Task(it.task).Priority, v.policy.Order))
			}
		}
		*x = index{}
		x.fill(items)
	}
}

func (v *View) enqueue(lane Lane, it item) {
	x := v.queue[lane]
	if x == nil {
		x = new(index)
		v.queue[lane] = x
	}
	x.insert(it)
}

func (v *View) dequeue(lane Lane, it item) {
	if x := v.queue[lane]; x != nil {
		if x.remove(it); x.len() == 0 {
			delete(v.queue, lane)
		}
	}
}

// Lanes returns the lanes that have tasks, in no order.
func (v *View) Lanes() []Lane { return slices.Collect(maps.Keys(v.queue)) }

// Queued returns how many tasks the queue has.
func (v *View) Queued() int {
	n := 0
	for _, x := range v.queue {
		n += x.len()
	}
	return n
}

// Due returns the scheduled tasks whose time has come, earliest first, at most limit.
func (v *View) Due(now events.Time, limit int) []events.TaskID {
	var due []events.TaskID
	for _, chunk := range v.starts.chunks {
		for _, it := range chunk {
			if it.key > timeKey(now) || len(due) == limit {
				return due
			}
			due = append(due, it.task)
		}
	}
	return due
}

// NextTimer returns the first instant after now at which a task or an agent
// comes free by itself: a start time, a wait before a retry, the end of a hold.
// Zero means none.
func (v *View) NextTimer(now events.Time) events.Time {
	var next events.Time
	earlier := func(at events.Time) {
		if at > now && (next == 0 || at < next) {
			next = at
		}
	}
	for _, x := range []*index{&v.starts, &v.retries} {
		if it, ok := x.after(timeKey(now)); ok {
			earlier(events.Time(it.key ^ 1<<63))
		}
	}
	for _, h := range v.held {
		earlier(h.Until)
	}
	return next
}
