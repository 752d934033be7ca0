package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// runDoor is a run's door to its board, whoever owns the board at the moment:
// the owner's socket, or, with no owner alive, the board itself for one call.
type runDoor struct {
	home  *registry.Home
	slug  string
	token string
	opts  owner.Options

	mu    sync.Mutex
	last  *api.RunClient // the owner that answered last; nil = none known
	ahead *shown         // what the first Show will want to know; nil = not asked, or used up
}

var _ api.Door = (*runDoor)(nil)

// newRunDoor returns a door that first tries the socket where an owner would
// serve the board.
func newRunDoor(home *registry.Home, a boards.Assignment, token string, opts owner.Options) *runDoor {
	d := &runDoor{home: home, slug: a.Slug, token: token, opts: opts}
	if socket, err := home.SocketPath(a.Board); err == nil {
		d.last = api.DialRun(socket, token, version())
	}
	return d
}

// shown is an answer to Show that is on its way.
type shown struct {
	task events.TaskID
	done chan struct{}
	row  projections.Detail
	err  error
}

// showAhead asks for a task now, for the first Show to have the answer at
// once. Only the owner is asked: a board is not taken for it. Close waits for it.
func (d *runDoor) showAhead(ctx context.Context, task events.TaskID) {
	c := d.client()
	if c == nil {
		return
	}
	a := &shown{task: task, done: make(chan struct{})}
	d.ahead = a
	go func() {
		defer close(a.done)
		a.row, a.err = c.Show(ctx, task)
	}()
}

// takeAhead returns what showAhead has asked for, once.
func (d *runDoor) takeAhead() *shown {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.ahead
	d.ahead = nil
	return a
}

// through calls f with a door that works.
func (d *runDoor) through(ctx context.Context, f func(api.Door) error) error {
	if c := d.client(); c != nil {
		err := f(c)
		if !errors.Is(err, api.ErrNoOwner) {
			return err
		}
		d.forget(c)
	}
	deadline := time.Now().Add(openPatience)
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		held, err := d.home.Hold(ctx, d.slug, 0, holdOptions(d.home))
		if err == nil {
			return d.alone(ctx, held, f)
		}
		var taken *registry.HeldError
		if !errors.As(err, &taken) {
			return err
		}
		if taken.Holder.Socket != "" {
			c := api.DialRun(taken.Holder.Socket, d.token, version())
			err := f(c)
			if !errors.Is(err, api.ErrNoOwner) {
				d.remember(c)
				return err
			}
			c.Close()
		}
		if time.Now().After(deadline) {
			return &api.Error{Code: api.CodeBusy, Message: "the board is held but nobody answers"}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// alone does one call with the board in this process.
func (d *runDoor) alone(ctx context.Context, held *registry.Held, f func(api.Door) error) error {
	o, err := owner.Open(ctx, held, d.opts)
	if err != nil {
		return err
	}
	door, err := o.Door(d.token)
	if err == nil {
		err = f(door)
	}
	return errors.Join(err, o.Close())
}

func (d *runDoor) client() *api.RunClient {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

func (d *runDoor) remember(c *api.RunClient) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last != nil && d.last != c {
		d.last.Close()
	}
	d.last = c
}

func (d *runDoor) forget(c *api.RunClient) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last == c {
		d.last.Close()
		d.last = nil
	}
}

func (d *runDoor) Do(ctx context.Context, id events.CommandID, c boards.Command) (res boards.Result, err error) {
	err = d.through(ctx, func(door api.Door) (err error) { res, err = door.Do(ctx, id, c); return err })
	return res, err
}

func (d *runDoor) Show(ctx context.Context, task events.TaskID) (row projections.Detail, err error) {
	if a := d.takeAhead(); a != nil {
		if <-a.done; a.err == nil && a.task == task {
			return a.row, nil
		}
	}
	err = d.through(ctx, func(door api.Door) (err error) { row, err = door.Show(ctx, task); return err })
	return row, err
}

func (d *runDoor) List(ctx context.Context, q projections.ListQuery) (cards []projections.Card, err error) {
	err = d.through(ctx, func(door api.Door) (err error) { cards, err = door.List(ctx, q); return err })
	return cards, err
}

func (d *runDoor) Renew(ctx context.Context) (st api.RunState, err error) {
	err = d.through(ctx, func(door api.Door) (err error) { st, err = door.Renew(ctx); return err })
	return st, err
}

func (d *runDoor) Close() error {
	if a := d.takeAhead(); a != nil {
		<-a.done
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last != nil {
		d.last.Close()
		d.last = nil
	}
	return nil
}
