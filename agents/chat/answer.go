package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// told is a message that was sent about a task.
type told struct {
	sent  projections.Sent
	board api.Board
	route Route
}

// recordedWithin is how long a message that was just sent may not be on record.
const recordedWithin = time.Second

// find looks for a message on the boards of this chat's routes, for a moment
// longer if it is not there: whoever answers at once may be faster than the record.
func (c *Chat) find(ctx context.Context, chat events.Destination, q api.SentQuery) (t told, ok bool, err error) {
	for wait := 5 * time.Millisecond; ; wait *= 2 {
		if t, ok, err = c.look(ctx, chat, q); ok || err != nil || t.board != nil || wait > recordedWithin/2 {
			return t, ok, err
		}
		if !sleep(ctx, wait) {
			return t, false, ctx.Err()
		}
	}
}

// look is find without waiting. It is ok if the message was sent to the chat
// that asks for it; t.board is nil if no board knows it.
func (c *Chat) look(ctx context.Context, chat events.Destination, q api.SentQuery) (t told, ok bool, err error) {
	for _, slug := range c.boards {
		var a api.SentAnswer
		b, err := c.open(ctx, slug)
		if err == nil {
			a, err = b.FindSent(ctx, q)
		}
		if err != nil { // a board that is out of reach does not hide the others
			if ctx.Err() != nil {
				return t, false, ctx.Err()
			}
			c.Warn(fmt.Errorf("%s: board %s: %w", c.platform.Name(), slug, err))
			continue
		}
		if a.Found {
			here := a.Sent.To.Platform == chat.Platform && a.Sent.To.Chat == chat.Chat
			return told{a.Sent, b, c.routeOf(slug)}, here && a.Sent.Task != 0, nil
		}
	}
	return t, false, nil
}

// routeOf is the widest route to a board: what it says of tenants and reading
// holds for answers as well.
func (c *Chat) routeOf(slug string) Route {
	if c.Rules.Home.Board == slug {
		return c.Rules.Home
	}
	for _, r := range c.Rules.Routes {
		if r.Board == slug {
			return r
		}
	}
	return Route{Board: slug, ReadOnly: true}
}

// press does what a button says.
func (c *Chat) press(ctx context.Context, u *Update, who Person, in Intent) error {
	t, ok, err := c.find(ctx, u.Chat, api.SentQuery{Token: in.Token})
	switch {
	case err != nil:
		return err
	case !ok:
		c.toast(ctx, u, "That message is too old, or was not sent to this chat.")
		return nil
	}
	if in.Action == Show {
		c.toast(ctx, u, "")
		in.Argv, in.Route = []string{"show", t.sent.Task.String()}, t.route
		return c.run(ctx, u, who, in)
	}
	return c.settle(ctx, u, who, t, in.Action, "")
}

// answer does what a reply says.
func (c *Chat) answer(ctx context.Context, u *Update, who Person, action, text string) error {
	t, ok, err := c.find(ctx, u.Chat, api.SentQuery{Platform: u.Chat.Platform, Chat: u.Chat.Chat, Message: u.ReplyTo})
	if err != nil {
		return err
	}
	if !ok {
		c.tell(ctx, u, "That message is about no task that I know of. Nothing was done.")
		return nil
	}
	return c.settle(ctx, u, who, t, action, text)
}

// settle answers what a message asked.
func (c *Chat) settle(ctx context.Context, u *Update, who Person, t told, action, text string) error {
	call := c.call(u, who, t.route)
	seat, err := Sit(ctx, t.board, call)
	if err != nil {
		return err
	}
	if who.Role < Member || t.route.ReadOnly {
		c.tell(ctx, u, fmt.Sprintf("You are a %s here and may not answer.", who.Role))
		return nil
	}
	asked, err := c.asked(ctx, t)
	if err != nil {
		return err
	}
	a, d, err := c.try(ctx, seat, t, asked, action, text)
	if err != nil {
		return err
	}
	switch {
	case a.Ask:
		c.toast(ctx, u, a.Toast)
		return c.ask(ctx, u, t, d)
	case a.Later:
		return c.later(ctx, u, t)
	case a.Command == nil:
		c.tell(ctx, u, a.Toast)
		return nil
	}
	done := by(a.Done, call.By.Actor, events.TimeOf(time.Now()), a.Said, c.Zone)
	if u.Kind == Tapped {
		c.toast(ctx, u, done)
	}
	if a.Settles && !asked { // a message that asked is changed for everybody by whoever tells
		c.mark(ctx, t, seat, done)
	}
	if u.Kind == Said {
		reply := fmt.Sprintf("%s %s.", d.ID, a.Done)
		if a.Toast != "" {
			reply = a.Toast + "\n" + reply
		}
		c.say(ctx, u, Words(fmt.Sprintf("%s\n\n%s %d", reply, call.Board, seat.Last())))
	}
	return nil
}

