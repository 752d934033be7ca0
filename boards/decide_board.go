package boards

import (
	"strings"

	"github.com/hermesboard/hermes/events"
)

// only refuses senders that are none of the parties, for commands about the board.
func (d *decision) only(c Command, by party) *Rejection {
	if d.who&by != 0 && d.me == nil {
		return nil
	}
	return reject(CodeNotYours, 0, "", "%s is not for %v", c.CommandName(), d.e.By.Actor)
}

// Slug reports whether s can name a board: [a-z0-9][a-z0-9_-]{0,63}.
func Slug(s string) bool {
	return s != "" && len(s) <= MaxName && s == strings.ToLower(s) && agentName("slug", s) == ""
}

func (d *decision) createBoard(c CreateBoard) *Rejection {
	if r := d.only(c, person); r != nil {
		return r
	}
	if d.s.head != 0 {
		return reject(CodeAlready, 0, "", "the board exists already: %s", d.s.slug)
	}
	if r := firstBad(0, line("title", c.Title, MaxTitle), policy(&c.Policy)); r != nil {
		return r
	}
	if !Slug(c.Slug) || c.Board.IsZero() {
		return reject(CodeBadCommand, 0, "", "%q is not a board name: want a-z, 0-9, - and _, at most 64", c.Slug)
	}
	d.add(events.Draft{Data: events.BoardCreated{Board: c.Board, Slug: c.Slug, Key: c.Key}, Text: said(events.Fields{Title: c.Title})})
	d.add(events.Draft{Data: events.PolicyChanged{Policy: folded(c.Policy)}, After: 1})
	return nil
}

// folded returns a policy whose names are spelled as the rules spell them.
func folded(p events.Policy) events.Policy {
	p.DefaultAssignee, p.Reviewer = fold(p.DefaultAssignee), fold(p.Reviewer)
	p.AgentCaps, p.TenantCaps = some(p.AgentCaps), some(p.TenantCaps)
	for _, caps := range [][]events.Cap{p.AgentCaps, p.TenantCaps} {
		for i := range caps {
			caps[i].Name = fold(caps[i].Name)
		}
	}
	return p
}

func (d *decision) renameBoard(c RenameBoard) *Rejection {
	if r := d.only(c, person); r != nil {
		return r
	}
	if r := firstBad(0, title(c.Title)); r != nil {
		return r
	}
	d.add(events.Draft{Data: events.BoardRenamed{}, Text: &events.Fields{Title: c.Title}})
	return nil
}

func (d *decision) acceptBoard(c AcceptBoard) *Rejection {
	if r := d.only(c, person); r != nil {
		return r
	}
	a := c.Accepted
	if r := firstBad(0, required("reason", c.Reason, MaxReason), word("problem", a.Problem, "_-", MaxName), line("former board", a.FormerBoard, 200)); r != nil {
		return r
	}
	if a.Problem == "" || a.MissingFrom > a.MissingTo {
		return reject(CodeBadCommand, 0, "", "it is not said what is accepted")
	}
	d.add(events.Draft{Data: a, Text: reason(c.Reason)})
	return nil
}

func (d *decision) pauseBoard(c PauseBoard) *Rejection {
	if r := d.only(c, person|dispatcher); r != nil {
		return r
	}
	if r := firstBad(0, prose("reason", c.Reason, MaxReason)); r != nil {
		return r
	}
	if d.s.paused && d.s.drain == c.Drain {
		return reject(CodeAlready, 0, "hermes board resume "+d.s.slug, "the board is paused already")
	}
	d.add(events.Draft{Data: events.BoardPaused{Drain: c.Drain}, Text: reason(c.Reason)})
	return nil
}

func (d *decision) resumeBoard(c ResumeBoard) *Rejection {
	if r := d.only(c, person|dispatcher); r != nil {
		return r
	}
	if r := firstBad(0, prose("reason", c.Reason, MaxReason)); r != nil {
		return r
	}
	if !d.s.paused {
		return reject(CodeAlready, 0, "", "the board is not paused")
	}
	d.add(events.Draft{Data: events.BoardResumed{}, Text: reason(c.Reason)})
	return nil
}

func (d *decision) setPolicy(c SetPolicy) *Rejection {
	if r := d.only(c, person); r != nil {
		return r
	}
	if r := firstBad(0, prose("reason", c.Reason, MaxReason), policy(&c.Policy)); r != nil {
		return r
	}
	d.add(events.Draft{Data: events.PolicyChanged{Policy: folded(c.Policy)}, Text: reason(c.Reason)})
	return nil
}

func (d *decision) holdAgent(c HoldAgent) *Rejection {
	if r := d.only(c, person|dispatcher); r != nil {
		return r
	}
	agent := fold(c.Agent)
	if r := firstBad(0, agentName("agent", agent), instant("until", c.Until), prose("reason", c.Reason, MaxReason)); r != nil {
		return r
	}
	if agent == "" || c.Cause == 0 || c.Cause > events.OutcomeInvalidRequest {
		return reject(CodeBadCommand, 0, "", "a hold names an agent and a cause")
	}
	if h, ok := d.s.hold(agent); ok && h.until == c.Until {
		return reject(CodeAlready, 0, "hermes agent release "+agent, "%s is held already", agent)
	}
	d.add(events.Draft{
		Data: events.AgentHeld{Agent: agent, Cause: c.Cause, Until: c.Until},
		Text: said(events.Fields{Reason: c.Reason, Evidence: measured(c.Evidence, MaxEvidence)}),
	})
	return nil
}

func (d *decision) releaseAgent(c ReleaseAgent) *Rejection {
	if r := d.only(c, person|dispatcher); r != nil {
		return r
	}
	agent := fold(c.Agent)
	if r := firstBad(0, agentName("agent", agent), prose("reason", c.Reason, MaxReason)); r != nil {
		return r
	}
	if _, ok := d.s.hold(agent); !ok {
		return reject(CodeAlready, 0, "", "%q is not held", agent)
	}
	d.add(events.Draft{Data: events.AgentReleased{Agent: agent}, Text: reason(c.Reason)})
	return nil
}

// hold returns the hold on an agent, run out or not.
func (s *State) hold(agent string) (hold, bool) {
	n, ok := s.names.index[agent]
	if !ok {
		return hold{}, false
	}
	h, ok := s.held[n]
	return h, ok
}
