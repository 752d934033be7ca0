package boards

import (
	"slices"
	"strings"

	"github.com/hermesboard/hermes/events"
)

// Decide says what a command comes to: events to be appended together, or a
// *[Rejection]. No events and no error means that nothing needs to be recorded.
// It reads the state, the command and the environment, and changes nothing.
func Decide(s *State, c Command, e Env) ([]events.Draft, error) {
	d := decision{s: s, e: e}
	if r := d.decide(c); r != nil {
		return nil, r
	}
	if len(d.out) > events.MaxCommandRecords {
		return nil, reject(CodeTooMany, 0, "", "%s comes to %d events, at most %d", c.CommandName(), len(d.out), events.MaxCommandRecords)
	}
	for i := range d.out {
		if r := fits(&d.out[i]); r != nil {
			return nil, r
		}
	}
	return d.out, nil
}

// IsIntake reports whether a command brings new material onto the board. An
// owner whose disk or quota is nearly full refuses these and takes the rest.
func IsIntake(c Command) bool {
	switch c.(type) {
	case CreateTasks, DecomposeTask, SpecifyTask, CommentTask, AttachFile, EditTask:
		return true
	}
	return false
}

// decision is one call of Decide.
type decision struct {
	s   *State
	e   Env
	who party // by the sender's kind alone
	me  *run  // the sender's own run, if the sender is a run
	out []events.Draft
}

func (d *decision) decide(c Command) *Rejection {
	if r := d.identify(c); r != nil {
		return r
	}
	switch c := c.(type) {
	case CreateBoard:
		return d.createBoard(c)
	case RenameBoard:
		return d.renameBoard(c)
	case AcceptBoard:
		return d.acceptBoard(c)
	case PauseBoard:
		return d.pauseBoard(c)
	case ResumeBoard:
		return d.resumeBoard(c)
	case SetPolicy:
		return d.setPolicy(c)
	case HoldAgent:
		return d.holdAgent(c)
	case ReleaseAgent:
		return d.releaseAgent(c)
	case Subscribe:
		return d.subscribe(c)
	case Unsubscribe:
		return d.unsubscribe(c)
	case RecordSent:
		return d.recordSent(c)
	case RecordDead:
		return d.recordDead(c)
	case RetryDead:
		return d.retryDead(c)
	case ReportBudget:
		return d.reportBudget(c)
	case CreateTasks:
		return d.createTasks(c)
	case EditTask:
		return d.editTask(c)
	case AssignTask:
		return d.assignTask(c)
	case PrioritizeTask:
		return d.prioritizeTask(c)
	case SetTenant:
		return d.setTenant(c)
	case SetModel:
		return d.setModel(c)
	case LinkTasks:
		return d.linkTasks(c)
	case UnlinkTasks:
		return d.unlinkTasks(c)
	case CommentTask:
		return d.commentTask(c)
	case AttachFile:
		return d.attachFile(c)
	case DetachFile:
		return d.detachFile(c)
	case PromoteTask:
		return d.promoteTask(c)
	case SpecifyTask:
		return d.specifyTask(c)
	case DecomposeTask:
		return d.decomposeTask(c)
	case FailPlan:
		return d.failPlan(c)
	case ScheduleTask:
		return d.scheduleTask(c)
	case UnblockTask:
		return d.unblockTask(c)
	case ReopenTask:
		return d.reopenTask(c)
	case ArchiveTask:
		return d.archiveTask(c)
	case ClaimTask:
		return d.claimTask(c)
	case StartRun:
		return d.startRun(c)
	case Heartbeat:
		return d.heartbeat(c)
	case CompleteTask:
		return d.completeTask(c)
	case RequestReview:
		return d.requestReview(c)
	case ApproveTask:
		return d.approveTask(c)
	case RequestChanges:
		return d.requestChanges(c)
	case BlockTask:
		return d.blockTask(c)
	case StopRun:
		return d.stopRun(c)
	case EndRun:
		return d.endRun(c)
	case RefuseCalls:
		return d.refuseCalls(c)
	}
	return reject(CodeUnknownCommand, 0, "", "no such command")
}

// identify establishes what the sender is, and that a run may still speak.
func (d *decision) identify(c Command) *Rejection {
	_, first := c.(CreateBoard)
	if d.s.head == 0 && !first {
		return reject(CodeNotFound, 0, "hermes board create SLUG", "there is no board yet")
	}
	switch d.e.By.Actor.Kind {
	case events.Human:
		d.who = person
	case events.Gateway, events.System:
		d.who = person | dispatcher
	case events.Dispatcher:
		d.who = dispatcher
	case events.Worker:
		switch c.(type) {
		case EndRun, StartRun, RefuseCalls, ReportBudget: // what a runner reports of a run that may not speak any more
			return d.identifyRun(false)
		}
		return d.identifyRun(true)
	default:
		return reject(CodeBadCommand, 0, "", "nobody sent this")
	}
	return nil
}

func (d *decision) identifyRun(speaks bool) *Rejection {
	id := d.e.By.Run
	t := d.s.task(id.Task)
	switch {
	case t == nil || t.run == nil || t.run.id != id || t.run.fence != d.e.By.Fence || t.run.personal():
		return reject(CodeStaleRun, id.Task, "", "%v is not the open run of %v any more", id, id.Task)
	case speaks && t.run.verdict != 0:
		return reject(CodeStaleRun, id.Task, "", "%v has given its verdict", id)
	case speaks && t.run.stop != 0:
		return reject(CodeStaleRun, id.Task, "", "%v is being stopped", id)
	}
	d.me = t.run
	d.who = ownRun
	return nil
}

