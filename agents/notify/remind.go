package notify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// remindAll reminds until ctx ends.
func (n *Notifier) remindAll(ctx context.Context) {
	failed := make(map[string]time.Time) // tokens of reminders that could not be sent, and when to try again
	for sleep(ctx, remindEvery) == nil {
		now := time.Now()
		if n.opts.Quiet.Contain(now.In(n.opts.Zone)) {
			continue
		}
		if err := n.remind(ctx, now, failed); err != nil && ctx.Err() == nil {
			n.opts.Warn(fmt.Errorf("remind: %w", err))
		}
	}
}

// remind sends one reminder to whoever was told of something that still waits.
func (n *Notifier) remind(ctx context.Context, now time.Time, failed map[string]time.Time) error {
	items, err := n.board.Inbox(ctx)
	if err != nil {
		return err
	}
	maps.DeleteFunc(failed, func(_ string, until time.Time) bool { return now.Sub(until) > 24*time.Hour })
	for _, it := range items {
		if it.Task == 0 || now.Sub(it.Since.Time()) < n.opts.Reminder {
			continue
		}
		d, err := n.board.Show(ctx, it.Task)
		if err != nil {
			return err
		}
		of := askedAt(&d)
		if of == 0 {
			continue
		}
		for _, l := range n.people() {
			if err := l.remind(ctx, of, now, failed); err != nil {
				return err
			}
		}
	}
	return nil
}

// askedAt is the position of what a task waits for a person with; 0 = nothing
// that is ever told.
func askedAt(d *projections.Detail) uint64 {
	switch {
	case d.Block != nil:
		return d.Block.Seq
	case d.Status == events.Review && d.Handoff != nil:
		return d.Handoff.Seq
	}
	return 0
}

// people returns the lanes to people, in a fixed order.
func (n *Notifier) people() []*lane {
	n.mu.Lock()
	defer n.mu.Unlock()
	lanes := slices.DeleteFunc(slices.Collect(maps.Values(n.lanes)), func(l *lane) bool { return l.platform.Each || l.platform.Sender == nil })
	slices.SortFunc(lanes, func(a, b *lane) int {
		return slices.Compare([]string{a.to.Platform, a.to.Chat, a.to.Thread}, []string{b.to.Platform, b.to.Chat, b.to.Thread})
	})
	return lanes
}

// remind sends one reminder of an event, if this destination was told of it, or
// put it off, long enough ago, still wants it, and has had none since. A reminder
// is known by its token. One that cannot be sent is tried again an hour later; one whose answer
// was lost is taken as sent, since nothing hangs on it.
func (l *lane) remind(ctx context.Context, of uint64, now time.Time, failed map[string]time.Time) error {
	told, err := l.n.board.FindSent(ctx, api.SentQuery{Of: of, To: l.to})
	if err != nil || !told.Found || now.Sub(told.Sent.At.Time()) < l.n.opts.Reminder {
		return err
	}
	r, err := findRounds(ctx, l.n.board, l.n.id, of, l.to)
	if err != nil || r.later > 0 && now.Sub(r.last.At.Time()) < l.n.opts.Reminder {
		return err
	}
	token := remindToken(l.n.id, r.later, of, l.to)
	if before, err := l.n.board.FindSent(ctx, api.SentQuery{Token: token}); err != nil || before.Found || now.Before(failed[token]) {
		return err
	}
	e, _, err := l.n.entry(ctx, of)
	if err != nil {
		return err
	}
	subs, err := l.n.board.Notices(ctx)
	if err != nil {
		return err
	}
	f, err := l.n.facts(ctx, e)
	if err != nil || !wanted(subs, l.to, &e.Record, f.Detail) {
		return err
	}
	t := &letter{notice: Build(e, f), about: []subject{{of, e.Record.Task}}, trigger: of}
	if !t.notice.NeedsYou { // settled just now
		return nil
	}
	t.notice.Remind, t.notice.Token = true, token
	return l.dun(ctx, t, now, failed)
}

// dun sends a reminder and puts it on record.
func (l *lane) dun(ctx context.Context, t *letter, now time.Time, failed map[string]time.Time) error {
	ctx, done := finishing(ctx)
	defer done()
	err := l.send(ctx, &t.notice, &t.message)
	if err != nil && !isLost(err) {
		failed[t.notice.Token] = now.Add(time.Hour)
		return err
	}
	return l.put(ctx, t)
}
