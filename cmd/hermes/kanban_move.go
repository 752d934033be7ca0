package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// A move gives one command to each of its tasks.
type move struct {
	tasks   []string
	command func(events.TaskID) boards.Command
	done    string      // what the task then is or has, in words: "archived"
	reason  string      // of the stop, where a run is stopped; empty = the flag reason
	running events.Then // not zero: a running task has its run stopped with this continuation instead
}

// moveVerb makes a verb whose arguments and flags amount to a move.
func moveVerb(env Env, names, args, usage, help string, flags []cli.Flag, plan func(*call) (move, error)) *cli.Command {
	return verb(env, names, args, usage, help, flags, func(ctx context.Context, x *call) error {
		m, err := plan(x)
		if err != nil {
			return err
		}
		b, ids, err := x.on(ctx, m.tasks)
		if err != nil {
			return err
		}
		defer b.Close()
		if m.running != 0 {
			if m.command, err = x.stopRunning(ctx, b, ids, m); err != nil {
				return err
			}
		}
		err = x.each(ctx, b, ids, m.command, m.done)
		var stopped []events.TaskID
		for _, id := range ids {
			if _, ok := m.command(id).(boards.StopRun); ok {
				stopped = append(stopped, id)
			}
		}
		x.nudge(ctx, b, stopped)
		return err
	})
}

// stopRunning is the command of a move, but for the tasks that run.
func (x *call) stopRunning(ctx context.Context, b api.Board, ids []events.TaskID, m move) (func(events.TaskID) boards.Command, error) {
	cards, err := b.List(ctx, projections.ListQuery{Tasks: ids, Statuses: []events.Status{events.Running}})
	if err != nil {
		return nil, err
	}
	runs := make(map[events.TaskID]bool)
	for _, c := range cards {
		runs[c.ID] = true
	}
	return func(t events.TaskID) boards.Command {
		if runs[t] {
			return boards.StopRun{Task: t, Then: m.running, Reason: cmp.Or(m.reason, x.str("reason"))}
		}
		return m.command(t)
	}, nil
}

// outcome is what a verb did to one task, as --json prints it.
type outcome struct {
	Task   events.TaskID `json:"task"`
	Status events.Status `json:"status,omitzero"`
	Error  *failure      `json:"error,omitzero"`
}

// each carries out one command per task, prints one line each, and goes on
// after a refusal; the exit code is that of the first one.
func (x *call) each(ctx context.Context, b api.Board, ids []events.TaskID, command func(events.TaskID) boards.Command, done string) error {
	var all []outcome
	var first error
	for _, id := range ids {
		res, err := x.do(ctx, b, command(id))
		o := outcome{Task: id, Status: res.Status}
		var rej *boards.Rejection
		switch {
		case errors.As(err, &rej):
			f := explainError(err)
			o.Error = &f
			if first == nil {
				first = err
			}
			if len(ids) > 1 && !x.json() {
				if !strings.Contains(f.Message, id.String()) {
					f.Message = id.String() + ": " + f.Message
				}
				x.sayFailure(f)
			}
		case err != nil:
			return err
		case x.flag("quiet"):
			fmt.Fprintln(x.Stdout, id)
		case !x.json():
			text := fmt.Sprintf("%s %s", id, done)
			if now := res.Status.String(); res.Status != 0 && now != done {
				text += ", now " + now
			}
			fmt.Fprintln(x.Stdout, line(text))
		}
		all = append(all, o)
	}
	if x.json() && (first == nil || len(ids) > 1) {
		if err := x.emit(all); err != nil {
			return err
		}
	}
	if first != nil && len(ids) > 1 {
		return exitError(explainError(first).exit)
	}
	return first
}

// nudge makes the supervisors of runs that were stopped look at the board now,
// in case nobody dispatches for it.
func (x *call) nudge(ctx context.Context, b api.Board, tasks []events.TaskID) {
	for _, id := range tasks {
		if d, err := b.Show(ctx, id); err == nil {
			for _, r := range d.Runs {
				if r.Ended == 0 && r.Stopping {
					nudgeRun(ctx, b, r)
				}
			}
		}
	}
}
