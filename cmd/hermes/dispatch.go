package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/start"
	"github.com/hermesboard/hermes/agents/supervise"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/dispatcher"
)

// This file joins the dispatcher to the agents: neither knows the other.

// hostSlots is how many runs a host of this size bears at once: one a core and
// one for each 512 MiB, at most four.
func hostSlots() int32 {
	n := min(4, runtime.NumCPU())
	if mb := memoryMiB(); mb > 0 {
		n = min(n, mb/512)
	}
	return int32(max(1, n))
}

// roster answers the dispatcher's questions about agents from memory; what it
// remembers is looked up anew after a second.
type roster struct {
	agents *start.Roster

	mu    sync.Mutex
	known map[string]remembered
}

type remembered struct {
	agent dispatcher.Agent
	until time.Time
}

func (r *roster) Agent(name string) dispatcher.Agent {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k, ok := r.known[name]; ok && time.Now().Before(k.until) {
		return k.agent
	}
	if r.known == nil {
		r.known = make(map[string]remembered)
	}
	a := r.ask(name)
	r.known[name] = remembered{a, time.Now().Add(time.Second)}
	return a
}

func (r *roster) ask(name string) dispatcher.Agent {
	a, err := r.agents.Agent(context.Background(), name)
	var p *agents.Problem
	if errors.As(err, &p) {
		return dispatcher.Agent{Problem: p.Code, Detail: p.Detail, Fix: "hermes sandbox list"}
	} else if err != nil {
		return dispatcher.Agent{Problem: "agent_config", Detail: err.Error()}
	}
	return dispatcher.Agent{Role: a.EventRole(), Backend: a.Terminal.Backend, Runtime: a.Runtime.Kind, Model: a.Runtime.Model}
}

func newRoster(profile, backend string) (*roster, error) {
	boxes, err := sandboxes()
	if err != nil {
		return nil, err
	}
	if backend == "" {
		backend = "bubblewrap"
	}
	return &roster{agents: &start.Roster{Profile: profile, Default: backend, Sandboxes: boxes}}, nil
}

// starter makes package start's supervisors the dispatcher's.
type starter struct {
	*start.Starter
	door func(token string) (api.Door, error) // to the board, as one of its runs
}

func (s *starter) Start(ctx context.Context, a boards.Assignment, token string, slot *os.File) (dispatcher.Supervisor, error) {
	p, err := s.Starter.Start(ctx, a, token, slot)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Look says what is left of a run. Processes that outlive their supervisor have
// nobody to watch over them: they are ended here. A verdict that the
// supervisor could not deliver any more counts all the same.
func (s *starter) Look(ctx context.Context, r dispatcher.Ref) (dispatcher.Life, error) {
	for wait := time.Millisecond; ; wait *= 2 {
		alive, err := start.Alive(r.Board, r.Run, r.Started)
		switch {
		case err != nil:
			return dispatcher.Living, err
		case !alive:
			return dispatcher.Gone, s.deliver(ctx, r)
		case r.Started.PID == 0 || start.Same(r.Started) || wait > 200*time.Millisecond:
			return dispatcher.Living, nil
		}
		if err := start.Kill(r.Board, r.Run, r.Started); err != nil {
			return dispatcher.Living, err
		}
		pause(ctx, wait)
	}
}

// deliver sends what a run that is gone has left to be sent.
func (s *starter) deliver(ctx context.Context, r dispatcher.Ref) error {
	dir := supervise.RunDir(s.BoardDir, r.Run)
	spec, err := supervise.ReadSpec(dir)
	if err != nil {
		return nil // it was never handed to a supervisor
	}
	door, err := s.door(spec.Token)
	if err != nil {
		return nil // its credential is void: nothing it says counts
	}
	defer door.Close()
	if err := supervise.Deliver(ctx, dir, door); err != nil {
		return fmt.Errorf("deliver the verdict of %s: %w", r.Run, err)
	}
	return nil
}

func (s *starter) Stop(ctx context.Context, r dispatcher.Ref, grace time.Duration) error {
	return start.Stop(ctx, r.Board, r.Run, r.Started, grace)
}

// ownerOptions are those of a process that holds a board for one call: it
// explains holds without a dispatcher.
func (x *call) ownerOptions(home *registry.Home) owner.Options {
	profile, err := x.profileDir(home)
	if err != nil {
		profile = home.Dir()
	}
	return owner.Options{Version: version(), Explain: dispatcher.ExplainAbsent(configured(profile))}
}

// configured is the folder of a profile, as far as configuration alone can
// tell whether an agent can be started: nothing is probed.
type configured string

func (dir configured) Agent(name string) dispatcher.Agent {
	a, err := agents.Load(string(dir), name)
	var p *agents.Problem
	if errors.As(err, &p) {
		return dispatcher.Agent{Problem: p.Code, Detail: p.Detail}
	}
	return dispatcher.Agent{Role: a.EventRole(), Backend: a.Terminal.Backend, Runtime: a.Runtime.Kind, Model: a.Runtime.Model}
}
