package owner

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// The snapshot of the rule state. A change of its form needs a new version.
const (
	rulesName    = "rules"
	rulesVersion = 1
)

// folded is a board brought up to its head.
type folded struct {
	rules *boards.State
	view  *projections.View
	head  events.Head
	last  events.Time // of the last record
	tail  uint64      // records folded since the older of the snapshots
}

// load folds a log, from snapshots where they are good.
func load(ctx context.Context, s store) (*folded, error) {
	f := &folded{}
	var wait sync.WaitGroup
	wait.Go(func() { f.rules = loadRules(s) })
	wait.Go(func() { f.view = loadView(s) })
	wait.Wait()
	log := s.Log()
	f.head = log.Head()
	if f.rules.Head() > f.head.Seq {
		f.rules = boards.NewState()
	}
	if f.view.Head() > f.head.Seq {
		f.view = projections.NewView()
	}
	from := min(f.rules.Head(), f.view.Head()) + 1
	f.tail = f.head.Seq - (from - 1)
	err := fold(ctx, log, from, f.head.Seq, func(r *events.Record) {
		if r.Seq > f.rules.Head() {
			f.rules.Evolve(r)
		}
		if r.Seq > f.view.Head() {
			f.view.Apply(r)
		}
		f.last = r.Time
	})
	if err == nil && f.tail == 0 && f.head.Seq > 0 {
		err = fold(ctx, log, f.head.Seq, f.head.Seq, func(r *events.Record) { f.last = r.Time })
	}
	if err != nil {
		return nil, fmt.Errorf("fold board %s: %w", s.Slug(), err)
	}
	return f, nil
}

func loadRules(s store) *boards.State {
	if body, ok := s.LoadSnapshot(rulesName, rulesVersion); ok {
		if state, err := boards.LoadSnapshot(body); err == nil {
			return state
		}
	}
	return boards.NewState()
}

func loadView(s store) *projections.View {
	if body, ok := s.LoadSnapshot(projections.SnapshotName, projections.SnapshotVersion); ok {
		if view, err := projections.LoadSnapshot(body); err == nil {
			return view
		}
	}
	return projections.NewView()
}

// chunk is a slice of the log on its way through the fold.
type chunk struct {
	entries []events.Entry
	records []events.Record
	err     error
	decoded chan struct{} // closed by the decoder
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// fold calls apply for each record of a range, in order. One goroutine reads,
// several decode, the caller applies.
func fold(ctx context.Context, log events.Log, from, to uint64, apply func(*events.Record)) error {
	if from > to {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel()

	workers := runtime.GOMAXPROCS(0)
	todo := make(chan *chunk, workers)
	inOrder := make(chan *chunk, 2*workers)
	wait.Go(func() {
		defer close(inOrder)
		defer close(todo)
		readChunks(ctx, log, from, to, todo, inOrder)
	})
	for range workers {
		wait.Go(func() {
			var d events.Decoder
			for c := range todo {
				c.decode(&d)
			}
		})
	}
	next := from
	for c := range inOrder {
		<-c.decoded
		if c.err != nil {
			return c.err
		}
		for i := range c.records {
			if c.records[i].Seq != next {
				return fmt.Errorf("%w: record %d stands at %d", events.ErrDamaged, c.records[i].Seq, next)
			}
			apply(&c.records[i])
			next++
		}
		clear(c.records)
		chunks.Put(c)
	}
	if next != to+1 {
		return errors.Join(ctx.Err(), fmt.Errorf("%w: record %d is missing", events.ErrDamaged, next))
	}
	return nil
}

// readChunks hands out slices of the log, each to a decoder and in order to
// the folder. After an error it ends with a chunk that carries it.
func readChunks(ctx context.Context, log events.Log, from, to uint64, todo, inOrder chan<- *chunk) {
	for from <= to {
		c := chunks.Get().(*chunk)
		c.decoded = make(chan struct{})
		c.entries, c.err = log.Read(ctx, from, int(min(to-from+1, 1000)), false)
		c.records = c.records[:0]
		if c.err != nil || len(c.entries) == 0 {
			close(c.decoded)
			select {
			case inOrder <- c:
			case <-ctx.Done():
			}
			return
		}
		from = c.entries[len(c.entries)-1].Seq + 1
		for _, ch := range []chan<- *chunk{todo, inOrder} {
			select {
			case ch <- c:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (c *chunk) decode(d *events.Decoder) {
	defer close(c.decoded)
	for _, e := range c.entries {
		r, err := d.Decode(e.Record)
		if err != nil {
			c.err = fmt.Errorf("record %d: %w", e.Seq, err)
			return
		}
		c.records = append(c.records, r)
	}
	c.entries = nil
}
