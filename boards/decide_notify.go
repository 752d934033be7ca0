package boards

import (
	"cmp"
	"strings"

	"github.com/hermesboard/hermes/events"
)

// MaxSubscriptions is how many destinations a board tells, in all.
const MaxSubscriptions = 1000

// subscription is a destination and what it wants to be told: one task, the
// tasks of a tenant, those of an agent, or, with none of these, the board.
type subscription struct {
	task   events.TaskID
	tenant string
	agent  string
	to     events.Destination
}

// letter is one message to one destination.
type letter struct {
	of uint64
	to events.Destination
}

func compareDestinations(a, b events.Destination) int {
	return cmp.Or(strings.Compare(a.Platform, b.Platform), strings.Compare(a.Chat, b.Chat), strings.Compare(a.Thread, b.Thread))
}

func compareSubscriptions(a, b subscription) int {
	return cmp.Or(cmp.Compare(a.task, b.task), strings.Compare(a.tenant, b.tenant), strings.Compare(a.agent, b.agent), compareDestinations(a.to, b.to))
}

func compareLetters(a, b letter) int {
	return cmp.Or(cmp.Compare(a.of, b.of), compareDestinations(a.to, b.to))
}

// destination checks where messages are to go.
func destination(to events.Destination) string {
	switch {
	case to.Platform == "" || to.Chat == "":
		return "a destination names a platform and a chat"
	case word("platform", to.Platform, "_-", MaxName) != "":
		return word("platform", to.Platform, "_-", MaxName)
	}
	return cmp.Or(line("chat", to.Chat, 200), line("thread", to.Thread, 200))
}

// asked checks what a subscription is about and draws it up.
func (d *decision) asked(c Command, id events.TaskID, tenant, agent string, to events.Destination) (subscription, *Rejection) {
	sub := subscription{id, fold(tenant), fold(agent), to}
	if r := d.only(c, person|dispatcher); r != nil {
		return sub, r
	}
	if r := firstBad(id, destination(to), tenantName(sub.tenant), agentName("agent", sub.agent)); r != nil {
		return sub, r
	}
	said := 0
	for _, given := range []bool{id != 0, sub.tenant != "", sub.agent != ""} {
		if given {
			said++
		}
	}
	if said > 1 {
		return sub, reject(CodeBadCommand, id, "", "a subscription is to a task, a tenant or an agent, not to several of them")
	}
	if id != 0 && d.s.task(id) == nil {
		return sub, noTask(id)
	}
	return sub, nil
}

func (d *decision) subscribe(c Subscribe) *Rejection {
	sub, r := d.asked(c, c.Task, c.Tenant, c.Agent, c.To)
	if r != nil {
		return r
	}
	if d.s.subs[sub] {
		return reject(CodeAlready, c.Task, "", "%s %s is subscribed already", c.To.Platform, c.To.Chat)
	}
	if len(d.s.subs) >= MaxSubscriptions {
		return reject(CodeTooMany, c.Task, "hermes kanban notify-list", "there are %d subscriptions, at most %d", len(d.s.subs), MaxSubscriptions)
	}
	d.add(events.Draft{Task: c.Task, Tenant: d.tenantOf(sub), Data: events.SubscriptionAdded{To: c.To, Agent: sub.agent}})
	return nil
}

func (d *decision) unsubscribe(c Unsubscribe) *Rejection {
	sub, r := d.asked(c, c.Task, c.Tenant, c.Agent, c.To)
	if r != nil {
		return r
	}
	if !d.s.subs[sub] {
		return reject(CodeNotFound, c.Task, "hermes kanban notify-list", "%s %s has no such subscription", c.To.Platform, c.To.Chat)
	}
	d.add(events.Draft{Task: c.Task, Tenant: d.tenantOf(sub), Data: events.SubscriptionRemoved{To: c.To, Agent: sub.agent}})
	return nil
}

// tenantOf is the tenant that a subscription's record carries.
func (d *decision) tenantOf(sub subscription) string {
	if t := d.s.task(sub.task); t != nil {
		return d.s.names.text(t.tenant)
	}
	return sub.tenant
}

// told checks what a notifier says of a message.
func (d *decision) told(c Command, by party, of uint64, id events.TaskID, to events.Destination) (draft events.Draft, r *Rejection) {
	if r := d.only(c, by); r != nil {
		return draft, r
	}
	if r := firstBad(id, destination(to)); r != nil {
		return draft, r
	}
	if of == 0 || of > d.s.head {
		return draft, reject(CodeBadCommand, id, "", "there is no event %d", of)
	}
	draft = events.Draft{Cause: of}
	if id != 0 {
		t := d.s.task(id)
		if t == nil {
			return draft, noTask(id)
		}
		draft.Task, draft.Tenant = id, d.s.names.text(t.tenant)
	}
	return draft, nil
}

func (d *decision) recordSent(c RecordSent) *Rejection {
	draft, r := d.told(c, dispatcher, c.Of, c.Task, c.To)
	if r != nil {
		return r
	}
	if r := firstBad(c.Task, line("message", c.Message, 200), word("token", c.Token, "_-", MaxName)); r != nil {
		return r
	}
	draft.Data = events.NotifySent{Of: c.Of, To: c.To, Message: c.Message, Token: c.Token}
	d.add(draft)
	return nil
}

func (d *decision) recordDead(c RecordDead) *Rejection {
	draft, r := d.told(c, dispatcher, c.Of, c.Task, c.To)
	if r != nil {
		return r
	}
	if r := firstBad(c.Task, prose("reason", c.Reason, MaxReason)); r != nil {
		return r
	}
	if d.s.dead[letter{c.Of, c.To}] {
		return reject(CodeAlready, c.Task, "", "that message was given up already")
	}
	draft.Data, draft.Text = events.NotifyDead{Of: c.Of, To: c.To, Tries: c.Tries}, reason(c.Reason)
	d.add(draft)
	return nil
}

func (d *decision) retryDead(c RetryDead) *Rejection {
	draft, r := d.told(c, person, c.Of, c.Task, c.To)
	if r != nil {
		return r
	}
	if !d.s.dead[letter{c.Of, c.To}] {
		return reject(CodeNotFound, c.Task, "hermes kanban notify-list --dead", "no message about event %d to %s %s was given up", c.Of, c.To.Platform, c.To.Chat)
	}
	draft.Data = events.NotifyRetried{Of: c.Of, To: c.To}
	d.add(draft)
	return nil
}

// evolveNotify folds what is said about messages; it reports whether r is one.
func (s *State) evolveNotify(r *events.Record) bool {
	switch p := r.Data.(type) {
	case events.SubscriptionAdded:
		s.subs[subscribed(r, p.To, p.Agent)] = true
	case events.SubscriptionRemoved:
		delete(s.subs, subscribed(r, p.To, p.Agent))
	case events.NotifySent:
		delete(s.dead, letter{p.Of, p.To})
	case events.NotifyRetried:
		delete(s.dead, letter{p.Of, p.To})
	case events.NotifyDead:
		s.dead[letter{p.Of, p.To}] = true
	default:
		return false
	}
	return true
}

// subscribed is the subscription that a record speaks of. The tenant of a
// task's record is the task's.
func subscribed(r *events.Record, to events.Destination, agent string) subscription {
	sub := subscription{r.Task, r.Tenant, agent, to}
	if r.Task != 0 || agent != "" {
		sub.tenant = ""
	}
	return sub
}
