package dispatcher

import (
	"cmp"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Next returns what to start now, in order. It walks the queue in the order of
// the policy, by default higher priority first and then older, and takes each
// task that [Explain] would start if the starts taken before it were open runs
// already, until no slot is free. Lanes whose agent or tenant can start nothing
// are not walked.
func Next(v *projections.View, f Facts, now events.Time) []Start {
	p := newPass(v, &f, now)
	if h := p.board(); h.Reason != "" {
		return nil
	}
	var starts []Start
	q := v.Queue(p.open)
	for t := q.Next(); t != nil && p.boardRoom().Reason == ""; {
		lane := projections.Lane{Agent: t.Who(), Tenant: t.Tenant}
		if !p.open(lane) { // full since it was first looked at
			t = q.Skip()
			continue
		}
		if p.task(t).Reason == "" {
			starts = append(starts, p.start(t, who(lane, &p.policy)))
		}
		t = q.Next()
	}
	return starts
}

// open reports whether anything of a lane may start.
func (p *pass) open(lane projections.Lane) bool {
	return p.agent(lane).Reason == "" && p.laneRoom(lane).Reason == ""
}

func (p *pass) start(t *projections.Task, name string) Start {
	a := p.f.Agents[name]
	s := Start{
		Task: t.ID, Phase: t.Status, Agent: name, Role: a.Role,
		Backend: a.Backend, Runtime: a.Runtime, Model: cmp.Or(t.Model, a.Model),
		Facts:     events.Facts{HostSlots: int32(p.f.Free) - p.started, Order: p.started},
		Workspace: t.Workspace,
	}
	s.Purses, s.Allowed = p.grant(t, projections.Lane{Agent: t.Who(), Tenant: t.Tenant})
	p.count(t, name)
	p.putAside(t, &s)
	return s
}
