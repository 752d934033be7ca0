package cron

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
)

// Board is what a runner needs of a board; an [api.Board] has it.
type Board interface {
	Info(ctx context.Context) (api.Info, error)
	Do(ctx context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error)
}

// Runner makes the tasks of a profile's entries. Board returns a board that is
// held by this process, and false for any other: its entries are another's
// business. Warn is told what went wrong, the same thing once.
type Runner struct {
	Dir   string
	Board func(slug string) (Board, bool)
	Warn  func(error)

	said map[string]string // last warning by entry; of the goroutine of Run
}

// lookEvery is how often the folder and the clock are looked at in any case.
const lookEvery = 10 * time.Second

// Run makes tasks until ctx ends. It looks at the folder again and again, so
// that an entry counts soon after it was written.
func (r *Runner) Run(ctx context.Context) error {
	for {
		next := r.tick(ctx, time.Now())
		t := time.NewTimer(max(0, min(lookEvery, time.Until(next))))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
	}
}

// tick deals with what is due and returns when the next tick is, at most
// lookEvery from now.
func (r *Runner) tick(ctx context.Context, now time.Time) time.Time {
	next := now.Add(lookEvery)
	names, err := List(r.Dir)
	r.warn("", err)
	for _, name := range names {
		at, err := r.entry(ctx, name, now)
		if ctx.Err() != nil {
			return next
		}
		r.warn(name, err)
		if err == nil && !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next
}

// warn says an error, unless it was the last thing said of that entry.
func (r *Runner) warn(name string, err error) {
	if r.said == nil {
		r.said = make(map[string]string)
	}
	if err == nil {
		delete(r.said, name)
	} else if r.said[name] != err.Error() {
		r.said[name] = err.Error()
		r.Warn(err)
	}
}

// entry deals with one entry and returns its next tick; zero = it has none here.
func (r *Runner) entry(ctx context.Context, name string, now time.Time) (next time.Time, err error) {
	e, err := Load(r.Dir, name)
	if errors.Is(err, ErrUnknown) { // removed just now
		return next, nil
	} else if err != nil {
		return next, err
	}
	b, held := r.Board(e.Board)
	if !held || e.Paused {
		return next, nil
	}
	s, err := ParseSchedule(e.Schedule, e.TimeZone)
	if err != nil {
		return next, err
	}
	last, ok := Last(r.Dir, name)
	if !ok || last.After(now) { // new, or the clock was put back: what was done is not done again
		return s.Next(now), SetLast(r.Dir, name, now)
	}
	for _, at := range s.Due(last, now, e.Missed) {
		if err := Make(ctx, b, e, at); err != nil {
			return next, fmt.Errorf("cron %s: %w", name, err)
		}
	}
	next = s.Next(now)
	if first := s.Next(last); !first.IsZero() && !first.After(now) {
		err = SetLast(r.Dir, name, now)
	}
	return next, err
}

// Make makes the task of an entry's tick, once.
func Make(ctx context.Context, b Board, e *Entry, at time.Time) error {
	info, err := b.Info(ctx)
	if err != nil {
		return err
	}
	c, err := e.Command()
	if err != nil {
		return err
	}
	_, err = b.Do(ctx, Principal(e.Name), ID(info.Board, e.Name, at), c)
	var no *boards.Rejection
	if errors.As(err, &no) && no.Code == boards.CodeMismatch { // the entry was changed since: the tick has its task
		return nil
	}
	return err
}

// ID is the command id of a tick: the same tick is the same command.
func ID(board events.BoardID, name string, at time.Time) events.CommandID {
	return events.ForeignCommandID(board, "cron", name+" "+at.UTC().Format(time.RFC3339))
}

// Principal is who makes the tasks of an entry.
func Principal(name string) boards.Principal {
	return boards.Principal{Actor: events.Actor{Kind: events.Gateway, Name: "cron", Via: name}}
}