// asked reports whether the event of a message put its task before a person.
func (c *Chat) asked(ctx context.Context, t told) (bool, error) {
	e, err := t.board.Read(ctx, t.sent.Of, 1)
	if err != nil || len(e) == 0 {
		return false, err
	}
	r, err := events.Decode(e[0].Record)
	if err != nil {
		return false, err
	}
	switch notify.KindOf(&r) {
	case notify.Blocked, notify.Loop, notify.GaveUp, notify.ReviewRequested:
		return true, nil
	}
	return false, nil
}

// try decides and carries out. If somebody else was faster it decides again, by
// what is now.
func (c *Chat) try(ctx context.Context, seat *Seat, t told, asked bool, action, text string) (a Answer, d projections.Detail, err error) {
	for range 2 {
		if d, err = seat.Show(ctx, t.sent.Task); err != nil {
			return a, d, err
		}
		a = Settle(&d, t.sent.Of, asked, action, text, c.Zone)
		if a.Command == nil {
			return a, d, nil
		}
		_, err = seat.Do(ctx, boards.Principal{}, events.CommandID{}, a.Command)
		var no *boards.Rejection
		if err == nil || !errors.As(err, &no) {
			return a, d, err
		}
	}
	return a, d, err
}

// ask asks for words. The reply finds its way by the message's name, so that is
// put on record.
func (c *Chat) ask(ctx context.Context, u *Update, t told, d projections.Detail) error {
	id := c.deliver(ctx, &Message{To: u.Chat, ReplyTo: u.Message, Ask: true,
		Text: Words(fmt.Sprintf("%s · %s\nWhat is to be changed? Reply to this message.\n\n%s %d", d.ID, clean(d.Title, 200), t.route.Board, t.sent.Of))})
	if id == "" {
		return nil
	}
	info, err := t.board.Info(ctx)
	if err != nil {
		return err
	}
	_, err = t.board.Do(ctx, notify.Principal, events.ForeignCommandID(info.Board, "chat.asked", c.platform.Name()+" "+id),
		boards.RecordSent{Of: t.sent.Of, Task: d.ID, To: u.Chat, Message: id})
	return err
}

// later puts off the reminder of a message.
func (c *Chat) later(ctx context.Context, u *Update, t told) error {
	if c.Reminder <= 0 {
		c.tell(ctx, u, "It stays as it is: nobody is reminded here.")
		return nil
	}
	err := notify.Later(ctx, t.board, t.sent, c.platform.Name()+" "+u.ID)
	if errors.Is(err, notify.ErrPutOff) {
		c.tell(ctx, u, "That was put off often enough. It stays as it is.")
		return nil
	}
	if err == nil {
		c.tell(ctx, u, fmt.Sprintf("It stays as it is. You are reminded %s.", time.Now().Add(c.Reminder).In(c.Zone).Format("Mon 15:04")))
	}
	return err
}

// mark makes a message say who did what it offered.
func (c *Chat) mark(ctx context.Context, t told, seat *Seat, done string) {
	d, err := seat.Show(ctx, t.sent.Task)
	if err == nil && t.sent.Message != "" {
		var info api.Info
		if info, err = t.board.Info(ctx); err == nil {
			name := clean(cmp.Or(info.Title, info.Slug), 60)
			err = c.platform.Edit(ctx, t.sent.Message, settled(&t.sent, name, done, &d, fmt.Sprintf("%s %d", t.route.Board, seat.Last()), c.platform.Limits()))
		}
	}
	if err != nil && ctx.Err() == nil {
		c.Warn(fmt.Errorf("%s: edit: %w", c.platform.Name(), err))
	}
}

// doing says what a task does now.
func doing(d *projections.Detail) string {
	if d.Run == nil {
		return fmt.Sprintf("now %s", d.Status)
	}
	s := fmt.Sprintf("running again, attempt %d", d.Run.Run.N)
	if from := d.Run.Continues; from.N != 0 {
		s += fmt.Sprintf(", goes on from attempt %d", from.N)
	}
	return s
}
