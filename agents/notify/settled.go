package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Settler is a Sender that can change a message which it sent before.
type Settler interface {
	// Settled makes a message say who settled what it asked, and takes back what
	// it offers to do about it. It may be called again for the same message.
	Settled(ctx context.Context, s *Settlement) error
}

// Settlement is a message whose question was settled, anywhere.
type Settlement struct {
	Board, Name string // slug, and title
	Sent        projections.Sent
	Seq         uint64 // position of what settled it
	Detail      *projections.Detail
}

// maxEdits is how often it is tried to change a message; nothing hangs on it.
const maxEdits = 3

// settling are the types of events that can settle what a task asked of a person.
var settling = []events.Type{"task.unblocked", "task.approved", "task.changes_requested", "task.completed", "task.promoted", "task.scheduled",
	"task.archived", "task.reopened", "task.blocked"}

// Settles reports whether events of a type can settle what a task asked.
func Settles(t events.Type) bool { return slices.Contains(settling, t) }

func maySettle(t events.Type) bool { return Settles(t) || t == goesOn }

// settles reports whether it is worth a look what an event has settled. The
// first run of a task does not go on with anything.
func settles(r *events.Record) bool {
	t := r.Data.Type()
	return r.Task != 0 && maySettle(t) && (t != goesOn || r.Run.N > 1)
}

// asking are the types of events that put a task before a person.
var asking = []events.Type{"task.blocked", "task.review_requested"}

// settler returns the sender as what can change its messages, or nil.
func (l *lane) settler() Settler {
	s, _ := l.platform.Sender.(Settler)
	return s
}

// goesOn is what a task may do when it was settled, and what a message then says
// beside who did it.
const goesOn events.Type = "run.claimed"

// settle changes what this destination was told of a task's last question, if an
// event has settled it, or the task goes on since. It may be done again.
func (l *lane) settle(ctx context.Context, e *projections.Entry) error {
	if l.settler() == nil || !settles(&e.Record) || l.trouble.settled {
		return nil
	}
	d, err := l.n.board.Show(ctx, e.Record.Task)
	if err != nil {
		return err
	}
	of := askedBefore(&d, e.Record.Seq)
	if of == 0 || askedAt(&d) == of {
		return nil
	}
	info, err := l.n.board.Info(ctx)
	if err != nil {
		return err
	}
	list, err := l.messages(ctx, of)
	if err != nil {
		return err
	}
	for _, sent := range list {
		s := &Settlement{Board: info.Slug, Name: plainLine(info.Title), Sent: sent, Seq: e.Record.Seq, Detail: &d}
		if s.Name == "" {
			s.Name = s.Board
		}
		if err := l.change(ctx, s); err != nil {
			return err
		}
	}
	l.trouble.settled = true
	return nil
}

// change changes a message. An error is one to try again after.
func (l *lane) change(ctx context.Context, s *Settlement) error {
	l.sending.Lock()
	err := l.settler().Settled(ctx, s)
	l.sending.Unlock()
	var permanent *PermanentError
	if err == nil || errors.As(err, &permanent) { // somebody has removed it
		return nil
	}
	if ctx.Err() != nil {
		return err
	}
	var later *RetryAfterError
	if errors.As(err, &later) {
		l.trouble.wait = min(later.After, maxWait)
	}
	if l.trouble.edits++; l.trouble.edits < maxEdits {
		return fmt.Errorf("change message %s: %w", s.Sent.Message, err)
	}
	l.n.opts.Warn(fmt.Errorf("message %s to %s still offers what is settled: %w", s.Sent.Message, projections.DestinationName(l.to), err))
	return nil
}

// askedBefore is the position of the event that put a task before a person and
// that the one at seq settles, or goes on from; 0 = there is none, or another
// event has done so before.
func askedBefore(d *projections.Detail, seq uint64) (of uint64) {
	over := false // of was settled
	for _, e := range d.Events {
		last := e.Seq >= seq
		switch {
		case slices.Contains(asking, e.Type) && !last:
			of, over = e.Seq, false
		case e.Type == goesOn:
			if last && over {
				return of
			}
			of = 0
		case Settles(e.Type):
			if last && !over {
				return of
			}
			over = true
		}
		if last {
			return 0
		}
	}
	return 0
}

// messages are those with which this destination was told of an event: the
// first, and the reminders.
func (l *lane) messages(ctx context.Context, of uint64) (list []projections.Sent, err error) {
	r, err := findRounds(ctx, l.n.board, l.n.id, of, l.to)
	if err != nil {
		return nil, err
	}
	tokens := []string{Token(l.n.id, "event", of, l.to)}
	for k := range r.later + 1 {
		tokens = append(tokens, remindToken(l.n.id, k, of, l.to))
	}
	for _, token := range tokens {
		a, err := l.n.board.FindSent(ctx, api.SentQuery{Token: token})
		if err != nil {
			return nil, err
		}
		if a.Found && a.Sent.Message != "" {
			list = append(list, a.Sent)
		}
	}
	return list, nil
}
