package boards

import (
	"fmt"

	"github.com/hermesboard/hermes/events"
)

func (d *decision) createTasks(c CreateTasks) *Rejection {
	who := d.who
	if _, ok := allowed(c.CommandName(), who, nowhere); !ok {
		return reject(CodeNotYours, 0, "", "%s is not for %v", c.CommandName(), d.e.By.Actor)
	}
	return d.newTasks(c.Tasks, origin{})
}

// origin says where new tasks come from when it is not a plain create.
type origin struct {
	of       events.TaskID // the task they are the parts of
	tenant   string        // which they inherit
	assignee string
}

// newTasks drafts the creation of tasks, each after those it names as parents.
func (d *decision) newTasks(list []NewTask, o origin) *Rejection {
	switch n := len(list); {
	case n == 0:
		return reject(CodeBadCommand, o.of, "", "no task is given")
	case n > events.MaxCommandTasks:
		return reject(CodeTooMany, o.of, "", "%d tasks, at most %d in one command", n, events.MaxCommandTasks)
	case d.s.tasks.n+n > 1<<31:
		return reject(CodeTooMany, o.of, "", "the board has no more numbers for tasks")
	}
	if d.me != nil {
		o.tenant = d.s.names.text(d.s.task(d.me.id.Task).tenant)
	}
	b := batch{decision: d, origin: o, first: events.TaskID(d.s.tasks.n) + 1, n: len(list)}
	for i := range list {
		if r := b.create(i, &list[i]); r != nil {
			if len(list) > 1 {
				r.Detail = fmt.Sprintf("task %d of %d: %s", i+1, len(list), r.Detail)
			}
			return r
		}
	}
	return nil
}

// batch is the tasks of one command while they are made.
type batch struct {
	*decision
	origin
	first    events.TaskID
	n        int
	children map[events.TaskID]int // given to tasks that exist
}

func (b *batch) create(i int, n *NewTask) *Rejection {
	id := b.first + events.TaskID(i)
	assignee, reviewer, tenant := fold(n.Assignee), fold(n.Reviewer), fold(n.Tenant)
	if assignee == "" {
		assignee = fold(b.assignee)
	}
	if r := firstBad(0, title(n.Title), prose("body", n.Body, MaxBody),
		agentName("assignee", assignee), agentName("reviewer", reviewer), tenantName(tenant),
		instant("start_at", n.StartAt), duration("max_runtime_ms", n.MaxRuntimeMS), retries(n.MaxRetries),
		modelName(n.Model), skills(n.Skills), workspace(n.Workspace), word("recipe", n.Recipe, "._-/", 200)); r != nil {
		return r
	}
	if tenant == "" {
		tenant = b.tenant
	}
	if r := b.within(n, tenant); r != nil {
		return r
	}
	parents, open, r := b.parents(i, n)
	if r != nil {
		return r
	}
	status := events.Ready
	switch {
	case n.Triage:
		status = events.Triage
	case n.Blocked:
		status = events.Blocked
	case n.StartAt > b.e.Now:
		status = events.Scheduled
	case open:
		status = events.Todo
	}
	draft := events.Draft{Task: id, Tenant: tenant, Cause: b.cause(), Data: events.TaskCreated{
		Status: status, Assignee: assignee, Reviewer: reviewer, Priority: n.Priority, Parents: parents, Workspace: n.Workspace,
		StartAt: n.StartAt, MaxRuntimeMS: n.MaxRuntimeMS, MaxRetries: n.MaxRetries, Model: n.Model, Skills: some(n.Skills), Recipe: n.Recipe,
	}, Text: &events.Fields{Title: n.Title, Body: n.Body}}
	made := b.add(draft)
	if status == events.Blocked {
		b.add(events.Draft{Task: id, Tenant: tenant, After: made, Data: events.TaskBlocked{Kind: events.BlockPerson, To: events.Blocked}})
	}
	return nil
}

// within keeps a run's new tasks to what the run itself has: its tenant and its workspace.
func (b *batch) within(n *NewTask, tenant string) *Rejection {
	if b.me == nil {
		return nil
	}
	mine := b.s.task(b.me.id.Task)
	if tenant != b.tenant {
		return reject(CodeNotYours, 0, "", "%v works for tenant %q, not for %q", b.me.id, b.tenant, tenant)
	}
	if p := place(n.Workspace); p != "" && p != b.s.names.text(mine.place) {
		return reject(CodeNotYours, 0, "", "%v may give a task its own workspace or a scratch one, not %s", b.me.id, p)
	}
	return nil
}

// place spells a workspace that is a place on the host, and "" for any other.
func place(w events.Workspace) string {
	switch w.Kind {
	case events.Dir:
		return "dir:" + w.Path
	case events.Repo:
		return "repo:" + w.Path
	}
	return ""
}

