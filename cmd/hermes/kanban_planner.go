package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/planner"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// planVerb makes a verb that a person uses with words, and that asks the
// profile's planner without, if there is one.
func planVerb(env Env, kind planner.Kind, said func(*call) bool, byHand *cli.Command) *cli.Command {
	words := byHand.Action
	byHand.Action = func(c *cli.Context) error {
		x := &call{Env: env, c: c}
		if said(x) || x.isSet("author") {
			return words(c)
		}
		err := x.askPlanner(c.Context, kind)
		if errors.Is(err, planner.ErrNone) {
			return words(c)
		}
		return err
	}
	return byHand
}

func (x *call) askPlanner(ctx context.Context, kind planner.Kind) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	least := 1
	if x.flag("all") {
		least = 0
	}
	a, err := x.args(least, -1, "at least one task, or --all")
	if err != nil {
		return err
	}
	tasks, err := x.taskIDs(a)
	if err != nil {
		return err
	}
	p, err := x.planner(ctx)
	if err != nil {
		return err
	}
	if x.flag("all") {
		if tasks, err = p.Board.(*momentary).triage(ctx, x); err != nil {
			return err
		}
	}
	return x.planEach(ctx, p, kind, tasks)
}

// planEach asks about one idea after the other and goes on after a failure.
func (x *call) planEach(ctx context.Context, p *planner.Planner, kind planner.Kind, tasks []events.TaskID) error {
	var first error
	all := []outcome{}
	for _, id := range tasks {
		res, err := p.Plan(ctx, x.principal(), kind, id)
		o := outcome{Task: id, Status: res.Status}
		var failed *planner.FailedError
		var rej *boards.Rejection
		switch {
		case errors.As(err, &failed):
			err = &boards.Rejection{Code: "plan_failed", Task: id, Detail: err.Error(), Hint: "hermes kanban why " + id.String()}
			fallthrough
		case errors.As(err, &rej):
			f := explainError(err)
			o.Error = &f
			if first == nil {
				first = err
			}
			if len(tasks) > 1 && !x.json() {
				x.sayFailure(f)
			}
		case err != nil:
			return err
		case !x.json():
			text := fmt.Sprintf("%s planned, now %s", id, res.Status)
			if len(res.Tasks) > 0 {
				text += "; waits for the new " + ids(res.Tasks)
			}
			fmt.Fprintln(x.Stdout, text)
		}
		all = append(all, o)
	}
	if x.json() && (first == nil || len(tasks) > 1) {
		if err := x.emit(all); err != nil {
			return err
		}
	}
	if first != nil && len(tasks) > 1 {
		return exitError(explainError(first).exit)
	}
	return first
}

// planner is the planner of the profile, on the board that is meant.
func (x *call) planner(ctx context.Context) (*planner.Planner, error) {
	home, err := x.home()
	if err != nil {
		return nil, err
	}
	defer home.Close()
	profile, err := x.profileDir(home)
	if err != nil {
		return nil, err
	}
	config, err := planner.Load(profile)
	if err != nil {
		return nil, err
	}
	board := &momentary{open: func(ctx context.Context) (api.Board, error) { return x.boardToChange(ctx) }}
	info, err := board.info(ctx)
	if err != nil {
		return nil, err
	}
	return &planner.Planner{
		Config: config, Board: board, Slug: info.Slug, Getenv: x.Getenv, NewID: owner.NewCommandID,
		Agents: func() []planner.Agent { return plannersAgents(profile) },
	}, nil
}

// plannersAgents are the agents a planner may give tasks to.
func plannersAgents(profile string) []planner.Agent {
	names, err := agents.List(profile)
	if err != nil {
		return nil
	}
	var out []planner.Agent
	for _, name := range names {
		if a, err := agents.Load(profile, name); err == nil {
			out = append(out, planner.Agent{Name: name, Description: a.Description, Role: a.EventRole().String()})
		}
	}
	return out
}

// momentary is a board that is opened for each call and let go in between: a
// planner may take minutes, and nobody is to be locked out meanwhile.
type momentary struct {
	open func(context.Context) (api.Board, error)
}

func (m *momentary) with(ctx context.Context, f func(api.Board) error) error {
	b, err := m.open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(f(b), b.Close())
}

func (m *momentary) info(ctx context.Context) (i api.Info, err error) {
	err = m.with(ctx, func(b api.Board) (err error) { i, err = b.Info(ctx); return err })
	return i, err
}

func (m *momentary) Do(ctx context.Context, by boards.Principal, id events.CommandID, c boards.Command) (res boards.Result, err error) {
	err = m.with(ctx, func(b api.Board) (err error) { res, err = b.Do(ctx, by, id, c); return err })
	return res, err
}

func (m *momentary) Show(ctx context.Context, task events.TaskID) (d projections.Detail, err error) {
	err = m.with(ctx, func(b api.Board) (err error) { d, err = b.Show(ctx, task); return err })
	return d, err
}

func (m *momentary) Why(ctx context.Context, task events.TaskID) (w projections.Why, err error) {
	err = m.with(ctx, func(b api.Board) (err error) { w, err = b.Why(ctx, task); return err })
	return w, err
}

// triage lists the ideas that wait.
func (m *momentary) triage(ctx context.Context, x *call) (ideas []events.TaskID, err error) {
	q := projections.ListQuery{Statuses: []events.Status{events.Triage}, Sort: "created"}
	if x.isSet("tenant") {
		t := x.str("tenant")
		q.Tenant = &t
	}
	err = m.with(ctx, func(b api.Board) error {
		cards, err := b.List(ctx, q)
		for _, c := range cards {
			ideas = append(ideas, c.ID)
		}
		return err
	})
	return ideas, err
}
