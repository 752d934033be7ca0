package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func listVerb(env Env) *cli.Command {
	return verb(env, "list,ls", "", "list tasks and what each waits for", `
Examples:
  hermes kanban list
  hermes kanban list --status ready --status blocked --assignee researcher
  hermes kanban list -A --json
  hermes kanban list -q --status blocked | xargs hermes kanban show

The table hides what has been done for more than a day; --status done, --json
and -q do not. NOW says what each task waits for.`,
		append(listFlags(), flag("all-boards", "A", "all boards")), runList)
}

func listFlags() []cli.Flag {
	return []cli.Flag{
		list("status", "s", "only these statuses"),
		list("assignee", "a", "only these assignees"),
		str("tenant", "", "only this tenant"),
		flag("mine", "", "only tasks assigned to you"),
		flag("archived", "", "also archived tasks"),
		str("sort", "", "created, created-desc, priority, priority-desc, status, assignee, title or updated"),
		num("limit", "n", "at most so many"),
		hidden(str("session", "", "")), hidden(str("workflow-template-id", "", "")), hidden(str("step-key", "", "")),
	}
}

var sorts = []string{"", "created", "created-desc", "priority", "priority-desc", "status", "assignee", "title", "updated"}

func (x *call) listQuery() (projections.ListQuery, error) {
	q := projections.ListQuery{Assignees: x.list("assignee"), Archived: x.flag("archived"), Sort: x.str("sort"), Limit: x.num("limit"), Holds: true}
	for _, words := range x.list("status") {
		for _, w := range strings.Split(words, ",") {
			var s events.Status
			if err := s.UnmarshalText([]byte(w)); err != nil {
				return q, usagef("%v", err)
			}
			q.Statuses = append(q.Statuses, s)
			q.Archived = q.Archived || s == events.Archived
		}
	}
	if x.flag("mine") {
		q.Assignees = append(q.Assignees, x.User)
	}
	if t := x.tenant(); x.isSet("tenant") || t != "" {
		q.Tenant = &t
	}
	if !slices.Contains(sorts, q.Sort) {
		return q, &usageError{msg: fmt.Sprintf("--sort %q is unknown", q.Sort), hint: suggest(q.Sort, sorts[1:], "--sort ")}
	}
	if q.Limit < 0 {
		return q, usagef("--limit cannot be negative")
	}
	return q, x.unsupported(map[string]string{"session": "tasks do not belong to chat sessions here",
		"workflow-template-id": "recipes are data: hermes kanban recipe list", "step-key": "recipes are data: hermes kanban recipe list"})
}

func runList(ctx context.Context, x *call) error {
	if _, err := x.args(0, 0, "no arguments"); err != nil {
		return err
	}
	q, err := x.listQuery()
	if err != nil {
		return err
	}
	if x.flag("all-boards") {
		return x.listAll(ctx, q)
	}
	b, err := x.board(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	if !x.json() && !x.flag("quiet") {
		return x.printBoard(ctx, b, q, "")
	}
	cards, err := b.List(ctx, q)
	if err != nil {
		return err
	}
	if x.json() {
		return x.emit(cards)
	}
	for _, c := range cards {
		fmt.Fprintln(x.Stdout, c.ID)
	}
	return nil
}

func (x *call) listAll(ctx context.Context, q projections.ListQuery) error {
	type boardCard struct {
		Board string `json:"board"`
		projections.Card
	}
	var all []boardCard
	shown := 0
	err := x.everyBoard(ctx, func(b api.Board, info api.Info) error {
		if !x.json() && !x.flag("quiet") {
			if shown++; shown > 1 {
				fmt.Fprintln(x.Stdout)
			}
			return x.printBoard(ctx, b, q, info.Slug+"/")
		}
		cards, err := b.List(ctx, q)
		if err != nil {
			return err
		}
		for _, c := range cards {
			all = append(all, boardCard{info.Slug, c})
			if x.flag("quiet") {
				fmt.Fprintf(x.Stdout, "%s/%s\n", info.Slug, c.ID)
			}
		}
		return nil
	})
	if err == nil && x.json() {
		if all == nil {
			all = []boardCard{}
		}
		return x.emit(all)
	}
	return err
}
