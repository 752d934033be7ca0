package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func stopCommand(env Env) *cli.Command {
	return verb(env, "stop", "", "stop all runs of all boards", `
Example:
  hermes stop --all --reason "wrong model"

Every running task is blocked; unblock or retry lets it go on. To keep a board
from starting anything: hermes board pause.`,
		[]cli.Flag{flag("all", "", "yes, of all boards"), flag("yes", "y", "do not ask"), str("reason", "", "why")}, runStopAll)
}

func boardStopVerb(env Env) *cli.Command {
	return verb(env, "stop", "[BOARD]", "stop all runs of a board", "Example:\n  hermes board stop acme --reason \"wrong model\"",
		[]cli.Flag{flag("yes", "y", "do not ask"), str("reason", "", "why")}, func(ctx context.Context, x *call) error {
			if err := x.named(0); err != nil {
				return err
			}
			b, err := x.boardToChange(ctx)
			if err != nil {
				return err
			}
			defer b.Close()
			info, err := b.Info(ctx)
			if err != nil {
				return err
			}
			if err := x.confirm("stop all runs of board "+info.Slug, ""); err != nil {
				return err
			}
			stopped, err := x.stopRuns(ctx, b, info.Slug)
			if err != nil {
				return err
			}
			return x.saidStopped(stopped)
		})
}

func runStopAll(ctx context.Context, x *call) error {
	if _, err := x.args(0, 0, "no arguments"); err != nil {
		return err
	}
	if !x.flag("all") {
		return &usageError{msg: "stop wants --all: it stops the runs of all boards", hint: "one task: hermes kanban stop ID; one board: hermes board stop BOARD"}
	}
	if err := x.confirm("stop all runs of all boards", ""); err != nil {
		return err
	}
	stopped := []stoppedRun{}
	left, err := x.everyBoardBut(ctx, func(b api.Board, info api.Info) error {
		some, err := x.stopRuns(ctx, b, info.Slug)
		stopped = append(stopped, some...)
		return err
	})
	if err = errors.Join(err, x.saidStopped(stopped)); err == nil && left != nil {
		return exitError(explainError(left).exit)
	}
	return err
}

type stoppedRun struct {
	Board string       `json:"board"`
	Run   events.RunID `json:"run"`
	Agent string       `json:"agent"`
}

// stopRuns stops the runs of all running tasks of a board and blocks the tasks.
func (x *call) stopRuns(ctx context.Context, b api.Board, slug string) ([]stoppedRun, error) {
	stopped := []stoppedRun{}
	cards, err := b.List(ctx, projections.ListQuery{Statuses: []events.Status{events.Running}})
	if err != nil {
		return nil, err
	}
	var tasks []events.TaskID
	for _, c := range cards {
		if c.Run == nil || c.Run.Stopping {
			continue
		}
		_, err := x.do(ctx, b, boards.StopRun{Task: c.ID, Run: c.Run.Run, Then: events.ThenBlock, Reason: x.str("reason")})
		var rej *boards.Rejection
		switch {
		case errors.As(err, &rej): // it ended meanwhile
			x.say("%s/%s: %s", slug, c.ID, printable(rej.Detail))
		case err != nil:
			return stopped, err
		default:
			stopped, tasks = append(stopped, stoppedRun{slug, c.Run.Run, c.Run.Agent}), append(tasks, c.ID)
		}
	}
	x.nudge(ctx, b, tasks)
	return stopped, nil
}

func (x *call) saidStopped(stopped []stoppedRun) error {
	if x.json() {
		return x.emit(stopped)
	}
	for _, s := range stopped {
		if x.flag("quiet") {
			fmt.Fprintf(x.Stdout, "%s/%s\n", s.Board, s.Run)
			continue
		}
		fmt.Fprintf(x.Stdout, "%s/%s (%s) is being stopped\n", s.Board, s.Run, line(s.Agent))
	}
	if len(stopped) == 0 && !x.flag("quiet") {
		fmt.Fprintln(x.Stdout, "nothing was running")
	}
	return nil
}

// interruptible returns a context that ends with ^C or SIGTERM, for verbs that
// have a last word to say.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}
