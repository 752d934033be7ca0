package boards

import (
	"slices"

	"github.com/hermesboard/hermes/events"
)

// Evolve folds one record into the state. It believes every record: the
// decision was taken already. What a record names and the state does not know
// is passed over; see [State.Check]. The record is not kept.
func (s *State) Evolve(r *events.Record) {
	s.head = r.Seq
	if s.evolveNotify(r) {
		return
	}
	if p, ok := r.Data.(events.BudgetReached); ok {
		s.budgets[budgetOf(r.Task, r.Tenant, p)] = markOf(r.Run, p)
		return
	}
	if r.Task != 0 {
		if p, ok := r.Data.(events.TaskCreated); ok {
			s.evolveCreated(r, &p)
		} else if t := s.task(r.Task); t != nil {
			s.evolveTask(t, r)
		}
		return
	}
	switch p := r.Data.(type) {
	case events.BoardCreated:
		s.board, s.slug = p.Board, p.Slug
	case events.BoardPaused:
		s.paused, s.drain = true, p.Drain
	case events.BoardResumed:
		s.paused, s.drain = false, false
	case events.PolicyChanged:
		s.policy, s.policySeq = p.Policy, r.Seq
	case events.AgentHeld:
		s.held[s.names.intern(p.Agent)] = hold{p.Cause, p.Until}
	case events.AgentReleased:
		delete(s.held, s.names.intern(p.Agent))
	}
}

func (s *State) evolveCreated(r *events.Record, p *events.TaskCreated) {
	if int64(r.Task) != int64(s.tasks.n)+1 {
		return
	}
	t := task{
		status: p.Status, phase: events.Ready, rough: p.Status == events.Triage,
		assignee: s.names.intern(p.Assignee), reviewer: s.names.intern(p.Reviewer), tenant: s.names.intern(r.Tenant),
		startAt: p.StartAt, maxRetries: p.MaxRetries,
	}
	s.settle(&t, p.Workspace)
	if p.Status == events.Blocked {
		t.block = events.BlockPerson
	}
	if r.Actor.Kind == events.Worker {
		t.maker = r.Cause
	}
	s.tasks.add(t)
	if len(p.Parents) > 0 {
		s.task(r.Task).parents = make([]edge, 0, len(p.Parents))
		for _, e := range p.Parents {
			s.link(r.Task, e.Parent, e.Needs)
		}
	}
}

// evolveTask folds what happened to a task that is there.
func (s *State) evolveTask(t *task, r *events.Record) {
	switch p := r.Data.(type) {
	case events.RunClaimed, events.RunStarted, events.RunStopping, events.RunHeartbeat, events.RunEnded:
		s.evolveRun(t, r)
	case events.TaskCompleted, events.ReviewRequested, events.TaskApproved, events.ChangesAsked, events.TaskBlocked:
		s.evolveVerdict(t, r)
	case events.TaskPromoted:
		for i := range t.parents {
			t.parents[i].waived = t.parents[i].waived || slices.Contains(p.Waived, t.parents[i].parent)
		}
		if p.To != events.Scheduled {
			t.startAt = 0
		}
		t.rough = t.rough && p.To == events.Triage
		t.move(p.To)
	case events.TaskDemoted:
		t.move(events.Todo)
	case events.TaskSpecified:
		t.rough = false
		if p.Assignee != "" {
			t.assignee = s.names.intern(p.Assignee)
		}
		t.move(p.To)
	case events.TaskDecomposed:
		t.rough, t.decomposed = false, true
		if p.Assignee != "" {
			t.assignee = s.names.intern(p.Assignee)
		}
		for _, c := range p.Children {
			s.link(r.Task, c, events.NeedsPass)
		}
		t.move(p.To)
	case events.PlanFailed:
		t.plans = p.Attempt
	case events.TaskScheduled:
		t.startAt, t.verdict = p.At, 0
		if p.At == 0 {
			t.startAt = forever
		}
		t.move(events.Scheduled)
	case events.TaskUnblocked:
		t.plans, t.fresh = 0, t.fresh || p.Fresh
		t.forgive()
		t.move(p.To)
	case events.TaskReopened:
		t.verdict = 0
		t.forgive()
		t.move(p.To)
	case events.TaskArchived:
		t.move(events.Archived)
	default:
		s.evolveDetail(t, r)
	}
}

