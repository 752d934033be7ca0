package boards

import (
	"fmt"

	"github.com/hermesboard/hermes/events"
)

// promoteTask lifts one hold at a time: from triage or scheduled a task goes
// where it would be without that; from todo a person waives the open edges.
func (d *decision) promoteTask(c PromoteTask) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	if r := firstBad(c.Task, prose("reason", c.Reason, MaxReason)); r != nil {
		return r
	}
	var p events.TaskPromoted
	switch t.status {
	case events.Triage:
		p.To = d.s.smooth(t, d.e.Now)
	case events.Scheduled:
		if d.who&person == 0 && t.startAt > d.e.Now {
			return reject(CodeTooEarly, c.Task, "hermes kanban promote "+c.Task.String(), "%v is scheduled for later%s", c.Task, at(t.startAt))
		}
		p.To = d.s.rest(t, t.startAt, settled{})
	default:
		p.To = t.phase
		for _, e := range t.parents {
			if !d.s.met(e, settled{}) {
				p.Waived = append(p.Waived, e.parent)
			}
		}
	}
	d.add(d.about(c.Task, t, p, reason(c.Reason)))
	return nil
}

func at(t events.Time) string {
	if t == forever {
		return ": until a person promotes it"
	}
	return ": " + t.String()
}

func (d *decision) scheduleTask(c ScheduleTask) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	if r := firstBad(c.Task, prose("reason", c.Reason, MaxReason), instant("at", c.At)); r != nil {
		return r
	}
	switch {
	case c.At != 0 && c.At <= d.e.Now:
		return reject(CodeBadCommand, c.Task, "", "%v: %v is past", c.Task, c.At)
	case t.status == events.Scheduled && (t.startAt == c.At || c.At == 0 && t.startAt == forever):
		return reject(CodeAlready, c.Task, "", "%v is scheduled so already", c.Task)
	}
	after := d.add(d.about(c.Task, t, events.TaskScheduled{At: c.At}, reason(c.Reason)))
	if t.verdict != 0 {
		d.followed(t, settled{c.Task, 0}, after)
	}
	return nil
}

func (d *decision) unblockTask(c UnblockTask) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	if r := firstBad(c.Task, prose("answer", c.Answer, MaxReason), prose("note", c.Note, MaxReason), modelName(c.Model)); r != nil {
		return r
	}
	if c.Choice > t.options {
		offers := "offers no options"
		if t.options > 0 {
			offers = fmt.Sprintf("offers %d options", t.options)
		}
		return reject(CodeBadCommand, c.Task, "hermes kanban answer "+c.Task.String()+" TEXT", "%v %s; %d is none of them", c.Task, offers, c.Choice)
	}
	if d.me != nil && t.block > events.BlockDependency {
		return reject(CodeNotYours, c.Task, "hermes kanban unblock "+c.Task.String(), "%v waits for a person (%v)", c.Task, t.block)
	}
	d.add(d.about(c.Task, t, events.TaskUnblocked{
		To: d.s.rest(t, d.e.Now, settled{}), Choice: c.Choice, Model: c.Model, Fresh: c.Fresh,
	}, said(events.Fields{Answer: c.Answer, Note: c.Note})))
	return nil
}

func (d *decision) reopenTask(c ReopenTask) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	if r := firstBad(c.Task, prose("reason", c.Reason, MaxReason)); r != nil {
		return r
	}
	p := events.TaskReopened{To: d.s.rest(t, d.e.Now, settled{})}
	after := d.add(d.about(c.Task, t, p, reason(c.Reason)))
	if t.verdict != 0 {
		p.Stay = d.followed(t, settled{c.Task, 0}, after)
		d.out[after-1].Data = p
	}
	return nil
}

func (d *decision) archiveTask(c ArchiveTask) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		if t := d.s.task(c.Task); t != nil && t.status == events.Archived {
			return reject(CodeAlready, c.Task, "hermes kanban reopen "+c.Task.String(), "%v is archived already", c.Task)
		}
		return r
	}
	if r := firstBad(c.Task, prose("reason", c.Reason, MaxReason)); r != nil {
		return r
	}
	d.add(d.about(c.Task, t, events.TaskArchived{}, reason(c.Reason)))
	return nil
}
