package dispatcher

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Why says in words why a task does not go on, and the command that would
// change it; the command is empty where waiting is all there is to do. It has
// an answer for every task. Prose is not in it: titles, questions and the
// choices of a block are the caller's to add.
func Why(v *projections.View, task events.TaskID, f Facts, now events.Time) projections.Why {
	p := newPass(v, &f, now)
	h := p.explain(task)
	t := v.Task(task)
	if t == nil {
		h.Detail = "there is no such task on this board"
		return projections.Why{Task: task, Hold: h, Detail: h.Detail, Next: "hermes kanban list"}
	}
	var next string
	h.Detail, next = p.words(t, h)
	w := projections.Why{Task: task, Status: t.Status, Hold: h, Next: next, Blocks: v.HoldsUp(t)}
	w.Detail = fmt.Sprintf("%s is %s: %s", task, t.Status, h.Detail)
	if h.Until != 0 {
		w.Detail += ", until " + p.clock(h.Until)
	}
	return w
}

// clock says an instant with how long it is from now.
func (p *pass) clock(at events.Time) string {
	return fmt.Sprintf("%s UTC (in %s)", at.Time().Format("2006-01-02 15:04"), projections.Span(at.Sub(p.now)))
}

// ago says how long something has lasted.
func (p *pass) ago(since events.Time) string { return projections.Span(p.now.Sub(since)) }

// words says a hold and what to do about it.
func (p *pass) words(t *projections.Task, h hold) (detail, next string) {
	for _, say := range []func(*projections.Task, hold) (string, string){p.sayBoard, p.sayAgent, p.sayTask, p.sayRoom, p.sayPlace, p.sayParents} {
		if detail, next = say(t, h); detail != "" {
			return detail, next
		}
	}
	return p.sayBlock(t)
}

func (p *pass) sayBoard(_ *projections.Task, h hold) (string, string) {
	b := p.v.Board()
	switch h.Reason {
	case ReasonStart:
		first := "higher priority, then older"
		if p.policy.Order == events.ByAge {
			first = "older, whatever the priority"
		}
		return "nothing holds it, it starts as soon as those before it have (" + first + ")", ""
	case Paused:
		return fmt.Sprintf("the board is paused by %s since %s", b.PausedBy, p.ago(b.PausedAt)), "hermes board resume " + b.Slug
	case Draining:
		return fmt.Sprintf("the board drains, asked by %s: %d runs still open", b.PausedBy, p.v.OpenCount()), "hermes board resume " + b.Slug
	case NoDispatcher:
		return "no dispatcher holds this board", "hermes gateway start"
	case DispatcherStopping:
		return "the dispatcher is stopping and starts nothing more", "hermes gateway start"
	}
	return "", ""
}

func (p *pass) sayAgent(t *projections.Task, h hold) (string, string) {
	name := who(projections.Lane{Agent: t.Who()}, &p.policy)
	a := p.f.Agents[name]
	check := cmp.Or(a.Fix, "hermes agent show "+name)
	if r := p.f.Refused[t.ID]; a.Problem == "" && r.Problem != "" && h.Reason == r.Problem {
		return r.Detail, check
	}
	switch h.Reason {
	case NoAssignee:
		return "nobody is named to do it", fmt.Sprintf("hermes kanban assign %s AGENT", t.ID)
	case AgentUnknown:
		return cmp.Or(a.Detail, fmt.Sprintf("there is no agent %q", name)), cmp.Or(a.Fix, "hermes agent list")
	case ProfileNotAllowed:
		return cmp.Or(a.Detail, fmt.Sprintf("the profile of %s does not name this board", name)), check
	case RuntimeMissing:
		return cmp.Or(a.Detail, fmt.Sprintf("the program that %s runs on is missing", name)), check
	case SandboxGap:
		return cmp.Or(a.Detail, fmt.Sprintf("the sandbox cannot do what %s requires", name)), check
	case AgentHeld:
		held, _ := p.v.Held(name, p.now)
		return fmt.Sprintf("%s is held (%s)", name, plain(held.Cause.String())), "hermes agent release " + name
	}
	if a.Problem != "" && h.Reason == a.Problem {
		return cmp.Or(a.Detail, name+" cannot be started: "+plain(a.Problem)), check
	}
	return "", ""
}

func (p *pass) sayTask(t *projections.Task, h hold) (string, string) {
	switch h.Reason {
	case PreviousRunEnding:
		return fmt.Sprintf("the processes of attempt %d have not ended yet", t.Run.ID.N), ""
	case StuckKill:
		return fmt.Sprintf("the processes of attempt %d do not die since %s (process %d)", t.Run.ID.N, p.ago(h.Since), t.Run.PID),
			fmt.Sprintf("hermes kanban stop %s --force", t.ID)
	case RetryWait:
		return fmt.Sprintf("attempt %d ended (%s), the next one waits", t.Attempts, plain(t.LastOutcome.String())), ""
	case ClaimRefused:
		return "a start was refused: " + p.f.Refused[t.ID].Detail, ""
	case FolderInUse:
		return fmt.Sprintf("%s works in the same place (%s)", projections.And(h.Tasks), t.Workspace.Path), ""
	case Budget:
		return p.sayBudget(t)
	}
	return "", ""
}

