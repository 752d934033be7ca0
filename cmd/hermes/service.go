package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hermesboard/hermes/agents/deliver"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/agents/start"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/dispatcher"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// host is what the boards held by one process share.
type host struct {
	env     Env
	home    *registry.Home
	profile string // folder of the profile whose agents are started
	agents  *roster
	slots   *dispatcher.Slots
	warn    func(slug string, err error)
	tell    func(ctx context.Context, s *service) // tells what happens on a board until ctx ends; nil = nobody is told from here
	leave   func()                                // ends what goes on in the background

	operator atomic.Pointer[api.Operator] // of another account, who may use the boards; nil = nobody
}

func newHost(env Env, home *registry.Home, profileName, backend string, warn func(string, error)) (*host, error) {
	agents, err := newRoster(agentsOf(home.Dir(), profileName, backend))
	if err != nil {
		return nil, err
	}
	slots, err := dispatcher.OpenSlots(home.SlotsDir(), int(hostSlots()))
	if err != nil {
		return nil, err
	}
	background, leave := context.WithCancel(context.Background())
	agents.agents.Background = background
	return &host{leave: leave, env: env, home: home, profile: profile.Dir(home.Dir(), profileName), agents: agents, slots: slots, warn: warn}, nil
}

// close returns when nothing goes on in the background any more.
func (h *host) close() {
	h.leave()
	h.agents.agents.Wait()
}

// service is one board held by this process: its owner, its socket and its dispatcher.
type service struct {
	host    *host
	held    *registry.Held
	owner   *owner.Owner
	disp    *dispatcher.Dispatcher
	told    tally
	starter starter
	server  *api.Server
	done    counters
	l       net.Listener
	guests  *api.Server  // for the operator
	shared  net.Listener // where it serves; nil = there is no operator

	lastOpen int // runs that were open when Run returned
}

// open takes a held board over and starts to listen on its socket; Run serves
// it, with untilIdle until nothing can start and no run is open.
func (h *host) open(held *registry.Held, untilIdle bool) (s *service, err error) {
	s = &service{host: h, held: held}
	warn := func(err error) { h.warn(held.Slug(), err) }
	late := &lateDispatcher{}
	s.owner, err = owner.New(held, owner.Options{Version: version(), Explain: late.explain, Renewed: late.renewed, Committed: s.done.committed, Warn: warn})
	if err != nil {
		held.Release()
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, errors.Join(err, s.owner.Close())
	}
	socket, err := held.SocketPath()
	if err != nil {
		return nil, errors.Join(err, s.owner.Close())
	}
	s.starter.Starter = &start.Starter{Home: h.home.Dir(), Load: h.agents.agents.Load, BoardDir: held.Paths().Dir, RunDir: filepath.Dir(socket),
		Program: program, Getenv: h.env.Getenv, Warn: warn, Sandboxes: h.agents.agents.Sandboxes}
	s.starter.agents = h.agents.agents
	s.starter.door = func(token string) (api.Door, error) { return s.owner.Door(token) }
	s.disp = dispatcher.New(dispatcher.Options{Board: s.owner, Agents: h.agents, Starter: &s.starter, Slots: h.slots, Warn: warn, UntilIdle: untilIdle, Ticked: s.done.ticks.note})
	late.set(s.disp)
	s.owner.SetDispatcher(s.disp.Info)
	if s.l, err = api.Listen(socket); err != nil {
		return nil, errors.Join(err, s.owner.Close())
	}
	if err := held.Serving(socket); err != nil {
		return nil, errors.Join(err, s.l.Close(), s.owner.Close())
	}
	s.server = &api.Server{Board: s.owner, Doors: s.owner.Door, Version: version(), Hooks: api.Hooks{Fault: warn}}
	if operator := h.operator.Load(); operator != nil {
		s.guests = &api.Server{Board: s.owner, Version: version(), Operator: *operator, Hooks: s.server.Hooks}
		if s.shared, err = listenShared(h.env.Getenv, socket); err != nil {
			warn(fmt.Errorf("the operator cannot be let in: %w", err))
		}
	}
	return s, nil
}

