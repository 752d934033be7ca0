package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

// openPatience is how long an invocation waits for a board that is held but
// not served: its owner is starting, stopping or another one-shot call.
const openPatience = 5 * time.Second

// home opens the folder of all boards and profiles.
func (x *call) home() (*registry.Home, error) { return openHome(x.Env, x.str("home")) }

func openHome(env Env, flag string) (*registry.Home, error) {
	dir := flag
	if dir == "" {
		dir = env.Getenv("HERMES_HOME")
	}
	if dir == "" {
		user := env.Getenv("HOME")
		if user == "" {
			return nil, usagef("neither --home nor HERMES_HOME nor HOME says where boards are kept")
		}
		dir = filepath.Join(user, ".hermes")
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(env.Dir, dir)
	}
	return registry.OpenHome(dir, &registry.HomeOptions{RuntimeDir: env.Getenv("XDG_RUNTIME_DIR"), TempDir: env.Getenv("TMPDIR"), Version: version()})
}

// profileDir is the folder of the profile an invocation names.
func (x *call) profileDir(home *registry.Home) (string, error) {
	name := x.str("profile")
	if name == "" {
		name = x.Getenv("HERMES_PROFILE")
	}
	if name == "" || name == "default" {
		return home.Dir(), nil
	}
	if slug, err := registry.ParseSlug(name); err != nil || slug != name {
		return "", usagef("%q is not the name of a profile (want lower-case letters, digits, - and _)", name)
	}
	dir := filepath.Join(home.Dir(), "profiles", name)
	if _, err := os.Stat(dir); err != nil {
		return "", &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("there is no profile %s", name)}
	}
	return dir, nil
}

// boardName resolves which board is meant: the flag, HERMES_BOARD, the current
// board, default. explicit says that the person named it.
func (x *call) boardName(home *registry.Home) (slug string, explicit bool, err error) {
	name := x.slug // from an id written as board/t7
	if name == "" {
		name = x.str("board")
	}
	if name == "" {
		name = x.getenv("BOARD")
	}
	if name != "" {
		slug, err := registry.ParseSlug(name)
		return slug, true, err
	}
	slug, err = home.Current()
	if err != nil {
		return "", false, err
	}
	if slug == "" {
		slug = "default"
	}
	return slug, false, nil
}

// board opens the board an invocation means, to look at it.
func (x *call) board(ctx context.Context) (api.Board, error) {
	home, err := x.home()
	if err != nil {
		return nil, err
	}
	slug, _, err := x.boardName(home)
	if err != nil {
		return nil, err
	}
	return x.reach(ctx, home, slug)
}

// boardToChange opens it to change something.
func (x *call) boardToChange(ctx context.Context) (api.Board, error) {
	home, err := x.home()
	if err != nil {
		return nil, err
	}
	slug, err := x.boardMeant(ctx, home)
	if err != nil {
		return nil, err
	}
	return x.reach(ctx, home, slug)
}

// boardMeant resolves which board is to be changed. Where several exist, a
// script must say which one it means.
func (x *call) boardMeant(ctx context.Context, home *registry.Home) (string, error) {
	slug, explicit, err := x.boardName(home)
	if err != nil || explicit || x.Prompt {
		return slug, err
	}
	entries, err := home.List(ctx)
	if err != nil {
		return "", err
	}
	var live []string
	for _, e := range entries {
		if e.State != registry.Archived {
			live = append(live, e.Slug)
		}
	}
	if len(live) > 1 {
		return "", &usageError{msg: "several boards exist and none was named: " + strings.Join(live, ", "),
			hint: "name one with --board or HERMES_BOARD"}
	}
	return slug, nil
}

// reach returns the board, from its owner if it has one and otherwise by
// holding it for as long as this invocation lasts.
func (x *call) reach(ctx context.Context, home *registry.Home, slug string) (api.Board, error) {
	b, err := reach(ctx, home, slug, x.ownerOptions(home))
	if errors.Is(err, registry.ErrNoBoard) {
		if slug != "default" {
			return nil, x.noBoard(ctx, home, slug)
		}
		return x.createDefault(ctx, home)
	}
	return b, err
}

func (x *call) noBoard(ctx context.Context, home *registry.Home, slug string) error {
	hint := "hermes board list shows the boards, hermes board create " + slug + " makes one"
	if entries, err := home.List(ctx); err == nil {
		var names []string
		for _, e := range entries {
			names = append(names, e.Slug)
		}
		if near := suggest(slug, names, ""); near != "" {
			hint = near
		}
	}
	return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("there is no board %s", slug), Hint: hint}
}

// createDefault makes the board default on its first use.
func (x *call) createDefault(ctx context.Context, home *registry.Home) (api.Board, error) {
	o, err := owner.Create(ctx, home, "default", "default", events.DefaultPolicy(hostSlots()), x.principal(), x.ownerOptions(home), holdOptions(home))
	var exists *registry.ExistsError
	if errors.As(err, &exists) { // somebody else was faster
		return reach(ctx, home, "default", x.ownerOptions(home))
	}
	if err != nil {
		return nil, err
	}
	x.say("created the board default in %s", home.Dir())
	return o, nil
}

// reach is the way to a board for every program of this home.
func reach(ctx context.Context, home *registry.Home, slug string, opts owner.Options) (api.Board, error) {
	deadline := time.Now().Add(openPatience)
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		held, err := home.Hold(ctx, slug, 0, holdOptions(home))
		if err == nil {
			return owner.Open(ctx, held, opts)
		}
		var taken *registry.HeldError
		if !errors.As(err, &taken) {
			return nil, err
		}
		if taken.Holder.Socket != "" {
			c, err := api.Dial(ctx, taken.Holder.Socket, version())
			if err == nil {
				return c, nil
			} else if !errors.Is(err, api.ErrNoOwner) {
				return nil, err
			}
		}
		if time.Now().After(deadline) {
			return nil, &api.Error{Code: api.CodeBusy, Message: fmt.Sprintf("board %s is held by process %d, which does not answer", slug, taken.Holder.PID),
				Hint: "try again; if it stays so, look at that process"}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// principal is the person at this command line.
func (x *call) principal() boards.Principal { return personal(x.Env) }

func personal(env Env) boards.Principal {
	return boards.Principal{Actor: events.Actor{Kind: events.Human, Name: env.User, Via: "cli"}}
}

// do carries out a command as the person at this command line.
func (x *call) do(ctx context.Context, b api.Board, c boards.Command) (boards.Result, error) {
	return b.Do(ctx, x.principal(), owner.NewCommandID(), c)
}
