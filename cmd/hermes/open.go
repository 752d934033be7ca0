package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hermesboard/hermes/agents/profile"
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
	dir, err := homeDir(env, flag)
	if err != nil {
		return nil, err
	}
	home, err := registry.OpenHome(dir, &registry.HomeOptions{RuntimeDir: env.Getenv("XDG_RUNTIME_DIR"), TempDir: env.Getenv("TMPDIR"), Version: version()})
	if err != nil {
		return nil, &homeError{err}
	}
	return home, nil
}

// homeError is about a folder that cannot be a home.
type homeError struct{ error }

func (e *homeError) Unwrap() error { return e.error }

// homeDir is the folder of all boards and profiles, absolute.
func homeDir(env Env, flag string) (string, error) {
	dir := cmp.Or(flag, env.Getenv("HERMES_HOME"))
	if dir == "" {
		user := env.Getenv("HOME")
		if user == "" {
			return "", usagef("neither --home nor HERMES_HOME nor HOME says where boards are kept")
		}
		dir = filepath.Join(user, ".hermes")
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(env.Dir, dir)
	}
	return filepath.Clean(dir), nil
}

// profileName is the profile an invocation means: the flag, HERMES_PROFILE, the
// one that hermes profile use chose, default.
func (x *call) profileName(home string) string {
	if name := cmp.Or(x.str("profile"), x.Getenv("HERMES_PROFILE")); name != "" {
		return name
	}
	return profile.Sticky(home)
}

// profile loads the profile an invocation means.
func (x *call) profile(home *registry.Home) (*profile.Profile, error) { return x.profileIn(home.Dir()) }

// profileIn is profile for a home that need not be opened.
func (x *call) profileIn(home string) (*profile.Profile, error) {
	name := x.profileName(home)
	if !profile.ValidName(name) {
		return nil, usagef("%q is not the name of a profile (want lower-case letters, digits, - and _)", name)
	}
	p, err := profile.Load(home, name)
	var file *fs.PathError
	switch {
	case errors.Is(err, profile.ErrUnknown):
		return nil, unknownProfile(home, name)
	case err != nil && !errors.As(err, &file):
		return nil, &boards.Rejection{Code: "bad_config", Detail: err.Error(), Hint: "mend it: hermes -p " + name + " config edit"}
	}
	return p, err
}

func unknownProfile(home, name string) error {
	names, _ := profile.List(home)
	return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("there is no profile %s", name), Hint: suggest(name, names, "")}
}

// profileDir is the folder of the profile an invocation names.
func (x *call) profileDir(home *registry.Home) (string, error) {
	p, err := x.profile(home)
	if err != nil {
		return "", err
	}
	return p.Dir, nil
}

// boardName resolves which board is meant: the flag, HERMES_BOARD, the
// profile's board, the current board, default. explicit says that the person
// named it, or their profile did. A board that the profile may not open is not
// there.
func (x *call) boardName(home *registry.Home) (slug string, explicit bool, err error) {
	p, err := x.profile(home)
	if err != nil {
		return "", false, err
	}
	name := cmp.Or(x.slug, x.str("board"), x.getenv("BOARD")) // x.slug is from an id written as board/t7
	switch {
	case name != "":
		if slug, err = registry.ParseSlug(name); err != nil {
			return "", true, err
		}
		explicit = true
	case p.Config.Board != "":
		slug, explicit = p.Config.Board, true
	case !p.MayOpenAll() && len(p.Config.Boards) == 1:
		slug, explicit = p.Config.Boards[0], true
	case !p.MayOpenAll():
		return "", false, &usageError{msg: fmt.Sprintf("profile %s names no board", p.Name), hint: "name one with --board, or for good: hermes -p " + p.Name + " config set board NAME"}
	default:
		if slug, err = home.Current(); err != nil {
			return "", false, err
		}
		slug = cmp.Or(slug, "default")
	}
	if !p.MayOpen(slug) {
		return "", true, hiddenBoard(slug)
	}
	return slug, explicit, nil
}

// hiddenBoard is the answer to a profile that may not open every board, whether
// there is one of that name or not.
func hiddenBoard(slug string) error {
	return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("there is no board %s", slug)}
}

// currentBoard is the board that is meant where none is named; empty = none.
func (x *call) currentBoard(home *registry.Home) (string, error) {
	p, err := x.profile(home)
	switch {
	case err != nil:
		return "", err
	case p.Config.Board != "" || !p.MayOpenAll():
		return p.Config.Board, nil
	}
	slug, err := home.Current()
	return cmp.Or(slug, "default"), err
}

// makeCurrent makes a board the one that is meant where none is named: for its
// profile, if that has one or may not open every board.
func (x *call) makeCurrent(home *registry.Home, slug string) error {
	p, err := x.profile(home)
	if err != nil {
		return err
	}
	if p.Config.Board == "" && p.MayOpenAll() {
		return home.SetCurrent(slug)
	}
	return profile.EditConfig(p.Dir, func(file []byte) ([]byte, error) { return profile.SetValue(file, "board", slug) })
}

// mayCreate refuses to make a board that the profile may not open afterwards.
func (x *call) mayCreate(home *registry.Home, slug string) error {
	p, err := x.profile(home)
	if err == nil && !p.MayOpen(slug) {
		err = &boards.Rejection{Code: "board_not_allowed", Detail: fmt.Sprintf("profile %s may not open a board %s", p.Name, slug),
			Hint: "make it as the operator: hermes -p default board create " + slug}
	}
	return err
}

// visible lists the boards that the profile of an invocation may open.
func (x *call) visible(ctx context.Context, home *registry.Home) ([]registry.Entry, error) {
	p, err := x.profile(home)
	if err != nil {
		return nil, err
	}
	entries, err := home.List(ctx)
	return slices.DeleteFunc(entries, func(e registry.Entry) bool { return !p.MayOpen(e.Slug) }), err
}

// board opens the board an invocation means, to look at it.
func (x *call) board(ctx context.Context) (api.Board, error) {
	if b, ok := seated(ctx); ok {
		return b, nil
	}
	home, err := x.home()
	if err != nil {
		return nil, err
	}
	if b, ok, err := x.accountBoard(ctx, home); ok {
		return b, err
	}
	slug, _, err := x.boardName(home)
	if err != nil {
		return nil, err
	}
	return x.reach(ctx, home, slug)
}

// boardToChange opens it to change something.
func (x *call) boardToChange(ctx context.Context) (api.Board, error) {
	if b, ok := seated(ctx); ok {
		return b, nil
	}
	home, err := x.home()
	if err != nil {
		return nil, err
	}
	if b, ok, err := x.accountBoard(ctx, home); ok {
		return b, err
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
	entries, err := x.visible(ctx, home)
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
	p, err := x.profile(home)
	if err != nil {
		return nil, err
	}
	if !p.MayOpen(slug) {
		return nil, hiddenBoard(slug)
	}
	b, err := reach(ctx, home, slug, ownerOptions(boardProfile(home, slug, p)))
	if errors.Is(err, registry.ErrNoBoard) {
		if slug != "default" || !p.MayOpenAll() {
			return nil, x.noBoard(ctx, home, slug)
		}
		return x.createDefault(ctx, home)
	}
	return b, err
}

func (x *call) noBoard(ctx context.Context, home *registry.Home, slug string) error {
	if p, err := x.profile(home); err != nil || !p.MayOpenAll() {
		return hiddenBoard(slug)
	}
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
