package owner

import (
	"context"
	"errors"
	"sync"

	"github.com/hermesboard/hermes/events"
)

// wakes tells subscribers that something was committed. Safe for concurrent use.
type wakes struct {
	mu   sync.Mutex // guards subs
	subs map[chan struct{}]struct{}
}

// Wake returns a channel that is signalled after commits, and a function that
// drops it. Signals are coalesced, and only a hint: look at the view or the log.
func (o *Owner) Wake() (<-chan struct{}, func()) { return o.wakes.subscribe() }

func (w *wakes) subscribe() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.subs == nil {
		w.subs = make(map[chan struct{}]struct{})
	}
	w.subs[c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.subs, c)
	}
}

func (w *wakes) ring() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.subs {
		select {
		case c <- struct{}{}:
		default: // it has not looked since the last
		}
	}
}

// Read implements [api.Board].
func (o *Owner) Read(ctx context.Context, from uint64, limit int) ([]events.Entry, error) {
	entries, err := o.store.Log().Read(ctx, from, limit, true)
	if err != nil {
		return nil, o.readError(err)
	}
	return entries, nil
}

// ReadTask implements [api.Board].
func (o *Owner) ReadTask(ctx context.Context, task events.TaskID, from uint64, limit int) ([]events.Entry, error) {
	entries, err := o.store.Log().ReadTask(ctx, task, from, limit, true)
	if err != nil {
		return nil, o.readError(err)
	}
	return entries, nil
}

const followSlice = 500

// Follow implements [api.Board]. An event is seen once the view has it. A
// freeze is waited out.
func (o *Owner) Follow(ctx context.Context, from uint64, yield func(events.Entry) error) error {
	wake, drop := o.wakes.subscribe()
	defer drop()
	for from = max(from, 1); ; {
		entries, err := o.published(ctx, from)
		if err != nil && !(errors.Is(err, events.ErrClosed) && o.alive()) {
			return o.readError(err)
		}
		for _, e := range entries {
			if err := yield(e); err != nil {
				return err
			}
			from = e.Seq + 1
		}
		if len(entries) > 0 {
			continue
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		case <-o.gone:
			return o.goneError()
		}
	}
}

// published reads entries that the view has.
func (o *Owner) published(ctx context.Context, from uint64) ([]events.Entry, error) {
	head := o.seq.Load()
	if from > head {
		return nil, ctx.Err()
	}
	return o.store.Log().Read(ctx, from, int(min(head-from+1, followSlice)), true)
}

// alive reports whether the writer has not ended: a closed log is then a freeze.
func (o *Owner) alive() bool {
	select {
	case <-o.gone:
		return false
	default:
		return true
	}
}
