package projections

import (
	"slices"

	"github.com/hermesboard/hermes/events"
)

// Subscription is a destination and what it wants to be told: a task, a
// tenant's tasks, an agent's, or, with none of these, the board.
type Subscription struct {
	Task   events.TaskID      `json:"task,omitzero"`
	Tenant string             `json:"tenant,omitzero"`
	Agent  string             `json:"agent,omitzero"`
	To     events.Destination `json:"to"`
	Since  uint64             `json:"since"` // position of its event
	By     events.Actor       `json:"by"`
}

// Sent is a message that a platform took.
type Sent struct {
	Of      uint64             `json:"of"` // position of the event that was told
	Task    events.TaskID      `json:"task,omitzero"`
	To      events.Destination `json:"to"`
	Message string             `json:"message,omitzero"`
	Token   string             `json:"token,omitzero"`
	At      events.Time        `json:"at"`
	Seq     uint64             `json:"seq"` // position of the record that says so
}

// Dead is a message that was given up.
type Dead struct {
	Of    uint64             `json:"of"`
	Task  events.TaskID      `json:"task,omitzero"`
	To    events.Destination `json:"to"`
	Tries uint32             `json:"tries"`
	At    events.Time        `json:"at"`
	Seq   uint64             `json:"seq"` // position of the record that says so, with the reason
}

// SentKept is how many messages a view remembers, the latest ones.
const SentKept = 4096

// notices is who is told, and what was. The zero value is nobody and nothing.
type notices struct {
	subs []Subscription // by position
	dead []Dead         // by position
	sent []Sent         // by position, at most twice SentKept
}

// Subscriptions returns who is told what, the oldest first.
func (v *View) Subscriptions() []Subscription { return slices.Clone(v.notices.subs) }

// DeadLetters returns the messages that were given up, the oldest first.
func (v *View) DeadLetters() []Dead { return slices.Clone(v.notices.dead) }

// SentMessage finds a message by its destination's chat and the platform's name of it.
func (v *View) SentMessage(platform, chat, message string) (Sent, bool) {
	return v.lastSent(func(s *Sent) bool {
		return s.Message == message && s.To.Chat == chat && s.To.Platform == platform && message != ""
	})
}

// SentToken finds a message by what its buttons carry.
func (v *View) SentToken(token string) (Sent, bool) {
	return v.lastSent(func(s *Sent) bool { return s.Token == token && token != "" })
}

// Told returns the last message about a task.
func (v *View) Told(task events.TaskID) (Sent, bool) {
	return v.lastSent(func(s *Sent) bool { return s.Task == task && task != 0 })
}

// SentAbout returns the last message about an event to one destination.
func (v *View) SentAbout(of uint64, to events.Destination) (Sent, bool) {
	return v.lastSent(func(s *Sent) bool { return s.Of == of && s.To == to })
}

func (v *View) lastSent(is func(*Sent) bool) (Sent, bool) {
	for i := len(v.notices.sent) - 1; i >= 0; i-- {
		if s := &v.notices.sent[i]; is(s) {
			return *s, true
		}
	}
	return Sent{}, false
}

// Wants returns the destinations to be told of what happens to a task, each
// once, in the order of their subscriptions.
func (v *View) Wants(task events.TaskID) []events.Destination {
	t := v.Task(task)
	var to []events.Destination
	for _, s := range v.notices.subs {
		if s.wants(task, t) && !slices.Contains(to, s.To) {
			to = append(to, s.To)
		}
	}
	return to
}

func (s *Subscription) wants(id events.TaskID, t *Task) bool {
	switch {
	case s.Task != 0:
		return s.Task == id
	case s.Tenant != "":
		return t != nil && t.Tenant == s.Tenant
	case s.Agent != "":
		return t != nil && (t.Assignee == s.Agent || t.Implementer == s.Agent)
	}
	return true
}

