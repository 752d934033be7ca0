package boards

import (
	"fmt"

	"github.com/hermesboard/hermes/events"
)

func (d *decision) editTask(c EditTask) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	var p events.TaskEdited
	var text events.Fields
	problems := make([]string, 0, 8)
	if c.Title != nil {
		p.Title, text.Title = true, *c.Title
		problems = append(problems, title(*c.Title))
	}
	if c.Body != nil {
		p.Body, text.Body = true, *c.Body
		problems = append(problems, prose("body", *c.Body, MaxBody))
	}
	if c.Workspace != nil {
		w := *c.Workspace
		p.Workspace = &w
		problems = append(problems, workspace(w))
		if w.Kind == 0 {
			w.Kind = events.Scratch
		}
	}
	if c.MaxRuntimeMS != nil {
		v := *c.MaxRuntimeMS
		p.MaxRuntimeMS = &v
		problems = append(problems, duration("max_runtime_ms", v))
	}
	if c.MaxRetries != nil {
		v := *c.MaxRetries
		p.MaxRetries = &v
		problems = append(problems, retries(v))
	}
	if c.Reviewer != nil {
		v := fold(*c.Reviewer)
		p.Reviewer = &v
		problems = append(problems, agentName("reviewer", v))
	}
	if c.Skills != nil {
		v := append([]string{}, *c.Skills...)
		p.Skills = &v
		problems = append(problems, skills(v))
	}
	if len(problems) == 0 {
		return reject(CodeBadCommand, c.Task, "", "%v: nothing to change is given", c.Task)
	}
	if r := firstBad(c.Task, problems...); r != nil {
		return r
	}
	d.add(d.about(c.Task, t, p, said(text)))
	return nil
}

func (d *decision) assignTask(c AssignTask) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	assignee := fold(c.Assignee)
	if r := firstBad(c.Task, agentName("assignee", assignee), prose("reason", c.Reason, MaxReason)); r != nil {
		return r
	}
	if t.status != events.Running {
		return d.assign(c.Task, t, assignee)
	}
	if !c.Reclaim {
		return reject(CodeRunOpen, c.Task, fmt.Sprintf("hermes kanban assign %v %s --reclaim", c.Task, orNobody(assignee)),
			"%v is being worked on by %s (%v)", c.Task, d.s.names.text(t.run.agent), t.run.id)
	}
	if t.run.stop == 0 {
		d.stop(c.Task, t, stopping{outcome: events.OutcomeReleased, then: events.ThenRetry, reason: c.Reason})
	}
	if d.s.names.text(t.assignee) == assignee {
		if len(d.out) == 0 {
			return reject(CodeAlready, c.Task, "", "%v is being taken back already", c.Task)
		}
		return nil
	}
	return d.assign(c.Task, t, assignee)
}

func (d *decision) assign(id events.TaskID, t *task, assignee string) *Rejection {
	if d.s.names.text(t.assignee) == assignee {
		return reject(CodeAlready, id, "", "%v is assigned to %s already", id, orNobody(assignee))
	}
	d.add(d.about(id, t, events.TaskAssigned{Assignee: assignee}, nil))
	return nil
}

func orNobody(agent string) string {
	if agent == "" {
		return "none"
	}
	return agent
}

func (d *decision) prioritizeTask(c PrioritizeTask) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	d.add(d.about(c.Task, t, events.TaskPrioritized{Priority: c.Priority}, nil))
	return nil
}

func (d *decision) setTenant(c SetTenant) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	tenant := fold(c.Tenant)
	if r := firstBad(c.Task, tenantName(tenant)); r != nil {
		return r
	}
	switch {
	case d.s.names.text(t.tenant) == tenant:
		return reject(CodeAlready, c.Task, "", "%v is of tenant %q already", c.Task, tenant)
	case t.run != nil:
		return reject(CodeRunOpen, c.Task, wayOut(c.Task, t, c.CommandName()), "%v has an open run (%v) that works for tenant %q", c.Task, t.run.id, d.s.names.text(t.tenant))
	}
	d.add(d.about(c.Task, t, events.TenantChanged{Tenant: tenant}, nil))
	return nil
}

func (d *decision) setModel(c SetModel) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	if r := firstBad(c.Task, modelName(c.Model)); r != nil {
		return r
	}
	d.add(d.about(c.Task, t, events.ModelChanged{Model: c.Model}, nil))
	return nil
}

func (d *decision) commentTask(c CommentTask) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	if r := firstBad(c.Task, required("comment", c.Body, MaxComment)); r != nil {
		return r
	}
	d.add(d.about(c.Task, t, events.TaskCommented{}, &events.Fields{Comment: c.Body}))
	return nil
}

func (d *decision) attachFile(c AttachFile) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	names := []string{c.Name}
	if r := stored(c.Task, []events.Artifact{c.Artifact}, names); r != nil {
		return r
	}
	d.add(d.about(c.Task, t, events.TaskAttached{Artifact: c.Artifact}, &events.Fields{Names: names}))
	return nil
}

func (d *decision) detachFile(c DetachFile) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	if c.Attachment == 0 || d.s.attachments[c.Attachment] != c.Task {
		return reject(CodeNotFound, c.Task, "hermes kanban attachments "+c.Task.String(), "%v has no attachment %d", c.Task, c.Attachment)
	}
	d.add(d.about(c.Task, t, events.TaskDetached{Attachment: c.Attachment}, nil))
	return nil
}
