package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/agents/start"
	"github.com/hermesboard/hermes/agents/supervise"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/dispatcher"
	"github.com/hermesboard/hermes/events"
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
		fix := "" // the agent is to be looked at
		if p.Code == "sandbox_gap" {
			fix = "hermes sandbox list"
		}
		return dispatcher.Agent{Problem: p.Code, Detail: p.Detail, Fix: fix}
	} else if err != nil {
		return dispatcher.Agent{Problem: "agent_config", Detail: err.Error()}
	}
	return dispatcher.Agent{Role: a.EventRole(), Backend: a.Terminal.Backend, Runtime: a.Runtime.Kind, Model: a.Runtime.Model, Metered: a.Metered()}
}

func newRoster(load loadAgent) (*roster, error) {
	boxes, err := sandboxes()
	if err != nil {
		return nil, err
	}
	return &roster{agents: &start.Roster{Load: load, Default: standardBackend(context.Background(), boxes), Sandboxes: boxes}}, nil
}

// loadAgent reads an agent's configuration, with what its profile adds.
type loadAgent func(name string) (*agents.Agent, error)

// agentsOf loads the agents of a profile. Both configurations are read each
// time. A backend that is given counts before the profile's.
func agentsOf(home, name, backend string) loadAgent {
	return func(agent string) (*agents.Agent, error) {
		p, err := profile.Load(home, name)
		if err != nil {
			return nil, &agents.Problem{Code: "agent_config", Agent: agent, Detail: err.Error()}
		}
		p.Config.Terminal.Backend = cmp.Or(backend, p.Config.Terminal.Backend)
		return p.Agent(agent)
	}
}

// starter makes package start's supervisors the dispatcher's.
type starter struct {
	*start.Starter
	agents *start.Roster
	door   func(token string) (api.Door, error) // to the board, as one of its runs
}

func (s *starter) Fits(ctx context.Context, agent string, w events.Workspace) (problem, detail string) {
	err := s.agents.Fits(ctx, agent, w)
	var p *agents.Problem
	switch {
	case err == nil:
		return "", ""
	case errors.As(err, &p):
		return p.Code, p.Detail
	}
	return "agent_config", err.Error()
}

func (s *starter) Start(ctx context.Context, a boards.Assignment, token string, slot *os.File) (dispatcher.Supervisor, error) {
	p, err := s.Starter.Start(ctx, a, token, slot)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// alive is a variable so that tests can prove that they notice a wrong answer.
var alive = start.Alive

// Look says what is left of a run. A verdict that its supervisor could not
// deliver any more counts all the same.
func (s *starter) Look(ctx context.Context, r dispatcher.Ref) (dispatcher.Life, error) {
	living, err := alive(r.Board, r.Run, r.Started)
	switch {
	case err != nil:
		return dispatcher.Living, err
	case !living:
		return dispatcher.Gone, s.deliver(ctx, r)
	case r.Started.PID == 0 || start.Same(r.Started):
		return dispatcher.Living, nil
	}
	return dispatcher.Left, nil
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
	return ownerOptions(agentsOf(home.Dir(), x.profileName(home.Dir()), ""))
}

func ownerOptions(load loadAgent) owner.Options {
	return owner.Options{Version: version(), Explain: dispatcher.ExplainAbsent(configured(load))}
}

// boardProfile loads the agents that a board's tasks go to: those of the
// profile that names it, if p may open every board, and p's own otherwise.
func boardProfile(home *registry.Home, slug string, p *profile.Profile) loadAgent {
	if !p.MayOpenAll() {
		return agentsOf(home.Dir(), p.Name, "")
	}
	return func(agent string) (*agents.Agent, error) { // the profile is looked for when it is needed
		return agentsOf(home.Dir(), profile.Of(home.Dir(), slug, p.Name), "")(agent)
	}
}

// configured tells whether an agent can be started as far as configuration
// alone can: nothing is probed.
type configured loadAgent

func (load configured) Agent(name string) dispatcher.Agent {
	a, err := load(name)
	var p *agents.Problem
	if errors.As(err, &p) {
		return dispatcher.Agent{Problem: p.Code, Detail: p.Detail}
	}
	return dispatcher.Agent{Role: a.EventRole(), Backend: a.Terminal.Backend, Runtime: a.Runtime.Kind, Model: a.Runtime.Model, Metered: a.Metered()}
}
