package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/agents/start"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/dispatcher"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func dispatchVerb(env Env) *cli.Command {
	return verb(env, "dispatch", "", "hold the board and start its tasks until nothing is left to start", `
Example:
  hermes kanban dispatch --dry-run

Use it where no gateway runs: it ends when no task can be started and no run is open.`,
		[]cli.Flag{flag("dry-run", "", "only say what would be started"), str("backend", "", "sandbox of agents that name none (default bubblewrap)"),
			hidden(num("max", "", "")), hidden(num("failure-limit", "", ""))}, runDispatch)
}

func runDispatch(ctx context.Context, x *call) error {
	if err := x.unsupported(map[string]string{"max": "hermes board policy set board_cap N", "failure-limit": "hermes board policy set failure_limit N"}); err != nil {
		return err
	}
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	slug, err := x.boardMeant(ctx, home)
	if err != nil {
		return err
	}
	p, err := x.profile(home)
	if err != nil {
		return err
	}
	name := p.Name
	if p.MayOpenAll() {
		name = profile.Of(home.Dir(), slug, name)
	}
	h, err := newHost(x.Env, home, name, x.str("backend"), func(_ string, err error) { x.say("warning: %v", err) })
	if err != nil {
		return err
	}
	defer h.close()
	if x.flag("dry-run") {
		h.agents.agents.Background = nil // an answer now
	}
	opts := holdOptions(home)
	held, err := home.Hold(ctx, slug, 0, opts)
	if errors.Is(err, registry.ErrNoBoard) {
		return x.noBoard(ctx, home, slug)
	} else if err != nil {
		return err
	}
	s, err := h.open(held, !x.flag("dry-run"))
	if err != nil {
		return err
	}
	if x.flag("dry-run") {
		defer s.owner.Close()
		defer s.l.Close()
		return x.printNext(s)
	}
	working, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	x.say("dispatching %s", slug)
	err = s.Run(working)
	if n := s.lastOpen; n > 0 {
		x.say("%s go on by themselves", plural(n, "open run", "open runs"))
	}
	if err == nil && working.Err() != nil {
		return exitError(exitInterrupted)
	}
	return err
}

// printNext prints what the dispatcher would start now.
func (x *call) printNext(s *service) error {
	room, err := s.host.slots.Probe()
	if err != nil {
		return err
	}
	facts := dispatcher.Facts{Dispatcher: dispatcher.Serving, Slots: room.Total, Free: room.Free, Agents: make(map[string]dispatcher.Agent)}
	var starts []dispatcher.Start
	s.owner.View(func(v *projections.View) {
		policy, _ := v.Policy()
		names := []string{policy.DefaultAssignee, policy.Reviewer}
		for _, c := range v.List(projections.ListQuery{Statuses: []events.Status{events.Ready, events.Review}}, nil) {
			names = append(names, c.Assignee, v.Task(c.ID).Who())
		}
		for _, name := range names {
			if name != "" {
				facts.Agents[name] = s.host.agents.Agent(name)
			}
		}
		starts = dispatcher.Next(v, facts, events.TimeOf(time.Now()))
	})
	if x.json() {
		return x.emit(starts)
	}
	for _, n := range starts {
		fmt.Fprintf(x.Stdout, "%s  %s  %s, %s\n", n.Task, n.Agent, n.Runtime, n.Backend)
	}
	if len(starts) == 0 {
		fmt.Fprintln(x.Stdout, "nothing would be started; hermes kanban list says what each task waits for")
	}
	return nil
}

// nudgeRun tells the supervisor of an open run to look at its board.
func nudgeRun(ctx context.Context, b api.Board, r projections.RunRow) {
	entries, err := b.ReadTask(ctx, r.Run.Task, r.Fence, 0)
	if err != nil {
		return
	}
	for _, e := range entries {
		rec, err := events.Decode(e.Record)
		if started, ok := rec.Data.(events.RunStarted); err == nil && ok && rec.Run == r.Run {
			start.Nudge(started)
		}
	}
}
