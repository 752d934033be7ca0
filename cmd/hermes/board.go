package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

func boardCommand(env Env) *cli.Command {
	return noun(env, "board", "boards: make, look at, replay, verify", boardVerbs(env)...)
}

// boardVerbs are the verbs about boards as a whole.
func boardVerbs(env Env) []*cli.Command {
	return []*cli.Command{
		boardCreateVerb(env), boardListVerb(env), boardShowVerb(env), boardSwitchVerb(env), boardRenameVerb(env),
		boardArchiveVerb(env), boardDeleteVerb(env),
		boardPauseVerb(env), boardResumeVerb(env), boardDrainVerb(env), boardStopVerb(env), policyNoun(env),
		replayVerb(env), verifyVerb(env), acceptVerb(env), checkpointVerb(env), boardStatsVerb(env), gcVerb(env),
	}
}

// named takes the board's name from the arguments, where it may stand instead
// of behind --board.
func (x *call) named(min int) error {
	a, err := x.args(min, 1, "a board")
	if err == nil && len(a) == 1 {
		x.slug = a[0]
	}
	return err
}

// place finds out which board is meant without opening it. The caller closes
// the home.
func (x *call) place(ctx context.Context) (*registry.Home, registry.Entry, error) {
	home, err := x.home()
	if err != nil {
		return nil, registry.Entry{}, err
	}
	e, err := x.entry(ctx, home)
	if err != nil {
		return nil, e, errors.Join(err, home.Close())
	}
	return home, e, nil
}

func (x *call) entry(ctx context.Context, home *registry.Home) (registry.Entry, error) {
	slug, _, err := x.boardName(home)
	if err != nil {
		return registry.Entry{}, err
	}
	entries, err := x.visible(ctx, home)
	if err != nil {
		return registry.Entry{}, err
	}
	for _, e := range entries {
		if e.Slug == slug && e.State != registry.Archived {
			return e, nil
		}
	}
	return registry.Entry{}, x.noBoard(ctx, home, slug)
}

func boardCreateVerb(env Env) *cli.Command {
	return verb(env, "create,new", "SLUG", "make a board", `
Example:
  hermes board create acme --name "Acme Ltd" --switch

The slug names the board for ever: lower-case letters, digits, - and _. The
title can be changed with hermes board rename.`, []cli.Flag{
		str("name", "", "the title (default: the slug)"), str("description", "", "a word on what it is for; becomes part of the title"),
		flag("switch", "", "make it the current board"),
		hidden(str("icon", "", "")), hidden(str("color", "", "")), hidden(str("default-workdir", "", "")),
	}, runBoardCreate)
}

func runBoardCreate(ctx context.Context, x *call) error {
	a, err := x.args(1, 1, "a name for the board")
	if err != nil {
		return err
	}
	if err := x.unsupported(map[string]string{"icon": "boards have a title only: --name", "color": "boards have a title only: --name",
		"default-workdir": "name the folder with the task: hermes kanban create … --workspace dir:/path"}); err != nil {
		return err
	}
	slug, err := registry.ParseSlug(a[0])
	if err != nil {
		return err
	}
	title := strings.Join(nonEmpty(x.str("name"), x.str("description")), ": ")
	if title == "" {
		title = slug
	}
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	if err := x.mayCreate(home, slug); err != nil {
		return err
	}
	o, err := owner.Create(ctx, home, slug, title, events.DefaultPolicy(hostSlots()), x.principal(), x.ownerOptions(home), holdOptions(home))
	if err != nil {
		return err
	}
	defer o.Close()
	if x.flag("switch") {
		if err := x.makeCurrent(home, slug); err != nil {
			return err
		}
	}
	info, err := o.Info(ctx)
	switch {
	case err != nil:
		return err
	case x.json():
		return x.emit(info)
	case x.flag("quiet"):
		fmt.Fprintln(x.Stdout, slug)
		return nil
	}
	fmt.Fprintf(x.Stdout, "%s created in %s\n", slug, home.Paths(slug).Dir)
	if current, err := x.currentBoard(home); err == nil && current != slug {
		x.say("make it the current board: hermes board switch %s", slug)
	}
	return nil
}

func boardSwitchVerb(env Env) *cli.Command {
	return verb(env, "switch,use", "BOARD", "make a board the current one", "Example:\n  hermes board switch acme", nil,
		func(ctx context.Context, x *call) error {
			if err := x.named(1); err != nil {
				return err
			}
			home, e, err := x.place(ctx)
			if err != nil {
				return err
			}
			defer home.Close()
			if err := x.makeCurrent(home, e.Slug); err != nil {
				return err
			}
			if x.json() {
				return x.emit(map[string]string{"current": e.Slug})
			}
			fmt.Fprintf(x.Stdout, "%s is the current board\n", e.Slug)
			return nil
		})
}

