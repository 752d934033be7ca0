package main

import (
	"context"

	"github.com/urfave/cli/v2"
)

// compatibilityVerbs are the verbs of the public Python system that exist here
// under another name or not at all. They parse, and answer with what to type.
func compatibilityVerbs(env Env) []*cli.Command {
	instead := func(names, hint string, flags ...cli.Flag) *cli.Command {
		c := verb(env, names, "", hint, "", flags, func(context.Context, *call) error {
			return &usageError{msg: "this verb has no use here", hint: hint}
		})
		c.Hidden = true
		return c
	}
	mirror := noun(env, "boards", "the same as hermes board", boardVerbs(env)...)
	mirror.Hidden = true
	init := verb(env, "init", "", "make the board default and say what there is", "", nil, func(ctx context.Context, x *call) error {
		b, err := x.board(ctx)
		if err != nil {
			return err
		}
		defer b.Close()
		info, err := b.Info(ctx)
		if err != nil {
			return err
		}
		x.say("board %s is ready; a gateway starts its tasks: hermes gateway start", info.Slug)
		return nil
	})
	init.Hidden = true
	gc := verb(env, "gc", "", "the same as hermes board gc", "", []cli.Flag{flag("dry-run", "", "only say what would go"),
		hidden(num("event-retention-days", "", "")), hidden(num("log-retention-days", "", ""))}, func(ctx context.Context, x *call) error {
		if err := x.unsupported(map[string]string{"event-retention-days": "events are never removed", "log-retention-days": "hermes board policy set keep_log 30d"}); err != nil {
			return err
		}
		return runBoardGC(ctx, x)
	})
	gc.Hidden = true
	return []*cli.Command{
		mirror, init, gc,
		instead("daemon", "hermes gateway start", num("interval", "", ""), num("max", "", ""), str("pidfile", "", ""), flag("verbose", "", ""), flag("force", "", "")),
		instead("repair", "hermes board verify; nothing is repaired in place", flag("json", "", "")),
		instead("authorize-existing-pr", "there is no guard on pull requests to lift", str("pr", "", ""), str("repo", "", ""), str("branch", "", ""), str("reason", "", "")),
		instead("notify-subscribe,subscribe", "chat is not part of this release; hermes kanban watch follows events",
			str("platform", "", ""), str("chat-id", "", ""), str("thread-id", "", ""), str("user-id", "", ""), str("user-id-alt", "", ""), str("chat-type", "", ""), str("notifier-profile", "", ""), str("delivery-mode", "", "")),
		instead("notify-list,subscriptions", "chat is not part of this release; hermes kanban watch follows events"),
		instead("notify-unsubscribe,unsubscribe", "chat is not part of this release; hermes kanban watch follows events", str("platform", "", ""), str("chat-id", "", ""), str("thread-id", "", "")),
	}
}
