package boards

import (
	"slices"

	"github.com/hermesboard/hermes/events"
)

func (d *decision) linkTasks(c LinkTasks) *Rejection {
	t, parent, r := d.linked(c)
	if r != nil {
		return r
	}
	needs := c.Needs
	if needs == 0 {
		needs = events.NeedsPass
	}
	e := edge{parent: c.Parent, needs: needs}
	edges := slices.Clone(t.parents)
	switch i := t.edgeTo(c.Parent); {
	case needs > events.NeedsAny:
		return reject(CodeBadCommand, c.Child, "", "a link needs pass or any")
	case i >= 0 && edges[i] == e:
		return reject(CodeAlready, c.Child, "", "%v waits for %v already", c.Child, c.Parent)
	case i >= 0:
		edges[i] = e
	case len(edges) >= MaxParents || len(parent.children) >= MaxChildren:
		return reject(CodeTooMany, c.Child, "", "a task has at most %d parents and %d children", MaxParents, MaxChildren)
	case d.s.waitsFor(c.Parent, c.Child):
		return reject(CodeCycle, c.Child, "", "%v waits for %v already: the link would close a circle", c.Parent, c.Child)
	default:
		edges = append(edges, e)
	}
	after := d.add(d.about(c.Child, t, events.TaskLinked{Parent: c.Parent, Needs: needs}, nil))
	if !d.s.met(e, settled{}) && demotable(t) && t.status != events.Scheduled {
		d.add(events.Draft{Task: c.Child, Tenant: d.s.names.text(t.tenant), After: after, Data: events.TaskDemoted{Parent: c.Parent}})
		return nil
	}
	d.freed(c.Child, t, edges, after)
	return nil
}

// linked finds both ends of a link that the sender may make.
func (d *decision) linked(c LinkTasks) (child, parent *task, r *Rejection) {
	if child, r = d.may(c, c.Child); r != nil {
		return nil, nil, r
	}
	parent = d.s.task(c.Parent)
	switch {
	case parent == nil:
		return nil, nil, noTask(c.Parent)
	case c.Parent == c.Child:
		return nil, nil, reject(CodeCycle, c.Child, "", "%v cannot wait for itself", c.Child)
	case d.me != nil && d.on(c.Parent, parent) == 0:
		return nil, nil, reject(CodeNotYours, c.Parent, "", "%v is of another tenant", c.Parent)
	case parent.status == events.Archived && parent.verdict == 0:
		return nil, nil, reject(CodeWrongStatus, c.Parent, wayOut(c.Parent, parent, ""), "%v is archived and was never done: nothing can wait for it", c.Parent)
	}
	return child, parent, nil
}

// freed moves a waiting task on if none of the edges it now has holds it.
func (d *decision) freed(id events.TaskID, t *task, edges []edge, after int) {
	if t.status != events.Todo || !d.s.allMet(edges, settled{}) {
		return
	}
	to := t.phase
	if t.startAt > d.e.Now {
		to = events.Scheduled
	}
	d.add(events.Draft{Task: id, Tenant: d.s.names.text(t.tenant), After: after, Data: events.TaskPromoted{To: to}})
}

func (d *decision) unlinkTasks(c UnlinkTasks) *Rejection {
	t, r := d.may(c, c.Child)
	if r != nil {
		return r
	}
	i := t.edgeTo(c.Parent)
	if i < 0 {
		return reject(CodeNotFound, c.Child, "hermes kanban show "+c.Child.String(), "%v does not wait for %v", c.Child, taskOr(c.Parent, "nothing"))
	}
	after := d.add(d.about(c.Child, t, events.TaskUnlinked{Parent: c.Parent}, nil))
	d.freed(c.Child, t, slices.Delete(slices.Clone(t.parents), i, i+1), after)
	return nil
}