func boardRenameVerb(env Env) *cli.Command {
	return verb(env, "rename", "BOARD TITLE…", "change a board's title; its slug stays", "Example:\n  hermes board rename acme \"Acme Ltd, EU\"", nil,
		func(ctx context.Context, x *call) error {
			a, err := x.args(2, -1, "a board and a title")
			if err != nil {
				return err
			}
			x.slug = a[0]
			return x.change(ctx, boards.RenameBoard{Title: strings.Join(a[1:], " ")}, "renamed")
		})
}

func boardPauseVerb(env Env) *cli.Command {
	return verb(env, "pause", "[BOARD]", "start nothing more; what runs goes on", "Example:\n  hermes board pause acme --reason \"month's end\"",
		[]cli.Flag{str("reason", "", "why")}, func(ctx context.Context, x *call) error {
			if err := x.named(0); err != nil {
				return err
			}
			return x.change(ctx, boards.PauseBoard{Reason: x.str("reason")}, "paused; go on with: hermes board resume")
		})
}

func boardResumeVerb(env Env) *cli.Command {
	return verb(env, "resume", "[BOARD]", "undo pause and drain", "", []cli.Flag{str("reason", "", "why")},
		func(ctx context.Context, x *call) error {
			if err := x.named(0); err != nil {
				return err
			}
			return x.change(ctx, boards.ResumeBoard{Reason: x.str("reason")}, "goes on")
		})
}

// change carries out one command about the board and says so.
func (x *call) change(ctx context.Context, c boards.Command, done string) error {
	b, err := x.boardToChange(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	info, err := b.Info(ctx)
	if err != nil {
		return err
	}
	res, err := x.do(ctx, b, c)
	switch {
	case err != nil:
		return err
	case x.json():
		return x.emit(struct {
			Board string `json:"board"`
			boards.Result
		}{info.Slug, res})
	case x.flag("quiet"):
		fmt.Fprintln(x.Stdout, info.Slug)
		return nil
	}
	fmt.Fprintf(x.Stdout, "%s %s\n", info.Slug, done)
	return nil
}

func boardStatsVerb(env Env) *cli.Command {
	return verb(env, "stats", "[BOARD]", "count a board", "", []cli.Flag{flag("all-boards", "A", "all boards")},
		func(ctx context.Context, x *call) error {
			if err := x.named(0); err != nil {
				return err
			}
			if x.flag("all-boards") {
				return x.everyBoard(ctx, func(b api.Board, info api.Info) error { return x.printStats(ctx, b, info.Slug) })
			}
			b, err := x.board(ctx)
			if err != nil {
				return err
			}
			defer b.Close()
			return x.printStats(ctx, b, "")
		})
}

func boardDrainVerb(env Env) *cli.Command {
	return verb(env, "drain", "[BOARD]", "start nothing more and wait until no run is open", `
Example:
  hermes board drain acme

Interrupted, it stops waiting; the board stays paused.`, []cli.Flag{str("reason", "", "why")}, runDrain)
}

// drainEvery is how often drain looks. The board is let go of in between: with
// no owner alive, the runs must be able to report their ends.
const drainEvery = 500 * time.Millisecond

func runDrain(ctx context.Context, x *call) error {
	if err := x.named(0); err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	b, err := x.boardToChange(ctx)
	if err != nil {
		return err
	}
	info, err := b.Info(ctx)
	if err == nil && !(info.Paused && info.Drain) {
		_, err = x.do(ctx, b, boards.PauseBoard{Drain: true, Reason: x.str("reason")})
	}
	for open := 0; err == nil; {
		if info, err = b.Info(ctx); err != nil || info.OpenRuns == 0 {
			break
		}
		if open != info.OpenRuns {
			open = info.OpenRuns
			x.say("%s waits for %s", info.Slug, plural(open, "open run", "open runs"))
		}
		b.Close()
		select {
		case <-time.After(drainEvery):
			b, err = x.board(ctx)
		case <-ctx.Done():
			x.say("%s stays paused; go on with: hermes board resume %s", info.Slug, info.Slug)
			return ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	defer b.Close()
	if x.json() {
		return x.emit(info)
	}
	fmt.Fprintf(x.Stdout, "%s is drained; go on with: hermes board resume %s\n", info.Slug, info.Slug)
	return nil
}