// parents returns the edges of the i-th new task and whether one of them holds it.
func (b *batch) parents(i int, n *NewTask) (edges []events.Edge, open bool, r *Rejection) {
	if len(n.Parents) > MaxParents {
		return nil, false, reject(CodeTooMany, 0, "", "%d parents, at most %d", len(n.Parents), MaxParents)
	}
	for _, p := range n.Parents {
		e := events.Edge{Parent: p.Task, Needs: p.Needs}
		if e.Needs == 0 {
			e.Needs = events.NeedsPass
		}
		switch {
		case e.Needs > events.NeedsAny || (p.Task == 0) == (p.New == 0):
			return nil, false, reject(CodeBadCommand, 0, "", "a parent is a task or one of the new ones, and needs pass or any")
		case p.New == i+1:
			return nil, false, reject(CodeCycle, 0, "", "the task is its own parent")
		case p.New < 0 || p.New > i:
			return nil, false, reject(CodeBadCommand, 0, "", "parent %d comes later; parents come first", p.New)
		case p.New > 0:
			e.Parent = b.first + events.TaskID(p.New) - 1
			open = true
		default:
			if r := b.existing(p.Task); r != nil {
				return nil, false, r
			}
			open = open || !b.s.met(edge{parent: e.Parent, needs: e.Needs}, settled{})
		}
		for _, other := range edges {
			if other.Parent == e.Parent {
				return nil, false, reject(CodeBadCommand, e.Parent, "", "%v is named as parent twice", e.Parent)
			}
		}
		edges = append(edges, e)
	}
	return edges, open, nil
}

// existing checks a parent that is on the board already.
func (b *batch) existing(parent events.TaskID) *Rejection {
	t := b.s.task(parent)
	switch {
	case t == nil:
		return noTask(parent)
	case b.of != 0 && b.s.waitsFor(parent, b.of):
		return reject(CodeCycle, parent, "", "%v waits for %v already", parent, b.of)
	case b.me != nil && b.on(parent, t)&(ownRun|orchestrator) == 0:
		return reject(CodeNotYours, parent, "", "%v may add children to %v only", b.me.id, b.me.id.Task)
	}
	if b.children == nil {
		b.children = make(map[events.TaskID]int)
	}
	b.children[parent]++
	if len(t.children)+b.children[parent] > MaxChildren {
		return reject(CodeTooMany, parent, "", "%v would have more than %d children", parent, MaxChildren)
	}
	return nil
}

func retries(n uint32) string {
	if n > 1000 {
		return "max_retries is over 1000"
	}
	return ""
}

func (d *decision) specifyTask(c SpecifyTask) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	assignee := fold(c.Assignee)
	if r := firstBad(c.Task, line("title", c.Title, MaxTitle), prose("body", c.Body, MaxBody), agentName("assignee", assignee)); r != nil {
		return r
	}
	text := said(events.Fields{Title: c.Title, Body: c.Body})
	d.add(d.about(c.Task, t, events.TaskSpecified{Title: c.Title != "", Body: c.Body != "", To: d.s.smooth(t, d.e.Now), Assignee: assignee}, text))
	return nil
}

// smooth returns where a task goes from triage once it is a proper task.
func (s *State) smooth(t *task, now events.Time) events.Status {
	switch {
	case t.startAt > now:
		return events.Scheduled
	case !s.allMet(t.parents, settled{}):
		return events.Todo
	}
	return t.phase
}

func (d *decision) decomposeTask(c DecomposeTask) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	if t.decomposed {
		return reject(CodeAlready, c.Task, "hermes kanban specify "+c.Task.String(), "%v was decomposed before", c.Task)
	}
	assignee := fold(c.Assignee)
	if r := firstBad(c.Task, agentName("assignee", assignee), prose("reason", c.Reason, MaxReason)); r != nil {
		return r
	}
	if n := len(t.parents) + len(c.Children); n > MaxParents {
		return reject(CodeTooMany, c.Task, "", "%v would have %d parents, at most %d", c.Task, n, MaxParents)
	}
	first := events.TaskID(d.s.tasks.n) + 1
	if r := d.newTasks(c.Children, origin{of: c.Task, tenant: d.s.names.text(t.tenant)}); r != nil {
		return r
	}
	children := make([]events.TaskID, len(c.Children))
	for i := range children {
		children[i] = first + events.TaskID(i)
	}
	to := events.Todo
	if t.startAt > d.e.Now {
		to = events.Scheduled
	}
	d.add(d.about(c.Task, t, events.TaskDecomposed{To: to, Assignee: assignee, Children: children}, reason(c.Reason)))
	return nil
}

func (d *decision) failPlan(c FailPlan) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	p := events.PlanFailed{Attempt: t.plans + 1}
	evidence := said(events.Fields{Evidence: measured(c.Evidence, MaxEvidence)})
	if p.Attempt < d.s.policy.FailureLimit {
		p.RetryAt = d.e.Now.Add(Backoff(&d.s.policy, p.Attempt))
		d.add(d.about(c.Task, t, p, evidence))
		return nil
	}
	failed := d.about(c.Task, t, p, evidence)
	gaveUp := d.about(c.Task, t, events.TaskBlocked{Kind: events.BlockGaveUp, To: events.Blocked}, evidence)
	gaveUp.After = d.add(failed)
	d.add(gaveUp)
	return nil
}
