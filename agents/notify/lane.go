package notify

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/bus"
	"github.com/hermesboard/hermes/projections"
)

// What a message may cost before it becomes a dead letter.
const (
	Tries     = 12            // refusals
	Patience  = 6 * time.Hour // of a network, or a rate limit, that is at fault
	LostTries = 3             // answers lost: each may have left a message behind
	maxWait   = time.Hour     // of what a platform asks for
)

// What is sent as one message after downtime.
const (
	Pending = 10               // more than so many
	Late    = 10 * time.Minute // older than this
	maxItem = 200              // at most so many in one message
)

// lane is the way to one destination: one message at a time. Its handler runs
// in the goroutine of run, reminders in another.
type lane struct {
	n        *Notifier
	to       events.Destination
	platform Platform

	sending sync.Mutex // held while a message is with the platform

	// Of the message in flight; of the goroutine of run.
	trouble trouble
	taken   *letter // the platform took it, and the record is still to be made
}

// trouble is what became of the tries so far.
type trouble struct {
	trigger uint64 // position of what is in flight
	since   time.Time
	refused int
	lost    int
	wait    time.Duration // what the platform asked for; 0 = nothing
	edits   int           // of messages whose question was settled
	settled bool          // there is none left to change
}

// letter is a message and the events it tells.
type letter struct {
	notice  Notice
	about   []subject
	trigger uint64 // position of what led to it
	message string // the platform's name of it
}

// subject is one event that is told.
type subject struct {
	of   uint64
	task events.TaskID
}

// run tells until ctx ends. What goes wrong with the bus is tried again; only a
// board that is gone ends it before.
func (l *lane) run(ctx context.Context, from uint64) error {
	sub := bus.NewSubscriber(l.n.board, bus.Options{Name: offsetName(l.to), Board: l.n.slug, From: from,
		Types: func(t events.Type) bool { return mayTell(t) || maySettle(t) }, Wants: l.looks, Wait: l.wait})
	defer sub.Close()
	err := bus.Consume(ctx, sub, l.handle)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("tell %s: %w", projections.DestinationName(l.to), err)
	}
	return nil
}

// looks says which events are looked at.
func (l *lane) looks(r *events.Record) bool {
	if p, ok := r.Data.(events.NotifyRetried); ok {
		return p.To == l.to
	}
	return KindOf(r) != "" || l.settler() != nil && settles(r)
}

// wait is how long to wait after the n-th failure.
func (l *lane) wait(n int) time.Duration { return max(bus.Backoff(n), l.trouble.wait) }

// handle is the Watermill handler: nil when there is nothing more to do about
// the event.
func (l *lane) handle(m *message.Message) error {
	trigger, err := strconv.ParseUint(m.Metadata[bus.Seq], 10, 64)
	if err != nil {
		return err
	}
	if l.trouble.trigger != trigger {
		l.trouble = trouble{trigger: trigger}
	}
	if err = l.event(m.Context(), trigger); err != nil && m.Context().Err() == nil {
		l.n.opts.Warn(fmt.Errorf("tell %s of %s %d: %w", projections.DestinationName(l.to), l.n.slug, trigger, err))
	}
	return err
}

// event does what one event asks for.
func (l *lane) event(ctx context.Context, trigger uint64) error {
	if t := l.taken; t != nil && t.trigger == trigger {
		return l.record(ctx, t)
	}
	e, raw, err := l.n.entry(ctx, trigger)
	if err != nil {
		return err
	}
	retried, again := e.Record.Data.(events.NotifyRetried)
	if again {
		if e, raw, err = l.n.entry(ctx, retried.Of); err != nil {
			return err
		}
	} else if err := l.settle(ctx, e); err != nil {
		return err
	}
	if KindOf(&e.Record) == "" { // it only settled something
		return nil
	}
	now, err := l.n.board.Notices(ctx)
	if err != nil {
		return err
	}
	f, err := l.n.facts(ctx, e)
	if err != nil {
		return err
	}
	if !again && !wanted(now, l.to, &e.Record, f.Detail) {
		return nil
	}
	if settled, err := l.settled(ctx, now, e.Record.Seq, trigger); settled || err != nil {
		return err
	}
	if held, err := l.hush(ctx); err != nil {
		return err
	} else if held { // time has passed
		return l.event(ctx, trigger)
	}
	t := &letter{notice: Build(e, f), about: []subject{{e.Record.Seq, e.Record.Task}}, trigger: trigger}
	if !again && !l.platform.Each {
		if err := l.gather(ctx, now, e, t); err != nil {
			return err
		}
	}
	if len(t.about) == 1 {
		t.notice.Token = Token(l.n.id, "event", e.Record.Seq, l.to)
		if t.notice.Event, err = bus.Encode(f.Board, &e.Record, raw); err != nil {
			return err
		}
	}
	return l.tell(ctx, t)
}

