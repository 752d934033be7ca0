package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"
)

// instead is a verb of the public Python system that does not exist here: it
// parses, and answers with what to type.
func instead(env Env, names, hint string, flags ...cli.Flag) *cli.Command {
	for i := range flags {
		flags[i] = hidden(flags[i])
	}
	c := verb(env, names, "…", hint, "", flags, func(_ context.Context, x *call) error {
		return &usageError{msg: x.c.Command.HelpName + " has no use here", hint: hint}
	})
	c.Hidden = true
	return c
}

// compatibilityVerbs are the verbs of the public Python system that are here
// under another name or not at all.
func compatibilityVerbs(env Env) []*cli.Command {
	verbs := []*cli.Command{
		boardsMirror(env), initVerb(env), gcAlias(env),
		instead(env, "daemon", "hermes gateway start", str("interval", "", ""), num("max", "", ""), num("failure-limit", "", ""), str("pidfile", "", ""), flag("verbose", "v", ""), flag("force", "", "")),
		instead(env, "repair", "hermes board verify; nothing is repaired in place"),
		instead(env, "authorize-existing-pr", "no guard on pull requests is there to lift; hermes kanban unblock ID",
			str("pr", "", ""), str("repo", "", ""), str("branch", "", ""), str("reason", "", "")),
	}
	for _, c := range verbs {
		c.Hidden = true
	}
	return verbs
}

// boardsMirror is hermes board under the name it has in the Python system.
func boardsMirror(env Env) *cli.Command {
	verbs := boardVerbs(env)
	add := func(name, hint string, flags ...cli.Flag) {
		if findCommand(verbs, name) == nil {
			verbs = append(verbs, instead(env, name, hint, flags...))
		}
	}
	add("set-default-workdir", "a folder belongs to a task or an agent: hermes kanban create TITLE --workspace dir:/path")
	add("export", "a board is one file: stop its gateway and copy board.db; hermes board show BOARD names the folder",
		str("output", "o", ""), flag("no-attachments", "", ""), flag("include-logs", "", ""))
	add("import", "put a copied board folder back under boards/ of the home; hermes board verify BOARD checks it",
		str("as", "", ""), flag("switch", "", ""))
	for _, c := range verbs { // the Python system asks for the current board in two ways
		if c.Name == "show" && !c.HasName("current") {
			c.Aliases = append(c.Aliases, "current")
		}
	}
	return noun(env, "boards", "the same as hermes board", verbs...)
}

func initVerb(env Env) *cli.Command {
	return verb(env, "init", "", "make the board default and say what there is", "", nil, func(ctx context.Context, x *call) error {
		b, err := x.board(ctx)
		if err != nil {
			return err
		}
		defer b.Close()
		info, err := b.Info(ctx)
		if err != nil {
			return err
		}
		home, err := x.home()
		if err != nil {
			return err
		}
		defer home.Close()
		if x.json() {
			return x.emit(map[string]string{"board": info.Slug, "folder": home.Paths(info.Slug).Dir})
		}
		fmt.Fprintf(x.Stdout, "board %s is ready in %s\n", info.Slug, home.Paths(info.Slug).Dir)
		x.sayNoDispatcher(info)
		return nil
	})
}

func gcAlias(env Env) *cli.Command {
	return verb(env, "gc", "", "the same as hermes board gc", "", []cli.Flag{flag("dry-run", "", "only say what would go"),
		hidden(num("event-retention-days", "", "")), hidden(num("log-retention-days", "", ""))}, func(ctx context.Context, x *call) error {
		if err := x.unsupported(map[string]string{"event-retention-days": "events are never removed; leave it out", "log-retention-days": "hermes board policy set keep_log 30d"}); err != nil {
			return err
		}
		return runBoardGC(ctx, x)
	})
}
