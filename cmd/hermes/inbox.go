package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/projections"
)

func inboxCommand(env Env) *cli.Command {
	return verb(env, "inbox", "", "all that waits for you, on all boards, oldest first", `
With each comes the command that settles it. One board: hermes kanban inbox.`, nil,
		func(ctx context.Context, x *call) error {
			if _, err := x.args(0, 0, "no arguments"); err != nil {
				return err
			}
			return x.inboxOfAll(ctx)
		})
}

func inboxVerb(env Env) *cli.Command {
	return verb(env, "inbox", "", "what waits for you on a board, oldest first", "", []cli.Flag{flag("all-boards", "A", "all boards")},
		func(ctx context.Context, x *call) error {
			if _, err := x.args(0, 0, "no arguments"); err != nil {
				return err
			}
			if x.flag("all-boards") {
				return x.inboxOfAll(ctx)
			}
			b, err := x.board(ctx)
			if err != nil {
				return err
			}
			defer b.Close()
			items, err := b.Inbox(ctx)
			if err != nil {
				return err
			}
			list := make([]inboxItem, len(items))
			for i, item := range items {
				list[i] = inboxItem{"", item}
			}
			if x.json() {
				return x.emit(items)
			}
			x.printInbox(list)
			return nil
		})
}

// inboxItem is something that waits, with its board where several are shown.
type inboxItem struct {
	Board string `json:"board"`
	projections.InboxItem
}

func (x *call) inboxOfAll(ctx context.Context) error {
	list := []inboxItem{}
	left, err := x.everyBoardBut(ctx, func(b api.Board, info api.Info) error {
		items, err := b.Inbox(ctx)
		for _, item := range items {
			if item.Settle != "" {
				item.Settle += " --board " + info.Slug
			}
			list = append(list, inboxItem{info.Slug, item})
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(a, b inboxItem) int { return int(min(max(a.Since-b.Since, -1), 1)) })
	if x.json() {
		if err := x.emit(list); err != nil {
			return err
		}
	} else {
		x.printInbox(list)
	}
	if left != nil {
		return exitError(explainError(left).exit)
	}
	return nil
}

func (x *call) printInbox(list []inboxItem) {
	if x.flag("quiet") {
		for _, item := range list {
			fmt.Fprintln(x.Stdout, item.name())
		}
		return
	}
	if len(list) == 0 {
		fmt.Fprintln(x.Stdout, "nothing waits for you")
		return
	}
	now := time.Now()
	for i, item := range list {
		if i > 0 {
			fmt.Fprintln(x.Stdout)
		}
		subject := line(item.Title)
		if item.Task == 0 {
			subject = line(item.Agent)
		}
		fmt.Fprintf(x.Stdout, "%s  %s  since %s  %s\n", item.name(), strings.ReplaceAll(item.Kind, "_", " "), ago(now, item.Since), subject)
		if item.Question != "" {
			fmt.Fprintf(x.Stdout, "  %s\n", cut(line(item.Question), 200))
		}
		if len(item.Options) > 0 {
			fmt.Fprintf(x.Stdout, "  choices: %s\n", choices(item.Options))
		}
		if len(item.Blocks) > 0 {
			fmt.Fprintf(x.Stdout, "  holds up %s\n", ids(item.Blocks))
		}
		if item.Settle != "" {
			fmt.Fprintf(x.Stdout, "  %s\n", line(item.Settle))
		}
	}
}

// name is how the task is typed; an agent that is held has none.
func (i inboxItem) name() string {
	name := i.Task.String()
	if name == "" {
		name = i.Agent
	}
	if i.Board != "" {
		name = i.Board + "/" + name
	}
	return line(name)
}