// wanted reports whether a destination is to be told of an event.
func wanted(now api.Notices, to events.Destination, r *events.Record, d *projections.Detail) bool {
	for i := range now.Subscriptions {
		if s := &now.Subscriptions[i]; s.To == to && covers(s, r, d) {
			return true
		}
	}
	return false
}

// settled reports whether an event was told, or given up, since what led to it.
func (l *lane) settled(ctx context.Context, now api.Notices, of, trigger uint64) (bool, error) {
	for _, d := range now.Dead {
		if d.Of == of && d.To == l.to && d.Seq > trigger {
			return true, nil
		}
	}
	a, err := l.n.board.FindSent(ctx, api.SentQuery{Of: of, To: l.to})
	return a.Found && a.Sent.Seq > trigger, err
}

// hush waits until quiet hours are over and reports whether there were any. It
// looks at the clock again and again, because that may be set meanwhile.
func (l *lane) hush(ctx context.Context) (waited bool, err error) {
	for !l.platform.Each {
		now := time.Now().In(l.n.opts.Zone)
		end := l.n.opts.Quiet.End(now)
		if !end.After(now) {
			break
		}
		waited = true
		if err := sleep(ctx, min(end.Sub(now), time.Minute)); err != nil {
			return waited, err
		}
	}
	return waited, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// gather makes one letter of what waits behind an event that is late, if that
// is much.
func (l *lane) gather(ctx context.Context, now api.Notices, e *projections.Entry, t *letter) error {
	clock := time.Now()
	if !l.late(e, clock) {
		return nil
	}
	items := []Item{t.notice.item()}
	about := t.about
	quiet := l.hushed(e)
	for from := e.Record.Seq + 1; len(items) < maxItem; {
		entries, err := l.n.board.Read(ctx, from, 0)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			break
		}
		for _, raw := range entries {
			from = raw.Seq + 1
			next, err := decode(raw)
			if err != nil {
				return err
			}
			if KindOf(&next.Record) == "" || !l.late(next, clock) || len(items) == maxItem {
				continue
			}
			it, ok, err := l.item(ctx, now, next)
			if err != nil {
				return err
			}
			if ok {
				items, about = append(items, it), append(about, subject{it.Seq, it.Task})
				quiet = quiet || l.hushed(next)
			}
		}
	}
	if len(items) <= Pending && !(quiet && len(items) > 1) {
		return nil
	}
	last := items[len(items)-1]
	t.about = about
	t.notice = Notice{Board: t.notice.Board, Name: t.notice.Name, Seq: last.Seq, Time: last.Time, Kind: Several, Items: items}
	return nil
}

// late reports whether an event should have been told before.
func (l *lane) late(e *projections.Entry, now time.Time) bool {
	return now.Sub(e.Record.Time.Time()) > Late || l.hushed(e)
}

// hushed reports whether an event fell into quiet hours.
func (l *lane) hushed(e *projections.Entry) bool {
	return l.n.opts.Quiet.Contain(e.Record.Time.Time().In(l.n.opts.Zone))
}

// item is what is said of one event among several; false = it is not to be told.
func (l *lane) item(ctx context.Context, now api.Notices, e *projections.Entry) (Item, bool, error) {
	f, err := l.n.facts(ctx, e)
	if err != nil || !wanted(now, l.to, &e.Record, f.Detail) {
		return Item{}, false, err
	}
	if settled, err := l.settled(ctx, now, e.Record.Seq, e.Record.Seq); settled || err != nil {
		return Item{}, false, err
	}
	n := Build(e, f)
	return n.item(), true, nil
}