// evolveDetail folds what changes a task without moving it.
func (s *State) evolveDetail(t *task, r *events.Record) {
	switch p := r.Data.(type) {
	case events.TaskEdited:
		if p.Workspace != nil {
			s.settle(t, *p.Workspace)
		}
		if p.MaxRetries != nil {
			t.maxRetries = *p.MaxRetries
		}
		if p.Reviewer != nil {
			t.reviewer = s.names.intern(*p.Reviewer)
		}
	case events.TaskAssigned:
		t.assignee, t.implementer = s.names.intern(p.Assignee), 0
		t.forgive()
	case events.TenantChanged:
		t.tenant = s.names.intern(p.Tenant)
	case events.TaskLinked:
		s.link(r.Task, p.Parent, p.Needs)
	case events.TaskUnlinked:
		s.unlink(r.Task, p.Parent)
	case events.TaskAttached:
		s.attachments[r.Seq] = r.Task
	case events.TaskDetached:
		delete(s.attachments, p.Attachment)
	}
}

// evolveVerdict folds what a run, or a person instead of one, says of a task.
func (s *State) evolveVerdict(t *task, r *events.Record) {
	var outcome events.Outcome
	switch p := r.Data.(type) {
	case events.TaskCompleted:
		outcome = events.OutcomeCompleted
		t.finish(p.Verdict)
	case events.TaskApproved:
		outcome = events.OutcomeApproved
		t.finish(events.Pass)
	case events.ReviewRequested:
		outcome = events.OutcomeReviewRequested
		t.reviewer = s.names.intern(p.Reviewer)
		t.move(events.Review)
	case events.ChangesAsked:
		outcome = events.OutcomeChangesRequested
		if p.Implementer != "" {
			t.assignee = s.names.intern(p.Implementer)
		}
		t.phase = events.Ready
		t.move(p.To)
	case events.TaskBlocked:
		outcome = events.OutcomeBlocked
		if p.Streak > 0 {
			t.blockStreak, t.blockSaid = p.Streak, p.Kind
			if p.Said != 0 {
				t.blockSaid = p.Said
			}
		}
		t.move(p.To)
		if p.To == events.Blocked {
			t.block, t.options = p.Kind, p.Options
		}
	}
	if t.run != nil && t.run.id == r.Run {
		t.run.verdict, t.run.verdictSeq = outcome, r.Seq
	}
}

// evolveRun folds the life of an attempt.
func (s *State) evolveRun(t *task, r *events.Record) {
	if p, ok := r.Data.(events.RunClaimed); ok {
		s.claim(t, r, &p)
		return
	}
	if t.run == nil || t.run.id != r.Run {
		return
	}
	switch p := r.Data.(type) {
	case events.RunStarted:
		t.run.started = true
	case events.RunHeartbeat:
		t.run.beat = r.Time
	case events.RunStopping:
		t.run.stop, t.run.outcome, t.run.then = r.Seq, p.Outcome, p.Then
		t.run.final = p.Verdict
		if p.Then == events.ThenCancel {
			t.run.final = events.Cancelled
		}
	case events.RunEnded:
		s.endRun(t, r, &p)
	}
}

func (s *State) claim(t *task, r *events.Record, p *events.RunClaimed) {
	if t.run != nil {
		s.drop(r.Task, t)
	}
	run := &run{
		id: r.Run, fence: r.Seq, token: p.Token, claimed: r.Time, expiresMS: p.ExpiresMS,
		agent: s.names.intern(p.Agent), folder: t.folder, role: p.Role, phase: p.Phase,
	}
	if run.personal() {
		run.owner = s.names.intern(r.Actor.Name)
	} else {
		s.tokens[p.Token] = r.Task
	}
	if run.folder != 0 {
		s.folders[run.folder] = r.Task
	}
	s.running++
	t.run, t.runs = run, r.Run.N
	t.startAt, t.retryAt, t.fresh, t.rough = 0, 0, false, false
	t.phase = p.Phase
	if p.Phase == events.Ready {
		t.implementer = run.agent
	}
	t.move(events.Running)
}

