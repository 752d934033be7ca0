package projections

import (
	"slices"

	"github.com/hermesboard/hermes/events"
)

// link adds an edge, or replaces the one to the same parent.
func (v *View) link(child *Task, e events.Edge) {
	parent := v.row(e.Parent)
	if parent == nil || parent == child {
		return
	}
	edge := Edge{Edge: e}
	if i := slices.IndexFunc(child.Parents, func(have Edge) bool { return have.Parent == e.Parent }); i >= 0 {
		child.Parents[i] = edge
		return
	}
	child.Parents = append(child.Parents, edge)
	parent.Children = append(parent.Children, child.ID)
}

func (v *View) unlink(child *Task, parent events.TaskID) {
	i := slices.IndexFunc(child.Parents, func(e Edge) bool { return e.Parent == parent })
	if i < 0 {
		return
	}
	child.Parents = slices.Delete(child.Parents, i, i+1)
	if p := v.row(parent); p != nil {
		p.Children = slices.DeleteFunc(p.Children, func(c events.TaskID) bool { return c == child.ID })
	}
}

// waive marks the edges to some parents as no longer counting.
func (t *Task) waive(parents []events.TaskID) {
	for i := range t.Parents {
		if slices.Contains(parents, t.Parents[i].Parent) {
			t.Parents[i].Waived = true
		}
	}
}

// Met reports whether an edge no longer holds its child: its parent ended with
// the verdict needed, or a person waived it.
func (v *View) Met(e Edge) bool {
	if e.Waived {
		return true
	}
	p := v.Task(e.Parent)
	if p == nil {
		return false
	}
	return p.Verdict == events.Pass || e.Needs == events.NeedsAny && p.Verdict != 0
}

// Open returns the parents a task still waits for, in the order of its edges.
func (v *View) Open(t *Task) []events.TaskID {
	var open []events.TaskID
	for _, e := range t.Parents {
		if !v.Met(e) {
			open = append(open, e.Parent)
		}
	}
	return open
}

// HoldsUp returns the children that would have to wait for this task now, in
// order of creation: those in todo whose edge to it is open.
func (v *View) HoldsUp(t *Task) []events.TaskID {
	if t.Verdict == events.Pass {
		return nil
	}
	var waiting []events.TaskID
	for _, id := range t.Children {
		child := v.Task(id)
		if child == nil || child.Status != events.Todo {
			continue
		}
		for _, e := range child.Parents {
			if e.Parent == t.ID && !v.Met(e) {
				waiting = append(waiting, id)
			}
		}
	}
	slices.Sort(waiting)
	return waiting
}