// grace is how long a message that a platform has when a notifier ends is
// waited for.
const grace = 3 * time.Second

// finishing returns a context for what should not be cut short: it ends a while
// after ctx.
func finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, end := context.WithCancel(context.WithoutCancel(ctx))
	drop := context.AfterFunc(ctx, func() {
		_ = sleep(longer, grace)
		end()
	})
	return longer, func() { drop(); end() }
}

// tell sends a letter once, and puts on record what came of it.
func (l *lane) tell(ctx context.Context, t *letter) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, done := finishing(ctx)
	defer done()
	t.notice.Again = l.trouble.lost > 0
	err := l.send(ctx, &t.notice, &t.message)
	if ctx.Err() != nil && err != nil {
		return err
	}
	if err == nil {
		l.taken = t
		return l.record(ctx, t)
	}
	if !l.trouble.over(err, time.Now()) {
		return err
	}
	l.n.opts.Warn(fmt.Errorf("gave up telling %s of %s %d: %w", projections.DestinationName(l.to), l.n.slug, t.notice.Seq, err))
	return l.bury(ctx, t, err)
}

// send hands a notice to the platform.
func (l *lane) send(ctx context.Context, n *Notice, message *string) (err error) {
	l.sending.Lock()
	defer l.sending.Unlock()
	*message, err = l.platform.Sender.Send(ctx, l.to, n)
	switch {
	case err == nil:
		l.n.sent.Add(1)
	case isLost(err):
		l.n.lost.Add(1)
	}
	return err
}

func isLost(err error) bool {
	var lost *LostError
	return errors.As(err, &lost)
}

// over books a try that failed and reports whether it was the last.
func (t *trouble) over(err error, now time.Time) bool {
	if t.since.IsZero() {
		t.since = now
	}
	t.wait = 0
	var permanent *PermanentError
	var later *RetryAfterError
	switch {
	case errors.As(err, &permanent):
		t.refused++
		return true
	case isLost(err):
		t.lost++
		return t.lost >= LostTries
	case errors.As(err, &later):
		t.wait = min(later.After, maxWait)
	}
	t.refused++
	if ofNetwork(err) {
		return now.Sub(t.since) >= Patience
	}
	return t.refused >= Tries
}

// record says on the board that a letter was taken. It may be done again: each
// letter is recorded once. The name of a message that tells several things is
// left out, because an answer to it would answer the last of them.
func (l *lane) record(ctx context.Context, t *letter) error {
	if err := l.put(ctx, t); err != nil {
		return err
	}
	l.taken = nil
	return nil
}

// put is record for a letter that is not the one in flight.
func (l *lane) put(ctx context.Context, t *letter) error {
	for _, s := range t.about {
		c := boards.RecordSent{Of: s.of, Task: s.task, To: l.to, Token: t.notice.Token}
		if len(t.about) == 1 {
			c.Message = t.message
		}
		id := events.ForeignCommandID(l.n.id, "notify.sent", key(t.message+" "+t.notice.Token, s.of, l.to)+strconv.FormatUint(t.trigger, 10))
		if err := l.do(ctx, id, c); err != nil {
			return err
		}
	}
	return nil
}

// bury says on the board that a letter was given up.
func (l *lane) bury(ctx context.Context, t *letter, why error) error {
	for _, s := range t.about {
		c := boards.RecordDead{Of: s.of, Task: s.task, To: l.to, Tries: uint32(l.trouble.refused + l.trouble.lost), Reason: plainLine(why.Error())}
		id := events.ForeignCommandID(l.n.id, "notify.dead", key("", s.of, l.to)+strconv.FormatUint(t.trigger, 10))
		if err := l.do(ctx, id, c); err != nil {
			return err
		}
	}
	l.n.dead.Add(uint64(len(t.about)))
	return nil
}

// do carries out a command. The rules' no is final and only worth a warning.
func (l *lane) do(ctx context.Context, id events.CommandID, c boards.Command) error {
	_, err := l.n.board.Do(ctx, Principal, id, c)
	var no *boards.Rejection
	if errors.As(err, &no) && no.Code != boards.CodeInternal && no.Code != boards.CodeFull {
		l.n.opts.Warn(fmt.Errorf("%s: %w", c.CommandName(), err))
		return nil
	}
	return err
}