func (s *State) endRun(t *task, r *events.Record, p *events.RunEnded) {
	run := t.run
	s.drop(r.Task, t)
	t.failures, t.noVerdicts, t.losses, t.retryAt = p.Failures, p.NoVerdicts, p.Losses, p.RetryAt
	switch {
	case p.Outcome != events.OutcomeRateLimited:
		if !neutral(p.Outcome) {
			t.rateSince = 0
		}
	case t.rateSince == 0:
		t.rateSince = r.Time
	}
	switch paid := cost(&p.Usage); {
	case !ends[p.Outcome].again && paid && !neutral(p.Outcome):
		t.cause, t.paid = 0, 0
	case ends[p.Outcome].again && paid:
		t.cause, t.paid = p.Outcome, t.paidFor(p.Outcome)+1
	}
	if run.started {
		t.last[laneOf(run.phase)] = lane{run.id.N, run.agent, p.Kept && goesOn(p.Outcome)}
	}
	switch p.To {
	case 0:
		return
	case events.Done:
		t.finish(run.final)
	case events.Blocked:
		t.move(events.Blocked)
		t.block = events.BlockStopped
		if p.GaveUp {
			t.block = events.BlockGaveUp
		}
	default:
		t.move(p.To)
	}
}

// drop forgets the un-ended run of a task.
func (s *State) drop(id events.TaskID, t *task) {
	if s.tokens[t.run.token] == id {
		delete(s.tokens, t.run.token)
	}
	if s.folders[t.run.folder] == id {
		delete(s.folders, t.run.folder)
	}
	s.running--
	t.run = nil
}

// move puts a task into a column.
func (t *task) move(to events.Status) {
	t.status = to
	if to == events.Ready || to == events.Review {
		t.phase = to
	}
	if to != events.Blocked {
		t.block, t.options = 0, 0
	}
}

// finish ends a task with a verdict.
func (t *task) finish(v events.Verdict) {
	t.verdict, t.rough = v, false
	t.blockStreak, t.blockSaid = 0, 0
	t.startAt = 0
	if v == events.Pass {
		t.forgive()
	}
	t.move(events.Done)
}

// forgive clears the streaks of failure.
func (t *task) forgive() {
	t.failures, t.noVerdicts, t.losses, t.rateSince, t.retryAt = 0, 0, 0, 0, 0
	t.cause, t.paid = 0, 0
}

// link adds an edge, or replaces the one there is.
func (s *State) link(child, parent events.TaskID, needs events.Needs) {
	t, p := s.task(child), s.task(parent)
	if t == nil || p == nil {
		return
	}
	e := edge{parent: parent, needs: needs}
	if i := t.edgeTo(parent); i >= 0 {
		t.parents[i] = e
		return
	}
	t.parents = append(t.parents, e)
	if i, ok := slices.BinarySearch(p.children, child); !ok {
		p.children = slices.Insert(p.children, i, child)
	}
}

func (s *State) unlink(child, parent events.TaskID) {
	t, p := s.task(child), s.task(parent)
	if t == nil || p == nil {
		return
	}
	if i := t.edgeTo(parent); i >= 0 {
		t.parents = slices.Delete(t.parents, i, i+1)
	}
	if i, ok := slices.BinarySearch(p.children, child); ok {
		p.children = slices.Delete(p.children, i, i+1)
	}
}

// settle notes where the task's runs work.
func (s *State) settle(t *task, w events.Workspace) {
	t.place, t.folder = 0, 0
	switch w.Kind {
	case events.Dir:
		t.place = s.names.intern("dir:" + w.Path)
		t.folder = t.place
	case events.Repo:
		t.place = s.names.intern("repo:" + w.Path)
		if w.Branch != "" {
			t.folder = s.names.intern("repo:" + w.Path + "#" + w.Branch)
		}
	}
}
