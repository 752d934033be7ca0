package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

func profileCommand(env Env) *cli.Command {
	return noun(env, "profile", "clients, or oneself: each with its own boards, agents, secrets and gateway",
		profileCreateVerb(env),
		verb(env, "list,ls", "", "list the profiles", "", nil, atHome(0, 0, "no arguments", runProfileList)),
		verb(env, "show", "[NAME]", "show what a profile is and may do", "Example:\n  hermes profile show acme", nil, atHome(0, 1, "a profile", runProfileShow)),
		verb(env, "boards", "NAME [BOARD…]", "show or say which boards a profile may open", "Example:\n  hermes profile boards acme acme acme-archive", nil, asProfile(1, -1, "a profile and boards", runProfileBoards)),
		verb(env, "use", "NAME", "make a profile the one that is meant where none is named", "Example:\n  hermes profile use acme\n  hermes profile use default", nil, atHome(1, 1, "a profile", runProfileUse)),
		verb(env, "rename", "NAME NEW", "give a profile another name; its boards keep theirs", "Example:\n  hermes profile rename acme acme-ltd", nil, asOperator(2, 2, "a profile and its new name", runProfileRename)),
		verb(env, "delete,rm", "NAME", "remove a profile with its secrets; its boards stay", `
Refused while its gateway runs.

  hermes profile delete acme --yes`, []cli.Flag{flag("yes", "y", "do not ask")}, asOperator(1, 1, "a profile", runProfileDelete)),
		profileExportVerb(env), profileImportVerb(env),
		verb(env, "describe", "NAME [WORDS]", "say what a profile is, in a line", "Example:\n  hermes profile describe acme \"Acme Ltd, research\"",
			[]cli.Flag{str("text", "", "the words")}, atHome(1, 2, "a profile and the words", runProfileDescribe)),
		configCommand(env),
	)
}

func profileCreateVerb(env Env) *cli.Command {
	return verb(env, "create,new,add", "NAME", "make a profile, with a board and a command of its name", `
It is made fresh, and shares nothing with others. A clone copies instructions,
skills, agents and configuration of another profile, but never its secrets,
boards, bot, chats and people; --clone-channels copies bot, chats and people,
with their secrets.

  hermes profile create acme
  acme config set terminal.backend docker
  acme gateway start`,
		[]cli.Flag{
			str("description", "", "what it is, in a line"),
			list("boards", "", "boards it may open; again for several (default: one of its name); * is every board"),
			str("tenant", "", "tenant of what it creates"),
			flag("no-board", "", "make no board"), flag("no-alias", "", "make no command"),
			flag("clone", "", "copy the profile that is meant here"), str("clone-from", "", "copy this profile"),
			flag("clone-all", "", "copy also recipes and planner"), flag("clone-channels", "", "copy also bot, chats and people, with their secrets"),
		}, asOperator(1, 1, "a name for the profile", runProfileCreate))
}

func runProfileCreate(ctx context.Context, x *visit) error {
	home, name := x.house, x.words[0]
	if !profile.ValidName(name) {
		return usagef("%q is not a name for a profile (want lower-case letters, digits, - and _, at most 64)", name)
	}
	if name == "hermes" {
		return usagef("a profile of the name hermes would take the place of the program")
	}
	o, err := x.cloneOptions(x.me, name)
	if err != nil {
		return err
	}
	made, err := profile.Create(home.Dir(), name, o)
	if errors.Is(err, profile.ErrExists) {
		return profileExists(name)
	} else if errors.Is(err, profile.ErrUnknown) {
		return unknownProfile(home.Dir(), o.From)
	} else if err != nil {
		return err
	}
	if _, err := profile.SyncSkills(made.Dir); err != nil {
		return err
	}
	if err := x.firstBoards(ctx, home, made); err != nil {
		return errors.Join(err, profile.Delete(home.Dir(), name))
	}
	if !x.flag("no-alias") {
		if err := x.makeAlias(home.Dir(), name); err != nil {
			return err
		}
	}
	if o.From != "" {
		x.warnOfClone(home, o)
	}
	return x.done(x.profileRow(home, made), name, "profile %s created in %s; it may open %s", name, made.Dir, dash(strings.Join(made.Config.Boards, ", ")))
}

// cloneOptions reads the flags of profile create.
func (x *call) cloneOptions(p *profile.Profile, name string) (profile.Options, error) {
	boardsOf := x.list("boards")
	if len(boardsOf) == 0 && !x.flag("no-board") {
		boardsOf = []string{name}
	}
	o := profile.Options{All: x.flag("clone-all"), Channels: x.flag("clone-channels"), From: x.str("clone-from"),
		Config: profile.Config{Description: x.str("description"), Boards: boardsOf, Tenant: x.str("tenant")}}
	if len(boardsOf) > 0 && boardsOf[0] != "*" {
		o.Config.Board = boardsOf[0]
	}
	if o.From == "" && (x.flag("clone") || x.flag("clone-all")) {
		o.From = p.Name
	}
	if o.Channels && o.From == "" {
		return o, &usageError{msg: "--clone-channels goes with --clone, --clone-from or --clone-all"}
	}
	if err := o.Config.Validate(); err != nil {
		return o, usagef("%v", err)
	}
	return o, nil
}

// warnOfClone says what a clone has and what it lacks.
func (x *call) warnOfClone(home *registry.Home, o profile.Options) {
	x.say("warning: a clone of %s has its instructions, skills and agents: look through them for what this client should not see", o.From)
	from, err := profile.Load(home.Dir(), o.From)
	if err != nil {
		return
	}
	if o.Channels {
		x.say("warning: it has the same bot: only one of the two gateways can use it at a time")
	}
	if s, err := profile.LoadSecrets(from.Dir); err == nil {
		var left []string
		for _, n := range s.Names() {
			if !o.Channels || !slices.Contains(from.Config.ChannelSecrets(), n) {
				left = append(left, n)
			}
		}
		if len(left) > 0 {
			x.say("secrets were not copied: %s; set what it needs: hermes config set NAME -", strings.Join(left, ", "))
		}
	}
}

// firstBoards makes the boards of a new profile that are not there.
func (x *call) firstBoards(ctx context.Context, home *registry.Home, p *profile.Profile) error {
	for _, slug := range p.Config.Boards {
		if slug == "*" {
			continue
		}
		o, err := owner.Create(ctx, home, slug, slug, events.DefaultPolicy(hostSlots()), x.principal(), x.ownerOptions(home), holdOptions(home))
		var exists *registry.ExistsError
		switch {
		case errors.As(err, &exists):
			x.say("the board %s was there before; %s may open it", slug, p.Name)
		case err != nil:
			return err
		default:
			if err := o.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

// profileNamed loads the profile that an argument names, or the one that is
// meant. Whoever may not open every board knows of no other.
func (x *call) profileNamed(home *registry.Home, name string) (*profile.Profile, error) {
	me, err := x.profile(home)
	if name == "" || err == nil && name == me.Name {
		return me, err
	}
	if err != nil && x.str("profile") == name { // broken, and asked about itself
		return nil, err
	}
	if err == nil && !me.MayOpenAll() {
		return nil, noSuchProfile(name)
	}
	p, err := profile.Load(home.Dir(), name)
	if errors.Is(err, profile.ErrUnknown) {
		return nil, unknownProfile(home.Dir(), name)
	}
	return p, err
}