func (p *pass) sayRoom(t *projections.Task, h hold) (string, string) {
	lane := projections.Lane{Agent: t.Who(), Tenant: t.Tenant}
	name := who(lane, &p.policy)
	busy := ""
	if len(h.Tasks) > 0 {
		busy = ", busy with " + projections.And(h.Tasks)
	}
	switch h.Reason {
	case BoardCap:
		return fmt.Sprintf("%d of %d runs at once on this board%s", p.v.OpenCount(), p.policy.BoardCap, busy), ""
	case AgentCap:
		return fmt.Sprintf("%s %d of %d%s", name, p.v.OpenOf(name), capOf(name, p.policy.AgentCaps, p.policy.AgentCap), busy), ""
	case TenantCap:
		return fmt.Sprintf("tenant %s %d of %d%s", lane.Tenant, p.v.OpenFor(lane.Tenant), capOf(lane.Tenant, p.policy.TenantCaps, p.policy.TenantCap), busy), ""
	case HostSlots:
		return fmt.Sprintf("all %d slots of this host are taken", p.slots()), ""
	}
	return "", ""
}

// slots is how many runs the host takes at once, as far as this board may count on it.
func (p *pass) slots() int {
	if limit := int(p.policy.HostSlots); limit > 0 {
		return min(p.f.Slots, limit)
	}
	return p.f.Slots
}

func (p *pass) sayPlace(t *projections.Task, h hold) (string, string) {
	id := t.ID.String()
	switch h.Reason {
	case Scheduled:
		switch {
		case t.StartAt == 0:
			return "parked until somebody promotes it", "hermes kanban promote " + id
		case h.Until == 0:
			return "its time has come, it moves on now", ""
		}
		return "it is not to start yet", "hermes kanban promote " + id
	case Triage:
		switch {
		case t.PlanTries > 0 && t.PlanRetryAt == 0:
			return fmt.Sprintf("a rough idea; planning gave up after %d attempts", t.PlanTries), "hermes kanban specify " + id
		case t.PlanTries > 0:
			return fmt.Sprintf("a rough idea; attempt %d to plan it failed", t.PlanTries), "hermes kanban specify " + id
		}
		return "a rough idea that is not a task yet", "hermes kanban specify " + id
	case ReviewPerson:
		return fmt.Sprintf("the work of %s waits for a person's review since %s", cmp.Or(t.Implementer, "somebody"), p.ago(h.Since)), "hermes kanban approve " + id
	case Done:
		return fmt.Sprintf("it ended with %s", t.Verdict), ""
	case Archived:
		return "it was put away", "hermes kanban reopen " + id
	}
	return p.sayRun(t, h)
}

func (p *pass) sayRun(t *projections.Task, h hold) (string, string) {
	r, id := t.Run, t.ID.String()
	if r == nil {
		if h.Reason == Running {
			return "somebody works on it", ""
		}
		return "", ""
	}
	switch h.Reason {
	case Claimed:
		return fmt.Sprintf("%s has claimed it %s ago", r.Agent, p.ago(r.Claimed)), ""
	case Starting:
		return fmt.Sprintf("attempt %d by %s is starting", r.ID.N, r.Agent), ""
	case Running:
		return fmt.Sprintf("%s works on attempt %d since %s, last sign %s ago", r.Agent, r.ID.N, p.ago(h.Since), p.ago(r.LastSign)), "hermes kanban tail " + id
	case StoppingRun:
		return fmt.Sprintf("attempt %d is being stopped (%s) since %s", r.ID.N, plain(r.StopOutcome.String()), p.ago(h.Since)), ""
	case Ending:
		return fmt.Sprintf("%s has given its verdict, its processes still end", r.Agent), ""
	}
	return "", ""
}

func (p *pass) sayParents(t *projections.Task, h hold) (string, string) {
	switch h.Reason {
	case Parent:
		if len(h.Tasks) == 0 {
			return "it waits for nothing, but was not moved on", "hermes kanban promote " + t.ID.String()
		}
		return "waits for " + projections.And(h.Tasks), ""
	case ParentFailed:
		parent := p.v.Task(h.Tasks[0])
		return fmt.Sprintf("needs %s to pass, which ended with %s", projections.And(h.Tasks), parent.Verdict), "hermes kanban reopen " + parent.ID.String()
	case ParentArchived:
		return fmt.Sprintf("needs %s, which was put away without a verdict", projections.And(h.Tasks)), "hermes kanban unlink " + h.Tasks[0].String() + " " + t.ID.String()
	}
	return "", ""
}

func (p *pass) sayBlock(t *projections.Task) (string, string) {
	if t.Block == nil {
		return "it waits for a person", "hermes kanban unblock " + t.ID.String()
	}
	by := t.Block.By.String()
	since := p.ago(t.Block.Since)
	var s string
	switch t.Block.Kind {
	case events.BlockNeedsInput, events.BlockDependency:
		s = fmt.Sprintf("%s asked a question %s ago and goes on when you answer", by, since)
	case events.BlockCapability:
		s = fmt.Sprintf("%s lacks something it needs since %s", by, since)
	case events.BlockTransient:
		s = fmt.Sprintf("%s met trouble that may pass %s ago", by, since)
	case events.BlockLoop:
		s = fmt.Sprintf("blocked again and again for the same reason, by %s %s ago", by, since)
	case events.BlockStopped:
		s = fmt.Sprintf("its run was stopped %s ago", since)
	case events.BlockGaveUp:
		s = fmt.Sprintf("gave up after %d attempts %s ago (%s)", t.Attempts, since, plain(t.LastOutcome.String()))
	default:
		s = fmt.Sprintf("blocked by %s %s ago", by, since)
	}
	return s, projections.Settle(t)
}

func plain(s string) string { return strings.ReplaceAll(s, "_", " ") }
