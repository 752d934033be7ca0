package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// DigestWithin is how late a digest may be: a gateway that starts after that
// waits for the next day.
const DigestWithin = 4 * time.Hour

// Digester sends a digest once a day to every destination that is subscribed to
// a whole board. It tells a destination of those boards and of no others.
type Digester struct {
	At        Clock // when, in Zone
	Zone      *time.Location
	Platforms map[string]Platform
	// Boards returns the boards that are told of, in a fixed order. They stay the
	// caller's.
	Boards func(ctx context.Context) ([]Board, error)
	// Gateways counts the gateways that run and those that should, which is said
	// to who is told of all boards; nil = to nobody.
	Gateways func() (up, all int)
	// All says who is told of every board, whatever they are subscribed to; nil =
	// nobody.
	All func(to events.Destination) bool
	// Others calls f for each board there is beside those of Boards, one at a
	// time; f only looks at it, and its error ends that. Nil = there are none.
	Others func(ctx context.Context, f func(OtherBoard) error) error
	Warn   func(error)

	refused map[string]bool // tokens of those that a platform refused for good
}

// OtherBoard is a board that somebody else tells of.
type OtherBoard struct {
	Name  string // as it is called here
	Board Board  // nil = it cannot be opened
	Err   error  // why not
}

// told is a board of a digest, and since where it counts.
type told struct {
	board Board
	info  api.Info
	since uint64 // position of the subscription; 0 = there is none
}

// Run sends digests until ctx ends.
func (d *Digester) Run(ctx context.Context) error {
	d.refused = make(map[string]bool)
	for {
		if err := d.tick(ctx, time.Now().In(d.Zone)); err != nil && ctx.Err() == nil {
			d.Warn(fmt.Errorf("digest: %w", err))
		}
		if sleep(ctx, time.Minute) != nil {
			return nil
		}
	}
}

// tick sends what is due.
func (d *Digester) tick(ctx context.Context, now time.Time) error {
	due := d.At.on(now)
	if now.Before(due) || now.Sub(due) > DigestWithin {
		return nil
	}
	list, err := d.Boards(ctx)
	if err != nil {
		return err
	}
	to, of, err := d.readers(ctx, list)
	if err != nil {
		return err
	}
	var failed error
	for _, dest := range to {
		all := len(of[dest]) == len(list) || d.tellsAll(dest)
		if err := d.send(ctx, dest, of[dest], all, now, due); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", projections.DestinationName(dest), err))
		}
	}
	return failed
}