// applyNotice folds what is said about messages; it reports whether r is one.
func (v *View) applyNotice(r *events.Record) bool {
	n := &v.notices
	switch p := r.Data.(type) {
	case events.SubscriptionAdded:
		n.subs = append(n.subs, v.subscription(r, p.To, p.Agent))
	case events.SubscriptionRemoved:
		gone := v.subscription(r, p.To, p.Agent)
		n.subs = slices.DeleteFunc(n.subs, func(s Subscription) bool { return s.same(gone) })
	case events.NotifySent:
		n.bury(p.Of, p.To)
		n.sent = append(n.sent, Sent{p.Of, r.Task, v.destination(p.To), p.Message, p.Token, r.Time, r.Seq})
		if len(n.sent) >= 2*SentKept {
			n.sent = append(n.sent[:0], n.sent[len(n.sent)-SentKept:]...)
		}
	case events.NotifyDead:
		n.bury(p.Of, p.To)
		n.dead = append(n.dead, Dead{p.Of, r.Task, v.destination(p.To), p.Tries, r.Time, r.Seq})
	case events.NotifyRetried:
		n.bury(p.Of, p.To)
	default:
		return false
	}
	return true
}

// bury takes a message off the list of those that were given up.
func (n *notices) bury(of uint64, to events.Destination) {
	n.dead = slices.DeleteFunc(n.dead, func(d Dead) bool { return d.Of == of && d.To == to })
}

func (v *View) subscription(r *events.Record, to events.Destination, agent string) Subscription {
	s := Subscription{r.Task, v.name(r.Tenant), v.name(agent), v.destination(to), r.Seq, v.actor(r.Actor)}
	if s.Task != 0 || agent != "" {
		s.Tenant = ""
	}
	return s
}

func (s *Subscription) same(o Subscription) bool {
	return s.Task == o.Task && s.Tenant == o.Tenant && s.Agent == o.Agent && s.To == o.To
}

func (v *View) destination(to events.Destination) events.Destination {
	return events.Destination{Platform: v.name(to.Platform), Chat: v.name(to.Chat), Thread: v.name(to.Thread)}
}

func (w *writer) destination(to events.Destination) {
	w.name(to.Platform)
	w.name(to.Chat)
	w.name(to.Thread)
}

func (r *reader) destination() events.Destination {
	return events.Destination{Platform: r.name(), Chat: r.name(), Thread: r.name()}
}

// notices writes the last SentKept messages only: equal views give equal bytes
// wherever the list was cut.
func (w *writer) notices(n *notices) {
	w.len(len(n.subs))
	for _, s := range n.subs {
		w.uint(uint64(s.Task))
		w.name(s.Tenant)
		w.name(s.Agent)
		w.destination(s.To)
		w.uint(s.Since)
		w.actor(s.By)
	}
	w.len(len(n.dead))
	for _, d := range n.dead {
		w.uint(d.Of)
		w.uint(uint64(d.Task))
		w.destination(d.To)
		w.uint(uint64(d.Tries))
		w.time(d.At)
		w.uint(d.Seq)
	}
	sent := n.sent[max(0, len(n.sent)-SentKept):]
	w.len(len(sent))
	for _, s := range sent {
		w.uint(s.Of)
		w.uint(uint64(s.Task))
		w.destination(s.To)
		w.text(s.Message)
		w.text(s.Token)
		w.time(s.At)
		w.uint(s.Seq)
	}
}

func (r *reader) notices(n *notices) {
	for range r.Len(8) {
		n.subs = append(n.subs, Subscription{r.task(), r.name(), r.name(), r.destination(), r.Uint64(), r.actor()})
	}
	for range r.Len(8) {
		n.dead = append(n.dead, Dead{r.Uint64(), r.task(), r.destination(), r.Uint32(), r.time(), r.Uint64()})
	}
	for range r.Len(9) {
		n.sent = append(n.sent, Sent{r.Uint64(), r.task(), r.destination(), r.String(), r.String(), r.time(), r.Uint64()})
	}
}

// DestinationName spells a destination for people and for the command line: platform:chat
// or platform:chat/thread.
func DestinationName(to events.Destination) string {
	s := to.Platform + ":" + to.Chat
	if to.Thread != "" {
		s += "/" + to.Thread
	}
	return s
}