// on returns the parties the sender is with regard to one task.
func (d *decision) on(id events.TaskID, t *task) party {
	if d.me == nil {
		if r := t.run; r != nil && r.personal() && r.live() && d.who&person != 0 && d.s.names.text(r.owner) == d.e.By.Actor.Name {
			return d.who | ownRun
		}
		return d.who
	}
	who := peer
	switch mine := d.s.task(d.me.id.Task); {
	case mine == t:
		who = ownRun
	case mine.tenant != t.tenant:
		return 0
	}
	if d.me.role == events.RoleOrchestrator {
		who |= orchestrator
	}
	return who
}

// may finds a task and asks the transition table whether the sender may do this to it now.
func (d *decision) may(c Command, id events.TaskID) (*task, *Rejection) {
	t := d.s.task(id)
	if t == nil {
		return nil, noTask(id)
	}
	command := c.CommandName()
	from, ok := allowed(command, d.on(id, t), t.at())
	switch {
	case ok:
		return t, nil
	case from == 0 && d.me != nil:
		return nil, reject(CodeNotYours, id, "", "%v: %s is not for %v", id, command, d.me.id)
	case from == 0:
		return nil, reject(CodeNotYours, id, "", "%v: %s is not for %v", id, command, d.e.By.Actor)
	case t.status == events.Running && d.me == nil:
		return nil, reject(CodeRunOpen, id, wayOut(id, t, command), "%v is being worked on by %s (%v); %s needs %v",
			id, d.s.names.text(t.run.agent), t.run.id, command, spelled(from))
	}
	return nil, reject(CodeWrongStatus, id, wayOut(id, t, command), "%v is %v; %s needs %v", id, t.at(), command, spelled(from))
}

func spelled(p places) string { return strings.ReplaceAll(p.String(), " ", ", ") }

func noTask(id events.TaskID) *Rejection {
	if id == 0 {
		return reject(CodeBadCommand, 0, "hermes kanban list", "no task is named")
	}
	return reject(CodeNotFound, id, "hermes kanban list", "there is no task %v", id)
}

// wayOut returns the command that gets a task out of where it is.
func wayOut(id events.TaskID, t *task, command string) string {
	const hermes = "hermes kanban "
	switch command {
	case "start_run", "end_run", "heartbeat":
		return hermes + "runs " + id.String()
	}
	switch t.status {
	case events.Running:
		switch command {
		case "complete_task", "approve_task":
			return hermes + "stop " + id.String() + " --then complete"
		case "archive_task":
			return hermes + "stop " + id.String() + " --then archive"
		case "claim_task":
			return hermes + "reclaim " + id.String()
		}
		return hermes + "stop " + id.String()
	case events.Done, events.Archived:
		return hermes + "reopen " + id.String()
	case events.Blocked:
		return hermes + "unblock " + id.String()
	case events.Triage:
		return hermes + "specify " + id.String()
	case events.Todo, events.Scheduled:
		return hermes + "promote " + id.String()
	}
	return hermes + "show " + id.String()
}

// add appends a draft and returns its number, to be named in After.
func (d *decision) add(draft events.Draft) int {
	if d.out == nil {
		d.out = make([]events.Draft, 0, 2)
	}
	d.out = append(d.out, draft)
	return len(d.out)
}

// about drafts an event of a task. What a run says of its own task carries the run.
func (d *decision) about(id events.TaskID, t *task, data events.Payload, text *events.Fields) events.Draft {
	draft := events.Draft{Task: id, Tenant: d.s.names.text(t.tenant), Data: data, Text: text, Cause: d.cause()}
	if d.me != nil && d.me.id.Task == id {
		draft.Run = d.me.id
	}
	return draft
}

// cause is the claim a run acts under.
func (d *decision) cause() uint64 {
	if d.me != nil {
		return d.me.fence
	}
	return 0
}

// followed drafts what a task's event means for its children, once the verdict
// is what o says: those that nothing holds any more go on, those that are held
// again go back. It returns the children that stay although they are held.
func (d *decision) followed(t *task, o settled, after int) (stay []events.TaskID) {
	for _, id := range t.children {
		c := d.s.task(id)
		e := c.parents[c.edgeTo(o.task)]
		was, is := d.s.met(e, settled{}), d.s.met(e, o)
		switch {
		case is && c.status == events.Todo && !was && d.s.allMet(c.parents, o):
			to := d.s.rest(c, d.e.Now, o)
			d.add(events.Draft{Task: id, Tenant: d.s.names.text(c.tenant), After: after, Data: events.TaskPromoted{To: to}})
		case is || !was:
		case demotable(c):
			d.add(events.Draft{Task: id, Tenant: d.s.names.text(c.tenant), After: after, Data: events.TaskDemoted{Parent: o.task}})
		case c.status != events.Todo && c.status != events.Triage && c.status != events.Archived:
			stay = append(stay, id)
		}
	}
	return stay
}

// demotable reports whether a task goes back to todo when an edge opens.
func demotable(t *task) bool {
	return t.status == events.Ready || t.status == events.Review || t.status == events.Scheduled && !t.rough
}

// reason returns a text with a reason, or none.
func reason(s string) *events.Fields {
	if s == "" {
		return nil
	}
	return &events.Fields{Reason: s}
}

// said returns f, or nil if nothing is in it.
func said(f events.Fields) *events.Fields {
	if f.Title == "" && f.Body == "" && f.Summary == "" && f.Result == "" && f.Comment == "" && f.Reason == "" && f.Answer == "" &&
		f.Note == "" && f.Evidence == "" && len(f.Options) == 0 && len(f.Names) == 0 && len(f.Metadata) == 0 {
		return nil
	}
	return &f
}

// some returns a copy of a list, nil if it is empty.
func some[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return slices.Clone(list)
}