// readers returns who gets a digest, in a fixed order, and of which boards.
func (d *Digester) readers(ctx context.Context, list []Board) (to []events.Destination, of map[events.Destination][]told, err error) {
	of = make(map[events.Destination][]told)
	for _, b := range list {
		info, err := b.Info(ctx)
		if err != nil {
			return nil, nil, err
		}
		now, err := b.Notices(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, s := range now.Subscriptions {
			p, ok := d.Platforms[s.To.Platform]
			if !ok || p.Each || s.Task != 0 || s.Tenant != "" || s.Agent != "" {
				continue
			}
			if of[s.To] == nil {
				to = append(to, s.To)
			}
			of[s.To] = append(of[s.To], told{b, info, s.Since})
		}
	}
	for _, dest := range to {
		if !d.tellsAll(dest) {
			continue
		}
		if of[dest], err = withRest(ctx, of[dest], list); err != nil {
			return nil, nil, err
		}
	}
	slices.SortFunc(to, func(a, b events.Destination) int {
		return strings.Compare(projections.DestinationName(a), projections.DestinationName(b))
	})
	return to, of, nil
}

func (d *Digester) tellsAll(to events.Destination) bool { return d.All != nil && d.All(to) }

// withRest adds the boards of a list that are not told of yet.
func withRest(ctx context.Context, of []told, list []Board) ([]told, error) {
	for _, b := range list {
		if slices.ContainsFunc(of, func(t told) bool { return t.board == b }) {
			continue
		}
		info, err := b.Info(ctx)
		if err != nil {
			return nil, err
		}
		of = append(of, told{board: b, info: info})
	}
	return of, nil
}

// send sends one destination its digest of the day, unless it has it. That it
// was sent is put on record on the first of its boards, and looked for on all.
func (d *Digester) send(ctx context.Context, to events.Destination, of []told, all bool, now, due time.Time) error {
	token := Token(events.BoardID{}, "digest "+due.Format(time.DateOnly), 0, to)
	if d.refused[token] {
		return nil
	}
	for _, t := range of {
		if a, err := t.board.FindSent(ctx, api.SentQuery{Token: token}); err != nil || a.Found {
			return err
		}
	}
	n := Notice{Board: of[0].info.Slug, Name: of[0].info.Slug, Seq: of[0].info.Head.Seq, Time: events.TimeOf(now), Kind: Morning, Token: token,
		Digest: &Digest{Since: due.AddDate(0, 0, -1).Format("Mon 15:04"), Until: now.Format("Mon 15:04")}}
	if all && d.Gateways != nil {
		n.Digest.Up, n.Digest.Gateways = d.Gateways()
	}
	for _, t := range of {
		from, err := t.board.Offset(ctx, offsetOf(to))
		if err != nil {
			return err
		}
		b, err := summarize(ctx, t, max(from, t.since), now, due)
		if err != nil {
			return err
		}
		n.Digest.Boards = append(n.Digest.Boards, b)
	}
	others, err := d.addOthers(ctx, n.Digest, to, of[0].board, now, due)
	if err != nil {
		return err
	}
	message, err := d.Platforms[to.Platform].Sender.Send(ctx, to, &n)
	var permanent *PermanentError
	switch {
	case errors.As(err, &permanent):
		d.refused[token] = true
		return errors.Join(err, d.note(ctx, of[0], token, boards.RecordDead{Of: n.Seq, To: to, Tries: 1, Reason: plainLine(err.Error())}))
	case err != nil && !isLost(err): // of one that was lost a second would be worse
		return err
	}
	if err := d.note(ctx, of[0], token, boards.RecordSent{Of: n.Seq, To: to, Message: message, Token: token}); err != nil {
		return err
	}
	for _, t := range of {
		if err := t.board.SaveOffset(ctx, offsetOf(to), t.info.Head.Seq); err != nil {
			return err
		}
	}
	for name, seq := range others {
		if err := of[0].board.SaveOffset(ctx, name, seq); err != nil {
			return err
		}
	}
	return nil
}

// addOthers adds the boards that somebody else tells of to a digest, if it is
// one of all boards. How far it has come with them is kept on a board of ours;
// returned are the offsets to save there when the digest was sent.
func (d *Digester) addOthers(ctx context.Context, digest *Digest, to events.Destination, ours Board, now, due time.Time) (map[string]uint64, error) {
	offsets := make(map[string]uint64)
	if d.Others == nil || !d.tellsAll(to) {
		return offsets, nil
	}
	err := d.Others(ctx, func(o OtherBoard) error {
		b, err := BoardDigest{Board: o.Name, Name: o.Name}, o.Err
		if err == nil {
			b, err = summarizeOther(ctx, o, to, ours, offsets, now, due)
		}
		if err != nil && ctx.Err() == nil { // no reason to leave out all the rest
			d.Warn(fmt.Errorf("digest: %s: %w", o.Name, err))
			b.Unread = true
		}
		digest.Boards = append(digest.Boards, b)
		return ctx.Err()
	})
	return offsets, err
}

func summarizeOther(ctx context.Context, o OtherBoard, to events.Destination, ours Board, offsets map[string]uint64, now, due time.Time) (BoardDigest, error) {
	unread := BoardDigest{Board: o.Name, Name: o.Name}
	info, err := o.Board.Info(ctx)
	if err != nil {
		return unread, err
	}
	info.Slug = o.Name
	name := offsetOf(to) + " of " + info.Board.String()
	from, err := ours.Offset(ctx, name)
	if err != nil {
		return unread, err
	}
	b, err := summarize(ctx, told{board: o.Board, info: info}, from, now, due)
	if err != nil {
		return unread, err
	}
	offsets[name] = info.Head.Seq
	return b, nil
}

func (d *Digester) note(ctx context.Context, t told, token string, c boards.Command) error {
	_, err := t.board.Do(ctx, Principal, events.ForeignCommandID(t.info.Board, c.CommandName(), token), c)
	var no *boards.Rejection
	if errors.As(err, &no) && no.Code == boards.CodeMismatch { // the day's is on record
		return nil
	}
	return err
}

// offsetOf names how far the digests of a destination have come.
func offsetOf(to events.Destination) string {
	return "digest" + strings.TrimPrefix(offsetName(to), "notify")
}

// summarize counts what happened on a board behind a position, at most in the
// last week; behind 0, since the digest of the day before was due.
func summarize(ctx context.Context, t told, from uint64, now, due time.Time) (BoardDigest, error) {
	oldest := events.TimeOf(now.AddDate(0, 0, -7))
	if from == 0 {
		oldest = events.TimeOf(due.AddDate(0, 0, -1))
	}
	policy, _, err := t.board.Policy(ctx)
	if err != nil {
		return BoardDigest{}, err
	}
	b := BoardDigest{Board: t.info.Slug, Name: plainLine(t.info.Title), Head: t.info.Head, Currency: policy.Currency, Budget: policy.Budget.BoardDay}
	if b.Name == "" {
		b.Name = b.Board
	}
	items, err := t.board.Inbox(ctx)
	if err != nil {
		return b, err
	}
	b.Waiting = len(items)
	for _, it := range items {
		if it.Task != 0 {
			b.Waits = append(b.Waits, it.Task)
		}
	}
	if from, err = firstSince(ctx, t.board, from+1, t.info.Head.Seq, oldest); err != nil {
		return b, err
	}
	for from <= t.info.Head.Seq {
		entries, err := t.board.Read(ctx, from, 0)
		if err != nil || len(entries) == 0 {
			return b, err
		}
		for _, e := range entries {
			from = e.Seq + 1
			r, err := events.Decode(e.Record)
			if err != nil {
				return b, fmt.Errorf("event %d: %w", e.Seq, err)
			}
			if r.Time >= oldest && e.Seq <= t.info.Head.Seq {
				b.count(&r)
			}
		}
	}
	return b, nil
}

// firstSince returns the first position from one on whose event is not older
// than oldest; behind head, if there is none. Times of a log never go back.
func firstSince(ctx context.Context, b Board, from, head uint64, oldest events.Time) (uint64, error) {
	for last := head + 1; from < last; {
		middle := from + (last-from)/2
		entries, err := b.Read(ctx, middle, 1)
		if err != nil {
			return 0, err
		}
		if len(entries) == 0 {
			return 0, fmt.Errorf("there is no event %d", middle)
		}
		r, err := events.Decode(entries[0].Record)
		if err != nil {
			return 0, fmt.Errorf("event %d: %w", middle, err)
		}
		if r.Time < oldest {
			from = middle + 1
		} else {
			last = middle
		}
	}
	return from, nil
}
