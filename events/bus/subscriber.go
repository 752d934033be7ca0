package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/hermesboard/hermes/events"
)

// Log is what a subscriber needs of a board.
type Log interface {
	// Follow calls yield for every entry from a position on, waiting for new
	// ones, until ctx ends or yield returns an error, which it returns.
	Follow(ctx context.Context, from uint64, yield func(events.Entry) error) error
	// Offset returns how far a subscriber has come; 0 if it is new.
	Offset(ctx context.Context, subscriber string) (uint64, error)
	// SaveOffset notes how far it has come. It may be made durable a little
	// later: after a crash the last events come again.
	SaveOffset(ctx context.Context, subscriber string, seq uint64) error
}

// Keys of a message's metadata.
const (
	Seq   = "seq"   // position, decimal
	Type  = "type"  // for example "task.completed"
	Board = "board" // slug
	Task  = "task"  // "t7"; absent where the event is about none
	Try   = "try"   // how often the event has come, from 1
)

// Options say what a subscriber reads.
type Options struct {
	// Name of the offset. Two subscribers of one name on one board would take
	// each other's events.
	Name string
	// Board is the slug, put into every message.
	Board string
	// From is where a subscriber without an offset begins; 0 = the first event.
	From uint64
	// Types says which types of events are looked at; nil = all. The others are
	// not even decoded.
	Types func(events.Type) bool
	// Wants says which of these are delivered; nil = all. The others move the
	// offset without being seen.
	Wants func(*events.Record) bool
	// Wait is how long an event is kept back that was refused for the n-th
	// time, n from 1; nil is one second doubled each time, at most five minutes.
	Wait func(n int) time.Duration
	// OffsetEvery bounds how many unwanted events pass before the offset is
	// saved; 0 is 256.
	OffsetEvery int
}

// Subscriber is a [message.Subscriber] over one board. Safe for concurrent
// use; it has one subscription at a time.
type Subscriber struct {
	log  Log
	opts Options

	mu     sync.Mutex
	stop   context.CancelFunc // guarded by mu; nil = no subscription
	done   chan struct{}      // guarded by mu: closed when the subscription has ended
	err    error              // guarded by mu: why it ended
	closed bool               // guarded by mu
}

// NewSubscriber returns a subscriber. Close ends it.
func NewSubscriber(log Log, opts Options) *Subscriber {
	if opts.Wait == nil {
		opts.Wait = Backoff
	}
	if opts.OffsetEvery == 0 {
		opts.OffsetEvery = 256
	}
	return &Subscriber{log: log, opts: opts}
}

// Backoff is one second, doubled with each refusal, at most five minutes.
func Backoff(n int) time.Duration {
	return min(time.Second<<min(n-1, 20), 5*time.Minute)
}

// ErrBusy is returned by Subscribe while a subscription is open.
var ErrBusy = errors.New("the subscriber has an open subscription")

// ErrClosed is returned by Subscribe after Close.
var ErrClosed = errors.New("the subscriber is closed")

// Subscribe implements [message.Subscriber]. The topic is not looked at: a
// subscriber reads one board. The channel is closed when ctx ends, when Close
// is called, and when the board can be read no more; see Err.
func (s *Subscriber) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.stop != nil:
		return nil, ErrBusy
	}
	at, err := s.log.Offset(ctx, s.opts.Name)
	if err != nil {
		return nil, fmt.Errorf("offset of %s: %w", s.opts.Name, err)
	}
	if at == 0 && s.opts.From > 0 {
		at = s.opts.From - 1
	}
	ctx, stop := context.WithCancel(ctx)
	out, done := make(chan *message.Message), make(chan struct{})
	s.stop, s.done, s.err = stop, done, nil
	go func() {
		f := &feed{Subscriber: s, ctx: ctx, out: out, saved: at, at: at}
		err := f.run()
		stop()
		s.mu.Lock()
		s.stop, s.err = nil, err
		s.mu.Unlock()
		close(out)
		close(done)
	}()
	return out, nil
}

// Err says why the last subscription ended; nil if it was told to.
func (s *Subscriber) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close ends the subscription and waits for it.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	stop, done := s.stop, s.done
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
	if done != nil {
		<-done
	}
	return nil
}

// feed is one subscription.
type feed struct {
	*Subscriber
	ctx       context.Context
	out       chan<- *message.Message
	at, saved uint64 // how far it has come, and how far the log knows
}

func (f *feed) run() error {
	err := f.log.Follow(f.ctx, f.at+1, f.take)
	// Also when it was told to end: what was done need not be done again.
	if f.at > f.saved {
		err = errors.Join(err, f.log.SaveOffset(context.WithoutCancel(f.ctx), f.opts.Name, f.at))
	}
	if f.ctx.Err() != nil {
		return nil
	}
	return err
}

// take delivers one entry until it is accepted.
func (f *feed) take(e events.Entry) error {
	wanted := f.opts.Types == nil || f.opts.Types(typeOf(e.Record))
	if wanted {
		r, err := events.Decode(e.Record)
		if err != nil {
			return fmt.Errorf("event %d: %w", e.Seq, err)
		}
		if wanted = f.opts.Wants == nil || f.opts.Wants(&r); wanted {
			if err := f.deliver(&r, e); err != nil {
				return err
			}
		}
	}
	f.at = e.Seq
	if wanted || f.at-f.saved >= uint64(f.opts.OffsetEvery) {
		if err := f.log.SaveOffset(f.ctx, f.opts.Name, f.at); err != nil {
			return fmt.Errorf("offset of %s: %w", f.opts.Name, err)
		}
		f.saved = f.at
	}
	return nil
}

// typeOf reads the type of a stored record. Records are canonical: nothing that
// stands before their type could look like it.
func typeOf(record []byte) events.Type {
	_, rest, _ := bytes.Cut(record, []byte(`"type":"`))
	name, _, _ := bytes.Cut(rest, []byte{'"'})
	return events.Type(name)
}

func (f *feed) deliver(r *events.Record, e events.Entry) error {
	payload, err := Encode(f.opts.Board, r, e)
	if err != nil {
		return fmt.Errorf("event %d: %w", e.Seq, err)
	}
	for try := 1; ; try++ {
		ok, err := f.offer(r, payload, try)
		if ok || err != nil {
			return err
		}
		t := time.NewTimer(f.opts.Wait(try))
		select {
		case <-t.C:
		case <-f.ctx.Done():
			t.Stop()
			return f.ctx.Err()
		}
	}
}

// offer delivers a message once and reports whether it was accepted.
func (f *feed) offer(r *events.Record, payload []byte, try int) (bool, error) {
	m := message.NewMessage(r.ID.String(), payload)
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	m.SetContext(ctx)
	m.Metadata = message.Metadata{Seq: strconv.FormatUint(r.Seq, 10), Type: string(r.Data.Type()), Board: f.opts.Board, Try: strconv.Itoa(try)}
	if r.Task != 0 {
		m.Metadata[Task] = r.Task.String()
	}
	select {
	case f.out <- m:
	case <-f.ctx.Done():
		return false, f.ctx.Err()
	}
	select {
	case <-m.Acked():
		return true, nil
	case <-m.Nacked():
		return false, nil
	case <-f.ctx.Done():
		return false, f.ctx.Err()
	}
}
