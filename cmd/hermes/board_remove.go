package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func boardArchiveVerb(env Env) *cli.Command {
	return verb(env, "archive", "BOARD", "put a board away; nothing of it is lost", `
Example:
  hermes board archive acme

The folder is moved to boards/_archived. A board with an open run is refused.`,
		[]cli.Flag{flag("yes", "y", "do not ask")}, func(ctx context.Context, x *call) error { return x.remove(ctx, false) })
}

func boardDeleteVerb(env Env) *cli.Command {
	return verb(env, "delete,rm,remove", "BOARD", "remove a board with all its history", `
Example:
  hermes board delete acme --yes

On a terminal the name has to be typed again. A board with an open run is
refused. Its signed checkpoints stay.`,
		[]cli.Flag{flag("yes", "y", "do not ask"), hidden(flag("delete", "", ""))}, func(ctx context.Context, x *call) error { return x.remove(ctx, true) })
}

// removePatience is how long remove waits for another one-shot call to end.
const removePatience = time.Second

// remove archives or deletes a board, under its lock.
func (x *call) remove(ctx context.Context, forever bool) error {
	if err := x.named(1); err != nil {
		return err
	}
	home, e, err := x.place(ctx)
	if err != nil {
		return err
	}
	defer home.Close()
	what := fmt.Sprintf("archive board %s", e.Slug)
	if forever {
		what = fmt.Sprintf("delete board %s with all its history", e.Slug)
	}
	if err := x.confirm(what, e.Slug); err != nil {
		return err
	}
	held, err := home.Hold(ctx, e.Slug, removePatience, holdOptions(home))
	var q *registry.QuarantinedError
	switch {
	case errors.As(err, &q): // what it holds cannot be looked at
		held = nil
	case err != nil:
		return inUse(err)
	default:
		if err := idle(ctx, held); err != nil {
			return errors.Join(err, held.Release())
		}
	}
	dir, err := leave(ctx, home, held, e.Slug, forever)
	switch {
	case err != nil:
		return err
	case x.json():
		return x.emit(struct {
			Board string `json:"board"`
			Dir   string `json:"dir,omitzero"`
		}{e.Slug, dir})
	case forever:
		fmt.Fprintf(x.Stdout, "%s is deleted\n", e.Slug)
	default:
		fmt.Fprintf(x.Stdout, "%s is archived in %s\n", e.Slug, dir)
	}
	return nil
}

// leave takes the board away; held is nil if it cannot be opened.
func leave(ctx context.Context, home *registry.Home, held *registry.Held, slug string, forever bool) (dir string, err error) {
	switch {
	case held == nil && forever:
		return "", home.Delete(ctx, slug)
	case held == nil:
		return home.Archive(ctx, slug)
	case forever:
		return "", held.Delete(ctx)
	}
	return held.Archive(ctx)
}

// inUse says what to do where another process has the board.
func inUse(err error) error {
	var taken *registry.HeldError
	if !errors.As(err, &taken) {
		return err
	}
	return &api.Error{Code: api.CodeBusy, Message: taken.Error(), Hint: "stop that first: hermes gateway stop"}
}

// idle refuses if the board has an open run.
func idle(ctx context.Context, held *registry.Held) error {
	v := projections.NewView()
	err := foldAll(ctx, func(ctx context.Context, from uint64) ([]events.Entry, error) {
		return held.Log().Read(ctx, from, 0, false)
	}, 0, v.Apply)
	if err != nil {
		return err
	}
	open := v.OpenRuns()
	if len(open) == 0 {
		return nil
	}
	var runs []string
	for _, r := range open {
		runs = append(runs, fmt.Sprintf("%s (%s)", r.ID, r.Agent))
	}
	return &boards.Rejection{Code: boards.CodeRunOpen, Detail: fmt.Sprintf("board %s has open runs: %s", held.Slug(), strings.Join(runs, ", ")),
		Hint: "hermes board stop " + held.Slug()}
}

// confirm asks before something that cannot be undone: with typed, for that
// word, else for yes. Where nobody can be asked, --yes is wanted.
func (x *call) confirm(what, typed string) error {
	if x.flag("yes") {
		return nil
	}
	if !x.Prompt {
		return &usageError{msg: fmt.Sprintf("to %s needs a word of yours, and nobody can be asked here", what), hint: "add --yes"}
	}
	want := typed
	if want == "" {
		want = "yes"
	}
	fmt.Fprintf(x.Stderr, "About to %s. Type %s to go on: ", printable(what), want)
	answer, _ := bufio.NewReader(x.Stdin).ReadString('\n')
	if strings.TrimSpace(answer) == want {
		return nil
	}
	return &boards.Rejection{Code: "not_confirmed", Detail: "nothing was done"}
}
