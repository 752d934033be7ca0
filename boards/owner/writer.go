package owner

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// Bounds of one group commit.
const (
	maxBatch      = 1024
	maxBatchBytes = 4 << 20
	maxLinger     = 2 * time.Millisecond
	maxAttempts   = 3 // at a batch that the log refuses without a word it knows
)

// writer decides and appends. All of it belongs to one goroutine.
type writer struct {
	o     *Owner
	rules *boards.State // runs ahead of the disk within a batch
	head  events.Head   // committed
	stamp *stamper
	rest  []*pending // taken from the queue, to be decided next
	// expected is how many commands the next batch may have: those that wait
	// already, and one of each sender about to be answered.
	expected int
	took     time.Duration                 // the last append: a wait may at most double it
	same     map[events.CommandID]*outcome // what makes events in the batch under way
	// What made events in the last batch that was committed: all that is in
	// the log after position priorFrom.
	prior     map[events.CommandID]*outcome
	priorFrom uint64
	stale     bool // rules may not be what the log says
	fails     int  // refused appends in a row
}

// outcome is what became of a command, to be told once the batch is durable.
type outcome struct {
	p       *pending
	records []events.Record
	encoded []events.Encoded
	result  boards.Result // if there are no records
	err     error
	first   *outcome // the same command earlier in the batch
}

// run serves the queue until ctx ends, then finishes what waits in it. It
// returns why the board is lost, if it is.
func (w *writer) run(ctx context.Context) error {
	defer w.o.fold()
	for {
		if len(w.rest) == 0 {
			if w.o.queue.len() == 0 {
				w.o.fold()
			}
			select {
			case <-w.o.queue.await(1):
			case errand := <-w.o.errands:
				if err := errand(ctx, w); err != nil {
					return err
				}
				continue
			case <-ctx.Done():
				if w.o.queue.len() == 0 {
					return w.append(ctx, nil) // offsets
				}
			}
		}
		if err := w.commit(ctx); err != nil {
			return err
		}
	}
}

// next returns the next command of a batch that has so many, or nil if the
// batch is to be closed: when as many have come as can be expected, or when
// patience, which is made by the first wait, has run out.
func (w *writer) next(have int, patience **time.Timer) *pending {
	if len(w.rest) == 0 {
		w.rest = w.o.queue.take()
	}
	if missing := w.expected - have; len(w.rest) == 0 && missing > 0 {
		if *patience == nil {
			*patience = time.NewTimer(min(w.took, maxLinger))
		}
		select {
		case <-w.o.queue.await((missing + 1) / 2): // the other half comes while these are decided
		case <-(*patience).C:
			w.expected = 0
		}
		w.rest = w.o.queue.take()
	}
	if len(w.rest) == 0 {
		return nil
	}
	p := w.rest[0]
	w.rest = w.rest[1:]
	return p
}

// commit gathers and decides a batch, makes it durable and tells everybody.
// What could not be decided yet is left in w.rest. An error means that the
// board is lost.
func (w *writer) commit(ctx context.Context) error {
	outcomes, err := w.gather(ctx)
	if err != nil {
		return w.freeze(ctx, err, false, w.waiting(outcomes))
	}
	return w.append(ctx, outcomes)
}

// append makes a decided batch durable, and the offsets that wait with it.
func (w *writer) append(ctx context.Context, outcomes []*outcome) error {
	commits := make([]events.Commit, 0, len(outcomes)+1)
	for _, out := range outcomes {
		if len(out.records) > 0 {
			commits = append(commits, events.Commit{ID: out.p.id, Check: out.p.check, Records: out.encoded})
		}
	}
	commands, offsets := len(commits), w.o.offsets.waiting()
	if len(offsets) > 0 {
		commits = append(commits, events.Commit{Offsets: offsets})
	}
	w.expected = len(outcomes) + len(w.rest) + w.o.queue.len()
	if len(commits) == 0 {
		tell(outcomes)
	} else {
		var folding sync.WaitGroup
		if w.o.behind() { // with the batch before: while the disk is busy
			folding.Go(w.o.fold)
		}
		began := time.Now()
		head, err := w.o.store.Log().Append(context.WithoutCancel(ctx), w.head.Seq, commits)
		w.took = time.Since(began)
		folding.Wait()
		switch {
		case err == nil:
			w.fails = 0
			if w.o.opts.Committed != nil {
				w.o.opts.Committed(w.took, commands)
			}
			w.publish(head, outcomes)
			w.o.offsets.saved(offsets)
		case errors.Is(err, events.ErrFull):
			return w.full(ctx, err, outcomes)
		default:
			return w.freeze(ctx, err, errors.Is(err, events.ErrUnknownCommit), w.waiting(outcomes))
		}
	}
	if w.stale {
		return w.refold(ctx)
	}
	return nil
}

// waiting returns the commands of a batch that failed and those left over.
func (w *writer) waiting(outcomes []*outcome) []*pending {
	list := make([]*pending, 0, len(outcomes)+len(w.rest))
	for _, out := range outcomes {
		out.p.tried = out.p.tried || len(out.records) > 0
		list = append(list, out.p)
	}
	list = append(list, w.rest...)
	w.rest = nil
	return list
}

