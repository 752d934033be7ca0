package owner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hermesboard/hermes/boards"
)

const (
	frozenPatience = 30 * time.Second // how long a command waits for a frozen board
	reopenEvery    = time.Second
)

// freeze resolves an append whose outcome is not known, or any other trouble
// with the log: it is reopened, everything folded again, and the waiting
// commands are left in w.rest to be looked up and, where they are not found,
// decided again. Nothing is answered meanwhile, except that a command that has
// waited too long is told so. An error means that the board is lost.
func (w *writer) freeze(ctx context.Context, cause error, suspect bool, waiting []*pending) error {
	if w.fails++; w.fails > maxAttempts && !suspect {
		return w.giveUp(ctx, cause, waiting)
	}
	w.o.warn(fmt.Errorf("board %s is frozen: %w", w.o.store.Slug(), cause))
	w.o.frozen.Store(true)
	type thaw struct {
		f   *folded
		err error
	}
	thawed := make(chan thaw, 1)
	go func() {
		f, err := w.reopen(ctx, suspect)
		thawed <- thaw{f, err}
	}()
	q := newFrozenQueue(waiting)
	defer q.timer.Stop()
	for {
		select {
		case <-w.o.queue.await(1):
			for _, p := range w.o.queue.take() {
				q.add(p)
			}
		case <-q.timer.C:
			q.shed()
		case t := <-thawed:
			if t.err != nil {
				q.refuse(t.err, w.o)
				return w.lost(t.err)
			}
			w.rest = q.unsearched()
			w.adopt(t.f)
			return nil
		}
	}
}

// lost turns the end of a freeze that did not thaw into the writer's: an
// ordinary one if the owner was told to stop.
func (w *writer) lost(err error) error {
	if errors.Is(err, context.Canceled) {
		return errStopped
	}
	return err
}

// errStopped: the owner was told to stop while the board was frozen.
var errStopped = errors.New("stopped while frozen")

// reopen tries until the log is open and folded, ctx ends, or the board is lost.
func (w *writer) reopen(ctx context.Context, suspect bool) (*folded, error) {
	for {
		_, err := w.o.store.Reopen(ctx, suspect)
		if err == nil {
			var f *folded
			if f, err = load(ctx, w.o.store); err == nil {
				return f, nil
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if lost(err) {
			return nil, err
		}
		w.o.warn(fmt.Errorf("reopen board %s: %w", w.o.store.Slug(), err))
		select {
		case <-time.After(reopenEvery):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// adopt goes on with what was folded after a freeze.
func (w *writer) adopt(f *folded) {
	w.rules, w.head, w.stale = f.rules, f.head, false
	w.stamp.last = max(w.stamp.last, f.last)
	w.prior, w.priorFrom = nil, f.head.Seq
	o := w.o
	o.replace(f.view, f.head)
	o.limit()
	o.seq.Store(f.head.Seq)
	o.frozen.Store(false)
	o.wakes.ring()
}

// giveUp refuses commands that the log keeps refusing in a way that says
// nothing was written.
func (w *writer) giveUp(ctx context.Context, cause error, waiting []*pending) error {
	w.fails = 0
	w.o.warn(fmt.Errorf("board %s: %w", w.o.store.Slug(), cause))
	for _, p := range waiting {
		p.reply(boards.Result{}, &boards.Rejection{Code: boards.CodeInternal, Task: taskOf(p.c), Detail: "the log refused it: " + cause.Error()})
	}
	return w.refold(ctx)
}

// full answers a batch for which there was no room; nothing of it was written.
// What ends or releases something is tried again by itself in the room that
// the ballast gives up.
func (w *writer) full(ctx context.Context, cause error, outcomes []*outcome) error {
	w.o.space.refused(cause)
	if !slices.ContainsFunc(outcomes, func(out *outcome) bool { return len(out.records) > 0 }) {
		for _, out := range outcomes { // there were only offsets to save; they wait
			out.tell()
		}
		return nil
	}
	var again []*pending
	for _, out := range outcomes {
		written := len(out.records) > 0 || out.first != nil
		if written && (out.p.full || !isVital(out.p.c)) {
			out.p.reply(boards.Result{}, fullRejection(out.p.c, cause.Error()))
			continue
		}
		out.p.full = out.p.full || written
		again = append(again, out.p)
	}
	if len(again) > 0 {
		if _, err := w.o.store.DropBallast(); err != nil {
			w.o.warn(err)
		}
	}
	w.rest = append(again, w.rest...)
	return w.refold(ctx)
}

// frozenQueue is the commands that wait for a frozen board, oldest first.
type frozenQueue struct {
	list  []*pending
	timer *time.Timer // runs out when the first has waited too long
}

func newFrozenQueue(waiting []*pending) *frozenQueue {
	q := &frozenQueue{timer: time.NewTimer(frozenPatience)}
	for _, p := range waiting {
		q.add(p)
	}
	return q
}

func (q *frozenQueue) add(p *pending) {
	if p.until.IsZero() { // else it has waited for an earlier freeze
		p.until = time.Now().Add(frozenPatience)
	}
	if len(q.list) == 0 {
		q.timer.Reset(time.Until(p.until))
	}
	q.list = append(q.list, p)
}

// shed tells those that have waited too long; the rest waits on.
func (q *frozenQueue) shed() {
	now := time.Now()
	for len(q.list) > 0 && !now.Before(q.list[0].until) {
		q.list[0].reply(boards.Result{}, errFrozen())
		q.list = q.list[1:]
	}
	if len(q.list) > 0 {
		q.timer.Reset(q.list[0].until.Sub(now))
	}
}

// refuse tells all that the board does not come back.
func (q *frozenQueue) refuse(err error, o *Owner) {
	if !errors.Is(err, context.Canceled) {
		o.fail(err)
		err = o.goneError()
	} else {
		err = errFrozen()
	}
	for _, p := range q.list {
		p.reply(boards.Result{}, err)
	}
}

// unsearched returns the commands, to be searched for from the beginning.
func (q *frozenQueue) unsearched() []*pending {
	for _, p := range q.list {
		p.seen = 0
	}
	return q.list
}
