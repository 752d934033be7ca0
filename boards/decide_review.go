package boards

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hermesboard/hermes/events"
)

// A verdict is given by the task's run, or by a person where no run is open.
// A person who claimed a task is its run: the claim ends with the verdict,
// since there is no process to wait for.

// speak returns the run a verdict belongs to; nil for a person's.
func (d *decision) speak(id events.TaskID, t *task) *run {
	if t.status == events.Running && d.on(id, t)&ownRun != 0 {
		return t.run
	}
	return nil
}

// verdict drafts a verdict, its consequences for children and, for a person's
// claim, its end.
func (d *decision) verdict(id events.TaskID, t *task, p events.Payload, text *events.Fields, outcome events.Outcome, v events.Verdict) {
	run := d.speak(id, t)
	draft := d.about(id, t, p, text)
	if run != nil {
		draft.Run, draft.Cause = run.id, run.fence
	}
	after := d.add(draft)
	if run != nil && run.personal() {
		d.finish(id, t, ending{outcome: outcome, given: true, passed: v == events.Pass, after: after})
	}
	if v != 0 {
		d.followed(t, settled{id, v}, after)
	}
}

func (d *decision) completeTask(c CompleteTask) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	if c.Verdict == 0 {
		c.Verdict = events.Pass
	}
	text := events.Fields{Summary: c.Summary, Result: c.Result, Metadata: compact(c.Metadata), Names: some(c.Names)}
	if r := firstBad(c.Task, prose("summary", c.Summary, MaxReason), prose("result", c.Result, MaxBody), metadata(c.Metadata)); r != nil {
		return r
	}
	switch {
	case c.Verdict > events.Cancelled:
		return reject(CodeBadCommand, c.Task, "", "%v: a verdict is pass, fail or cancelled", c.Task)
	case c.Verdict == events.Cancelled && d.speak(c.Task, t) != nil:
		return reject(CodeNotYours, c.Task, "", "%v: only a person cancels; whoever works on a task completes it with pass or fail, or blocks it", c.Task)
	}
	if r := stored(c.Task, c.Artifacts, c.Names); r != nil {
		return r
	}
	if r := d.created(c.Task, t, c.Created); r != nil {
		return r
	}
	p := events.TaskCompleted{Verdict: c.Verdict, Artifacts: some(c.Artifacts), Created: some(c.Created)}
	d.verdict(c.Task, t, p, said(text), events.OutcomeCompleted, c.Verdict)
	return nil
}

// created checks the cards that a worker says it made: each is there, and this
// run made it or it waits for this task.
func (d *decision) created(id events.TaskID, t *task, cards []events.TaskID) *Rejection {
	if len(cards) > events.MaxCommandTasks {
		return reject(CodeTooMany, id, "", "%v: %d cards, at most %d", id, len(cards), events.MaxCommandTasks)
	}
	for _, card := range cards {
		c := d.s.task(card)
		switch {
		case card == 0 || c == nil:
			return reject(CodeNoSuchCard, id, "", "%v says it created %v; there is no such task", id, taskOr(card, "a task without a number"))
		case d.me != nil && c.maker != d.me.fence && c.edgeTo(id) < 0:
			return reject(CodeNoSuchCard, id, "", "%v was not created by %v", card, d.me.id)
		}
	}
	return nil
}

func (d *decision) requestReview(c RequestReview) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	reviewer := fold(c.Reviewer)
	worker := d.s.names.text(t.run.agent)
	text := events.Fields{Summary: c.Summary, Metadata: compact(c.Metadata), Names: some(c.Names)}
	if r := firstBad(c.Task, required("summary", c.Summary, MaxReason), agentName("reviewer", reviewer), metadata(c.Metadata)); r != nil {
		return r
	}
	if reviewer == worker {
		return reject(CodeNotYours, c.Task, "", "%v: %s cannot review its own work", c.Task, worker)
	}
	if r := stored(c.Task, c.Artifacts, c.Names); r != nil {
		return r
	}
	for _, next := range []string{d.s.names.text(t.reviewer), d.s.policy.Reviewer} {
		if reviewer == "" && next != worker {
			reviewer = next
		}
	}
	p := events.ReviewRequested{Reviewer: reviewer, Artifacts: some(c.Artifacts)}
	d.verdict(c.Task, t, p, said(text), events.OutcomeReviewRequested, 0)
	return nil
}

func (d *decision) approveTask(c ApproveTask) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	if r := firstBad(c.Task, prose("summary", c.Summary, MaxReason)); r != nil {
		return r
	}
	d.verdict(c.Task, t, events.TaskApproved{}, said(events.Fields{Summary: c.Summary}), events.OutcomeApproved, events.Pass)
	return nil
}

func (d *decision) requestChanges(c RequestChanges) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	if r := firstBad(c.Task, required("reason", c.Reason, MaxReason)); r != nil {
		return r
	}
	p := events.ChangesAsked{To: events.Ready, Implementer: d.s.names.text(t.implementer)}
	if !d.s.allMet(t.parents, settled{}) {
		p.To = events.Todo
	}
	d.verdict(c.Task, t, p, reason(c.Reason), events.OutcomeChangesRequested, 0)
	return nil
}

func (d *decision) blockTask(c BlockTask) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		if t := d.s.task(c.Task); t != nil && t.status == events.Blocked && d.who&person != 0 {
			return reject(CodeAlready, c.Task, wayOut(c.Task, t, ""), "%v is blocked already (%v)", c.Task, t.block)
		}
		return r
	}
	if r := firstBad(c.Task, prose("reason", c.Reason, MaxReason), options(c.Options)); r != nil {
		return r
	}
	p := events.TaskBlocked{Kind: c.Kind, To: events.Blocked, Options: uint8(len(c.Options))}
	run := d.speak(c.Task, t)
	switch {
	case c.Kind > events.BlockPerson || c.Kind == events.BlockPerson && d.me != nil:
		return reject(CodeBadCommand, c.Task, "", "%v: a block says needs_input, capability, transient or dependency", c.Task)
	case run != nil && !run.personal():
		d.workerBlock(t, &p)
	case c.Kind == 0:
		p.Kind = events.BlockPerson
	}
	d.verdict(c.Task, t, p, said(events.Fields{Reason: c.Reason, Options: some(c.Options)}), events.OutcomeBlocked, 0)
	return nil
}

// workerBlock counts a block by a run, stops the loop it may be part of, and
// finds out whether a dependency is one.
func (d *decision) workerBlock(t *task, p *events.TaskBlocked) {
	if p.Kind == 0 {
		p.Kind = events.BlockNeedsInput
	}
	saidKind := p.Kind
	p.Streak = 1
	if t.blockSaid == saidKind {
		p.Streak = t.blockStreak + 1
	}
	switch {
	case p.Streak >= d.s.policy.BlockLoop:
		p.Kind, p.Said = events.BlockLoop, saidKind
	case saidKind != events.BlockDependency:
	case d.s.allMet(t.parents, settled{}):
		p.Kind, p.Said = events.BlockNeedsInput, saidKind
	default:
		p.To = events.Todo
	}
}

// compact returns a copy of v without insignificant white space.
func compact(v jsontext.Value) jsontext.Value {
	if len(v) == 0 {
		return nil
	}
	c := v.Clone()
	if err := c.Compact(); err != nil {
		return v // not JSON, or with twins: refused by its check
	}
	return c
}