// gather takes commands as they come and decides each against what the ones
// before it will have made. An error is the log's.
func (w *writer) gather(ctx context.Context) ([]*outcome, error) {
	w.same = make(map[events.CommandID]*outcome, w.expected)
	outcomes, room := make([]*outcome, 0, w.expected), make([]outcome, w.expected)
	var patience *time.Timer
	for size := 0; !w.stale && size <= maxBatchBytes && len(outcomes) < maxBatch; {
		p := w.next(len(outcomes), &patience)
		if p == nil {
			break
		}
		if len(room) == 0 { // more have come than were expected
			room = make([]outcome, 1)
		}
		out := &room[0]
		out.p, room = p, room[1:]
		outcomes = append(outcomes, out)
		if first, ok := w.same[p.id]; ok {
			out.first = first
			continue
		}
		entry, found, err := w.lookup(p)
		if err != nil {
			return outcomes, err
		}
		if found {
			out.result, out.err = w.o.recall(context.WithoutCancel(ctx), entry, p.check)
			out.result.Repeat = !p.tried
			continue
		}
		out.records, out.encoded, out.err = w.rule(p)
		if len(out.records) > 0 {
			w.same[p.id] = out
			for _, e := range out.encoded {
				size += len(e.Record) + len(e.Text)
			}
		}
	}
	return outcomes, nil
}

// lookup finds a command that was committed after its sender had looked.
func (w *writer) lookup(p *pending) (events.CommandEntry, bool, error) {
	if out, ok := w.prior[p.id]; ok {
		return events.CommandEntry{First: out.records[0].Seq, Count: len(out.records), Check: out.p.check}, true, nil
	}
	if p.seen >= w.priorFrom {
		return events.CommandEntry{}, false, nil
	}
	return w.o.store.Log().Command(p.id)
}

// rule decides a command and folds its events into the rule state. A rule
// that panics refuses its command; the state is then not to be trusted.
func (w *writer) rule(p *pending) (records []events.Record, encoded []events.Encoded, err error) {
	defer func() {
		if v := recover(); v != nil {
			w.stale = true
			w.o.warn(fmt.Errorf("%s %s: panic: %v\n%s", p.c.CommandName(), p.id, v, debug.Stack()))
			records, encoded = nil, nil
			err = &boards.Rejection{Code: boards.CodeInternal, Task: taskOf(p.c), Detail: "the rule for " + p.c.CommandName() + " broke; nothing was written"}
		}
	}()
	now := w.stamp.now()
	drafts, err := w.o.decide(w.rules, p.c, boards.Env{Now: now, By: p.by})
	if err != nil || len(drafts) == 0 {
		return nil, nil, err
	}
	records, encoded, err = w.stamp.stamp(drafts, p.by.Actor, p.id, w.rules.Head(), now)
	switch {
	case errors.Is(err, events.ErrTooLarge):
		return nil, nil, &boards.Rejection{Code: boards.CodeBadCommand, Task: taskOf(p.c), Detail: err.Error(), Hint: "hermes kanban attach"}
	case err != nil:
		return nil, nil, &boards.Rejection{Code: boards.CodeInternal, Task: taskOf(p.c), Detail: err.Error()}
	}
	for i := range records {
		w.rules.Evolve(&records[i])
	}
	return records, encoded, nil
}

// publish shows a committed batch to everybody and answers its senders. One
// who then asks for what it did folds it first: the answer need not wait.
func (w *writer) publish(head events.Head, outcomes []*outcome) {
	if head.Seq > w.head.Seq {
		w.prior, w.priorFrom = w.same, w.head.Seq
	}
	w.head = head
	w.o.committed(head, outcomes)
	w.o.seq.Store(head.Seq)
	tell(outcomes)
	if slices.ContainsFunc(outcomes, changesPolicy) {
		w.o.limit()
	}
	w.o.wakes.ring()
}

func changesPolicy(out *outcome) bool {
	for i := range out.records {
		if _, ok := out.records[i].Data.(events.PolicyChanged); ok {
			return true
		}
	}
	return false
}

// tell answers the senders.
func tell(outcomes []*outcome) {
	for _, out := range outcomes {
		out.tell()
	}
}

func (out *outcome) tell() {
	switch {
	case out.err != nil:
		out.p.reply(boards.Result{}, out.err)
	case out.first != nil && out.first.p.check != out.p.check:
		out.p.reply(boards.Result{}, mismatch())
	case out.first != nil:
		result := boards.ResultOf(out.first.records)
		result.Repeat = true
		out.p.reply(result, nil)
	case len(out.records) > 0:
		out.p.reply(boards.ResultOf(out.records), nil)
	default:
		out.p.reply(out.result, nil)
	}
}

// refold makes the rule state anew from the log.
func (w *writer) refold(ctx context.Context) error {
	rules := loadRules(w.o.store)
	if rules.Head() > w.head.Seq {
		rules = boards.NewState()
	}
	err := fold(context.WithoutCancel(ctx), w.o.store.Log(), rules.Head()+1, w.head.Seq, rules.Evolve)
	if err != nil {
		waiting := w.rest
		w.rest = nil
		return w.freeze(ctx, err, false, waiting)
	}
	w.rules, w.stale = rules, false
	return nil
}
