package chat

import (
	"fmt"
	"strconv"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// What the buttons below a message do. An offered answer is its number, from 1.
const (
	Approve = "approve"
	Changes = "changes"
	Retry   = "retry"
	Stop    = "stop"
	Show    = "show"
	Later   = "later"
	words   = "words" // no button: somebody replied
)

// Answer is what becomes of a tap or of a reply to a message about a task.
type Answer struct {
	Command boards.Command // nil = nothing is changed
	Done    string         // what was done, to follow the task's name: `answered`
	Said    string         // the words or the choice
	Settles bool           // the message is to say who did it
	Ask     bool           // words are wanted: ask for them
	Later   bool           // the reminder is to be put off
	Toast   string         // what to say where nothing is changed
}

// Settle decides what a tap on a button, or words in reply, does to the task of
// a message about the event at of. asked says that the event put the task before
// a person. What was settled already is left alone: see [SettledBy]. It is pure.
func Settle(d *projections.Detail, of uint64, asked bool, action, text string, zone *time.Location) Answer {
	switch action {
	case words:
		return reply(d, of, asked, text, zone)
	case Later:
		if !asked || !isOpen(d, of) {
			return Answer{Toast: SettledBy(d, of, zone)}
		}
		return Answer{Later: true}
	}
	if n, err := strconv.Atoi(action); err == nil {
		return choice(d, of, n, zone)
	}
	open := isOpen(d, of)
	switch {
	case action == Stop:
		return stop(d)
	case !open:
		return Answer{Toast: SettledBy(d, of, zone)}
	case action == Retry && d.Block != nil:
		return Answer{Command: boards.UnblockTask{Task: d.ID}, Done: "sent on", Settles: true}
	case action == Approve && d.Status == events.Review:
		return Answer{Command: boards.ApproveTask{Task: d.ID}, Done: "approved", Settles: true}
	case action == Changes && d.Status == events.Review:
		return Answer{Ask: true, Toast: "Say what is to be changed."}
	}
	return Answer{Toast: "This button is not one of mine."}
}

// isOpen reports whether what an event asked of a person is still asked.
func isOpen(d *projections.Detail, of uint64) bool {
	return d.Block != nil && d.Block.Seq == of || d.Status == events.Review && d.Handoff != nil && d.Handoff.Seq == of
}

func choice(d *projections.Detail, of uint64, n int, zone *time.Location) Answer {
	switch {
	case !isOpen(d, of):
		return Answer{Toast: SettledBy(d, of, zone)}
	case d.Block == nil || n < 1 || n > len(d.Block.Options):
		return Answer{Toast: "There is no such answer."}
	}
	return Answer{Command: boards.UnblockTask{Task: d.ID, Choice: uint8(n)}, Done: "answered", Said: d.Block.Options[n-1], Settles: true}
}

func stop(d *projections.Detail) Answer {
	switch d.Status {
	case events.Done, events.Archived:
		return Answer{Toast: fmt.Sprintf("%s is %s.", d.ID, d.Status)}
	case events.Running:
		return Answer{Command: boards.StopRun{Task: d.ID, Then: events.ThenBlock, Reason: "stopped from a chat"}, Done: "stopped", Settles: true}
	}
	return Answer{Command: boards.CompleteTask{Task: d.ID, Verdict: events.Cancelled, Summary: "cancelled from a chat"}, Done: "cancelled", Settles: true}
}

// reply gives words their meaning by what the task waits for.
func reply(d *projections.Detail, of uint64, asked bool, text string, zone *time.Location) Answer {
	newer := asked && !isOpen(d, of)
	switch {
	case d.Block != nil && newer:
		return Answer{Toast: fmt.Sprintf("%s has asked something else since: %s\nReply to that message, or: /kanban unblock %s …", d.ID, clean(d.Block.Reason, 300), d.ID)}
	case d.Block != nil:
		return Answer{Command: boards.UnblockTask{Task: d.ID, Answer: text}, Done: "answered", Said: text, Settles: true}
	case d.Status == events.Review && newer:
		return Answer{Toast: fmt.Sprintf("%s is up for another review since. Reply to that message, or: /kanban request-changes %s …", d.ID, d.ID)}
	case d.Status == events.Review:
		return Answer{Command: boards.RequestChanges{Task: d.ID, Reason: text}, Done: "sent back for changes", Said: text, Settles: true}
	}
	a := Answer{Command: boards.CommentTask{Task: d.ID, Body: text}, Done: "has your comment"}
	if newer {
		a.Toast = SettledBy(d, of, zone)
	}
	return a
}

// settling are the events that settle what was asked, and as what they are told.
var settling = map[events.Type]string{
	events.TaskUnblocked{}.Type(): "answered", events.TaskApproved{}.Type(): "approved", events.ChangesAsked{}.Type(): "sent back for changes",
	events.TaskCompleted{}.Type(): "completed", events.TaskPromoted{}.Type(): "moved on", events.TaskScheduled{}.Type(): "scheduled",
	events.TaskArchived{}.Type(): "archived", events.TaskReopened{}.Type(): "reopened", events.TaskBlocked{}.Type(): "blocked",
}

// SettledBy says who settled what the event at of asked: "already answered by
// Kai 02:14: EUR".
func SettledBy(d *projections.Detail, of uint64, zone *time.Location) string {
	if done := settledBy(d, of, zone); done != "" {
		return "already " + done
	}
	return fmt.Sprintf("nothing is asked here any more; %s is %s", d.ID, d.Status)
}

// settledBy is SettledBy for who was not asked; empty = nobody settled it.
func settledBy(d *projections.Detail, of uint64, zone *time.Location) string {
	for _, e := range d.Events {
		done, ok := settling[e.Type]
		if e.Seq <= of || !ok {
			continue
		}
		said := ""
		if d.Answer != nil && d.Answer.Seq == e.Seq {
			said = d.Answer.Body
		}
		if e.Type == (events.TaskCompleted{}).Type() && d.Verdict == events.Cancelled {
			done = "cancelled"
		}
		return by(done, e.Actor, e.Time, said, zone)
	}
	return ""
}

// by says who did something: "answered by Kai 02:14: EUR".
func by(done string, who events.Actor, at events.Time, said string, zone *time.Location) string {
	name := who.Name
	if name == "" || who.Kind != events.Human {
		name = who.Kind.String()
	}
	s := fmt.Sprintf("%s by %s %s", done, clean(name, 60), at.Time().In(zone).Format("15:04"))
	if said != "" {
		s += ": " + clean(said, 120)
	}
	return s
}
