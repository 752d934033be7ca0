package logtest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hermesboard/hermes/events"
)

// Fault is a call of Append that fails.
type Fault struct {
	Append  int   // which one: 1 = the next
	Persist bool  // the batch is written all the same
	Err     error // nil = events.ErrUnknownCommit
}

// FaultyLog is a log some of whose appends fail. It keeps the promises of
// [events.Log]: an error that does not match events.ErrUnknownCommit leaves it
// usable, one that does kills it. Close also closes the log inside.
type FaultyLog struct {
	inner events.Log

	mu     sync.Mutex // guards all below
	calls  int
	faults []Fault
	head   events.Head // as told to callers
	dead   error
}

var _ events.Log = (*FaultyLog)(nil)

// Faulty wraps a log. It panics on a fault that no log may show: one that
// persists although its error is definite.
func Faulty(log events.Log, faults ...Fault) *FaultyLog {
	f := &FaultyLog{inner: log, head: log.Head()}
	for _, x := range faults {
		f.Fail(x)
	}
	return f
}

// Fail adds a fault, counted from now.
func (f *FaultyLog) Fail(x Fault) {
	if x.Err == nil {
		x.Err = events.ErrUnknownCommit
	}
	if x.Persist && !errors.Is(x.Err, events.ErrUnknownCommit) {
		panic("logtest: a fault that persists must be events.ErrUnknownCommit")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	x.Append += f.calls
	f.faults = append(f.faults, x)
}

// Head implements [events.Log]. After an unknown commit it is the head before.
func (f *FaultyLog) Head() events.Head {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.head
}

// Append implements [events.Log].
func (f *FaultyLog) Append(ctx context.Context, head uint64, batch []events.Commit) (events.Head, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead != nil {
		return f.head, f.dead
	}
	f.calls++
	for _, x := range f.faults {
		if x.Append == f.calls {
			return f.head, f.fail(ctx, head, batch, x)
		}
	}
	h, err := f.inner.Append(ctx, head, batch)
	f.head = h
	return h, err
}

func (f *FaultyLog) fail(ctx context.Context, head uint64, batch []events.Commit, x Fault) error {
	if x.Persist {
		if _, err := f.inner.Append(ctx, head, batch); err != nil {
			return fmt.Errorf("append before the fault: %w", err)
		}
	}
	if errors.Is(x.Err, events.ErrUnknownCommit) {
		f.dead = fmt.Errorf("%w, %w since", events.ErrUnknownCommit, events.ErrClosed)
	}
	return fmt.Errorf("injected: %w", x.Err)
}

func (f *FaultyLog) alive() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// Read implements [events.Log].
func (f *FaultyLog) Read(ctx context.Context, from uint64, limit int, withText bool) ([]events.Entry, error) {
	if err := f.alive(); err != nil {
		return nil, err
	}
	return f.inner.Read(ctx, from, limit, withText)
}

// ReadTask implements [events.Log].
func (f *FaultyLog) ReadTask(ctx context.Context, task events.TaskID, from uint64, limit int, withText bool) ([]events.Entry, error) {
	if err := f.alive(); err != nil {
		return nil, err
	}
	return f.inner.ReadTask(ctx, task, from, limit, withText)
}

// Texts implements [events.Log].
func (f *FaultyLog) Texts(ctx context.Context, seqs []uint64) ([][]byte, error) {
	if err := f.alive(); err != nil {
		return nil, err
	}
	return f.inner.Texts(ctx, seqs)
}

// Command implements [events.Log].
func (f *FaultyLog) Command(id events.CommandID) (events.CommandEntry, bool, error) {
	if err := f.alive(); err != nil {
		return events.CommandEntry{}, false, err
	}
	return f.inner.Command(id)
}

// Offset implements [events.Log].
func (f *FaultyLog) Offset(subscriber string) (uint64, error) {
	if err := f.alive(); err != nil {
		return 0, err
	}
	return f.inner.Offset(subscriber)
}

// Close implements [events.Log].
func (f *FaultyLog) Close() error { return f.inner.Close() }
