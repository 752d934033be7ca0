package projections

import (
	"slices"

	"github.com/hermesboard/hermes/events"
)

// Task is one task as the folds know it. A Task handed out by a [View] is part
// of it: it must not be changed, nor looked at once the View may change.
type Task struct {
	ID           events.TaskID
	Status       events.Status
	Phase        events.Status // ready or review: where a run claims it from
	Verdict      events.Verdict
	LastOutcome  events.Outcome // of the last ended run
	Priority     int32
	Attempts     uint32 // number of the last run
	MaxRetries   uint32
	PlanTries    uint32 // failed attempts to specify or decompose it
	Assignee     string
	Reviewer     string
	Implementer  string // whose work is under review
	Tenant       string
	Model        string
	Workspace    events.Workspace
	MaxRuntimeMS int64
	Parents      []Edge
	Children     []events.TaskID // in the order in which they were linked
	Created      events.Time
	Updated      events.Time
	Since        events.Time // when it got its status
	StartAt      events.Time
	RetryAt      events.Time
	PlanRetryAt  events.Time
	Ended        events.Time // when it got its verdict
	FirstAt      uint64      // position of its first record
	TitleAt      uint64
	HandoffAt    uint64 // the record that holds its result; 0 = none yet
	CostMicros   int64  // of its ended runs
	Tokens       int64
	OverBudget   int64  // what the last run had cost when it was ended over a budget; 0 = it was not
	OverTokens   int64  // the tokens it had used then
	Block        *Block // while blocked
	Run          *Run   // the run that has not ended
}

// Edge is a dependency on a parent. A waived one no longer counts.
type Edge struct {
	events.Edge
	Waived bool
}

// Block is why a task stands before a person.
type Block struct {
	Kind  events.BlockKind
	Said  events.BlockKind // the worker's own kind, where the rules changed it
	By    events.Actor
	Since events.Time
	Seq   uint64 // its record, which also has the text
}

// Who returns who is to do the task in its phase: the assignee, or the
// reviewer; empty = nobody named, or a person reviews.
func (t *Task) Who() string {
	if t.Phase == events.Review {
		return t.Reviewer
	}
	return t.Assignee
}

// become moves the task to a status. Words that are no status are ignored.
func (t *Task) become(s events.Status, at events.Time) {
	if s == 0 || s > events.Archived {
		return
	}
	if s != t.Status {
		t.Since = at
	}
	t.Status = s
	switch s {
	case events.Ready, events.Review:
		t.Phase = s
	}
	if s != events.Blocked {
		t.Block = nil
	}
	if s != events.Done && s != events.Archived {
		t.Verdict, t.Ended = 0, 0
	}
}

// end moves the task to done with a verdict.
func (t *Task) end(verdict events.Verdict, at events.Time) {
	t.become(events.Done, at)
	t.Verdict, t.Ended, t.StartAt = verdict, at, 0
	if verdict == events.Pass {
		t.RetryAt = 0
	}
}

const pageLen = 256 // tasks that lie together in memory

// row returns the row of a task that exists or may be about to: one command
// may name the tasks it makes before it makes them. Numbers far beyond the
// last task name nothing.
func (v *View) row(id events.TaskID) *Task {
	if id == 0 || uint64(id) > uint64(v.last)+events.MaxCommandTasks {
		return nil
	}
	i := int(id - 1)
	for i/pageLen >= len(v.pages) {
		v.pages = append(v.pages, new([pageLen]Task))
	}
	return &v.pages[i/pageLen][i%pageLen]
}

// Task returns the row of a task, nil if there is none.
func (v *View) Task(id events.TaskID) *Task {
	if id == 0 || id > v.last {
		return nil
	}
	i := int(id - 1)
	if t := &v.pages[i/pageLen][i%pageLen]; t.Status != 0 {
		return t
	}
	return nil
}

// created makes a row live. A second creation of a task is ignored.
func (v *View) created(t *Task, r *events.Record, p events.TaskCreated) {
	if t.Status != 0 || p.Status == 0 || p.Status > events.Archived {
		return
	}
	v.last = max(v.last, r.Task)
	t.ID = r.Task
	t.Phase = events.Ready
	t.Assignee = v.name(p.Assignee)
	t.Reviewer = v.name(p.Reviewer)
	t.Tenant = v.name(r.Tenant)
	t.Model = v.name(p.Model)
	t.Priority = p.Priority
	t.Workspace = v.workspace(p.Workspace)
	t.StartAt = p.StartAt
	t.MaxRuntimeMS, t.MaxRetries = p.MaxRuntimeMS, p.MaxRetries
	t.Created = r.Time
	t.FirstAt, t.TitleAt = r.Seq, r.Seq
	t.become(p.Status, r.Time)
	if p.Status == events.Blocked {
		t.Block = &Block{Kind: events.BlockPerson, By: v.actor(r.Actor), Since: r.Time, Seq: r.Seq}
	}
	if len(p.Parents) > 0 {
		t.Parents = make([]Edge, 0, len(p.Parents))
	}
	for _, e := range p.Parents {
		v.link(t, e)
	}
}

func (v *View) workspace(w events.Workspace) events.Workspace {
	return events.Workspace{Kind: w.Kind, Path: v.name(w.Path), Base: v.name(w.Base), Branch: v.name(w.Branch)}
}

func (v *View) actor(a events.Actor) events.Actor {
	return events.Actor{Kind: a.Kind, Name: v.name(a.Name), Via: v.name(a.Via)}
}

func (v *View) edited(t *Task, r *events.Record, p events.TaskEdited) {
	if p.Title {
		t.TitleAt = r.Seq
	}
	if p.Workspace != nil {
		t.Workspace = v.workspace(*p.Workspace)
	}
	if p.MaxRuntimeMS != nil {
		t.MaxRuntimeMS = *p.MaxRuntimeMS
	}
	if p.MaxRetries != nil {
		t.MaxRetries = *p.MaxRetries
	}
	if p.Reviewer != nil {
		t.Reviewer = v.name(*p.Reviewer)
	}
}

func (v *View) specified(t *Task, r *events.Record, p events.TaskSpecified) {
	t.become(p.To, r.Time)
	if p.Title {
		t.TitleAt = r.Seq
	}
	if p.Assignee != "" {
		t.Assignee = v.name(p.Assignee)
	}
	t.PlanRetryAt = 0
}

func (v *View) decomposed(t *Task, r *events.Record, p events.TaskDecomposed) {
	t.become(p.To, r.Time)
	if p.Assignee != "" {
		t.Assignee = v.name(p.Assignee)
	}
	t.PlanRetryAt = 0
	for _, child := range p.Children {
		if !slices.ContainsFunc(t.Parents, func(e Edge) bool { return e.Parent == child }) {
			v.link(t, events.Edge{Parent: child, Needs: events.NeedsPass})
		}
	}
}

func (v *View) blocked(t *Task, r *events.Record, p events.TaskBlocked) {
	t.become(p.To, r.Time)
	if p.To == events.Blocked {
		t.Block = &Block{Kind: p.Kind, Said: p.Said, By: v.actor(r.Actor), Since: r.Time, Seq: r.Seq}
	}
}

func (v *View) unblocked(t *Task, r *events.Record, p events.TaskUnblocked) {
	t.become(p.To, r.Time)
	if p.Model != "" {
		t.Model = v.name(p.Model)
	}
	t.RetryAt, t.OverBudget, t.OverTokens, t.PlanTries, t.PlanRetryAt = 0, 0, 0, 0, 0
}
