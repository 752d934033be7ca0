package boards

import "github.com/hermesboard/hermes/events"

// crowded refuses a start that would be one more at once than the policy
// allows. Whoever starts runs keeps to the caps by itself; it may have decided
// while it could not see the last commits.
func (d *decision) crowded(id events.TaskID, t *task, agent string) *Rejection {
	p := &d.s.policy
	if p.BoardCap > 0 && d.s.running >= int(p.BoardCap) {
		return reject(CodeNoRoom, id, "hermes kanban why "+id.String(), "the board has as many runs open as it may: %d of %d", d.s.running, p.BoardCap)
	}
	tenant := d.s.names.text(t.tenant)
	ofAgent, ofTenant := capOf(agent, p.AgentCaps, p.AgentCap), int32(0)
	if tenant != "" {
		ofTenant = capOf(tenant, p.TenantCaps, p.TenantCap)
	}
	if ofAgent <= 0 && ofTenant <= 0 {
		return nil
	}
	var agents, tenants int32
	for _, other := range d.s.tokens {
		o := d.s.task(other)
		if d.s.names.text(o.run.agent) == agent {
			agents++
		}
		if o.tenant == t.tenant {
			tenants++
		}
	}
	switch {
	case ofAgent > 0 && agents >= ofAgent:
		return reject(CodeNoRoom, id, "hermes kanban why "+id.String(), "%s has as many runs open as it may: %d of %d", agent, agents, ofAgent)
	case ofTenant > 0 && tenants >= ofTenant:
		return reject(CodeNoRoom, id, "hermes kanban why "+id.String(), "tenant %s has as many runs open as it may: %d of %d", tenant, tenants, ofTenant)
	}
	return nil
}

// capOf returns the limit for a name: its own, or the general one; 0 = none.
func capOf(name string, own []events.Cap, general int32) int32 {
	for _, c := range own {
		if c.Name == name {
			return c.Max
		}
	}
	return general
}