// Run serves the board until ctx ends, or until the dispatcher has drained.
// Runs go on after it: they are processes of their own.
func (s *service) Run(ctx context.Context) error {
	owning := make(chan error, 1)
	go func() { owning <- s.owner.Run(context.WithoutCancel(ctx)) }() // ends with owner.Close below
	s.starter.Prepare()

	serving, stop := context.WithCancel(ctx)
	defer stop()
	g, gctx := errgroup.WithContext(serving)
	results := &deliver.Deliverer{Board: s.owner, Warn: func(err error) { s.host.warn(s.held.Slug(), err) },
		Open: func(d events.Digest) (io.ReadCloser, error) { return s.held.Artifacts().Open(d) }}
	g.Go(func() error { return s.server.Serve(gctx, s.l) })
	if s.shared != nil {
		g.Go(func() error { return s.guests.Serve(gctx, s.shared) })
	}
	g.Go(func() error { return results.Run(gctx) })
	if s.host.tell != nil {
		g.Go(func() error { s.host.tell(gctx, s); return nil })
	}
	g.Go(func() error {
		err := s.disp.Run(gctx)
		s.awaitDelivery(gctx, results)
		stop() // drained: there is nothing left to serve
		return err
	})
	var lost error
	g.Go(func() error { // the owner ends by itself only when its board is lost
		select {
		case lost = <-owning:
			stop()
			return lost
		case <-gctx.Done():
			return nil
		}
	})
	err := g.Wait()
	s.lastOpen = s.openRuns()
	s.starter.Close()
	s.l.Close()
	err = errors.Join(err, s.owner.Close())
	if lost == nil {
		lost = <-owning
		err = errors.Join(err, lost)
	}
	return err
}

// deliveryWait bounds how long the end of a service is put off for results
// that are still being delivered; the next one goes on with them.
const deliveryWait = 5 * time.Second

func (s *service) awaitDelivery(ctx context.Context, d *deliver.Deliverer) {
	var head uint64
	s.owner.View(func(v *projections.View) { head = v.Head() })
	deadline := time.After(deliveryWait)
	for d.At() < head {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			return
		case <-ctx.Done():
			return
		}
	}
}

// lateDispatcher is asked by the owner before there is a dispatcher.
type lateDispatcher struct {
	mu sync.RWMutex
	d  *dispatcher.Dispatcher
}

func (l *lateDispatcher) set(d *dispatcher.Dispatcher) { l.mu.Lock(); l.d = d; l.mu.Unlock() }

func (l *lateDispatcher) get() *dispatcher.Dispatcher {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.d
}

func (l *lateDispatcher) explain(v *projections.View, t events.TaskID, now events.Time) projections.Why {
	if d := l.get(); d != nil {
		return d.Explain(v, t, now)
	}
	return dispatcher.Why(v, t, dispatcher.Facts{}, now)
}

func (l *lateDispatcher) renewed(run events.RunID) {
	if d := l.get(); d != nil {
		d.Renewed(run)
	}
}

// releaseAll starts nothing more and ends every open run of a board so that
// its task can go on later. The agents are asked first and have most to leave;
// their credentials work until then, so a verdict they give still counts. Runs
// that are left are stopped. It returns when all have ended, or twice most
// have passed.
func (s *service) releaseAll(ctx context.Context, by boards.Principal, most time.Duration) error {
	s.disp.Drain()
	for _, r := range s.runs() {
		if start.Same(r.RunStarted) {
			syscall.Kill(int(r.PID), syscall.SIGTERM) // its supervisor asks the agent, and reports
		}
	}
	if s.awaitNoRuns(ctx, most+time.Second) {
		return nil
	}
	for _, r := range s.runs() {
		c := boards.StopRun{Task: r.ID.Task, Run: r.ID, Outcome: events.OutcomeReleased, Then: events.ThenRetry, Reason: "the gateway was told to end now"}
		var gone *boards.Rejection
		if _, err := s.owner.Do(ctx, by, owner.NewCommandID(), c); err != nil && !errors.As(err, &gone) {
			return fmt.Errorf("stop %s: %w", r.ID, err)
		}
	}
	if !s.awaitNoRuns(ctx, most) {
		return fmt.Errorf("%s of %s left", plural(s.openRuns(), "run", "runs"), s.held.Slug())
	}
	return nil
}

// awaitNoRuns waits until no run is open, or most has passed.
func (s *service) awaitNoRuns(ctx context.Context, most time.Duration) bool {
	wake, drop := s.owner.Wake()
	defer drop()
	late := time.NewTimer(most)
	defer late.Stop()
	for s.openRuns() > 0 {
		select {
		case <-wake:
		case <-late.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// runs returns the open runs that have processes.
func (s *service) runs() (open []projections.Run) {
	s.owner.View(func(v *projections.View) {
		for _, r := range v.OpenRuns() {
			if !r.Person() {
				open = append(open, *r)
			}
		}
	})
	return open
}

func (s *service) openRuns() int { return len(s.runs()) }
