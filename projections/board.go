package projections

import (
	"slices"
	"strings"

	"github.com/hermesboard/hermes/events"
)

// Board is what is known of the board itself.
type Board struct {
	ID        events.BoardID
	Slug      string
	Created   events.Time
	TitleAt   uint64
	PausedAt  events.Time // zero = not paused
	PausedBy  events.Actor
	PausedSeq uint64 // its record, which also has the reason
	Drain     bool   // paused, and whoever asked waits for the open runs
}

// AgentHold keeps an agent from being started.
type AgentHold struct {
	Agent string
	Cause events.Outcome
	Since events.Time
	Until events.Time // zero = until a person releases it
	Seq   uint64      // its record, which also has the reason
}

// Over reports whether the hold has passed by itself.
func (h AgentHold) Over(now events.Time) bool { return h.Until != 0 && h.Until <= now }

// Board returns what is known of the board itself.
func (v *View) Board() Board { return v.board }

// Policy returns the policy in force and the position it came with; position 0
// means that there is none yet.
func (v *View) Policy() (events.Policy, uint64) { return v.policy, v.policyAt }

// Agents returns the holds on agents by name, also those that have passed.
func (v *View) Agents() []AgentHold {
	list := make([]AgentHold, 0, len(v.held))
	for _, h := range v.held {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b AgentHold) int { return strings.Compare(a.Agent, b.Agent) })
	return list
}

// Held returns the hold on an agent, if there is one that has not passed.
func (v *View) Held(agent string, now events.Time) (AgentHold, bool) {
	h, ok := v.held[agent]
	return h, ok && !h.Over(now)
}

// applyBoard folds the events about the board; it reports whether r is one.
func (v *View) applyBoard(r *events.Record) bool {
	switch p := r.Data.(type) {
	case events.BoardCreated:
		v.board.ID, v.board.Slug, v.board.Created, v.board.TitleAt = p.Board, v.name(p.Slug), r.Time, r.Seq
	case events.BoardRenamed:
		v.board.TitleAt = r.Seq
	case events.BoardAccepted:
	case events.BoardPaused:
		v.board.PausedAt, v.board.PausedBy, v.board.PausedSeq, v.board.Drain = r.Time, v.actor(r.Actor), r.Seq, p.Drain
	case events.BoardResumed:
		v.board.PausedAt, v.board.PausedBy, v.board.PausedSeq, v.board.Drain = 0, events.Actor{}, 0, false
	case events.PolicyChanged:
		before := v.policy.Order
		v.policy, v.policyAt = p.Policy, r.Seq
		v.policy.AgentCaps = slices.Clone(p.Policy.AgentCaps)
		v.policy.TenantCaps = slices.Clone(p.Policy.TenantCaps)
		if before != v.policy.Order {
			v.reorder()
		}
	case events.AgentHeld:
		v.held[v.name(p.Agent)] = AgentHold{v.name(p.Agent), p.Cause, r.Time, p.Until, r.Seq}
	case events.AgentReleased:
		delete(v.held, p.Agent)
	default:
		return false
	}
	return true
}
