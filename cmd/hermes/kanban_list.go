package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

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
  hermes kanban list -A --json`,
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
	if x.isSet("tenant") || x.getenv("TENANT") != "" {
		t := x.tenant()
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
	cards, err := b.List(ctx, q)
	if err != nil {
		return err
	}
	if x.json() {
		return x.emit(cards)
	}
	if x.flag("quiet") {
		for _, c := range cards {
			fmt.Fprintln(x.Stdout, c.ID)
		}
		return nil
	}
	return x.printBoard(ctx, b, cards, "")
}

func (x *call) listAll(ctx context.Context, q projections.ListQuery) error {
	type boardCard struct {
		Board string `json:"board"`
		projections.Card
	}
	var all []boardCard
	err := x.everyBoard(ctx, func(b api.Board, info api.Info) error {
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
		if x.json() || x.flag("quiet") {
			return nil
		}
		defer fmt.Fprintln(x.Stdout)
		return x.printBoard(ctx, b, cards, info.Slug+"/")
	})
	if err == nil && x.json() {
		if all == nil {
			all = []boardCard{}
		}
		return x.emit(all)
	}
	return err
}

// printBoard prints the head line of a board and its cards.
func (x *call) printBoard(ctx context.Context, b api.Board, cards []projections.Card, prefix string) error {
	info, err := b.Info(ctx)
	if err != nil {
		return err
	}
	stats, err := b.Stats(ctx)
	if err != nil {
		return err
	}
	policy, _, err := b.Policy(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(x.Stdout, headLine(info, stats, policy))
	if len(cards) == 0 {
		fmt.Fprintln(x.Stdout, "\nno tasks")
	} else {
		fmt.Fprintln(x.Stdout)
		now := time.Now()
		rows := [][]string{{"ID", "STATUS", "PRI", "WHO", "FOR", "TITLE", "NOW"}}
		for _, c := range cards {
			rows = append(rows, []string{prefix + c.ID.String(), c.Status.String(), fmt.Sprint(c.Priority), dash(c.Assignee),
				ago(now, c.Since), cut(line(c.Title), 40), nowWords(c, now)})
		}
		table(x.Stdout, x.Width, rows)
	}
	x.sayNoDispatcher(info)
	return nil
}

// headLine says in one line how a board is doing.
func headLine(info api.Info, s projections.Stats, p events.Policy) string {
	open := s.Tasks
	for _, c := range s.ByStatus {
		if c.Status == events.Done || c.Status == events.Archived {
			open -= c.Count
		}
	}
	limit := p.BoardCap
	if limit == 0 {
		limit = p.HostSlots
	}
	parts := []string{fmt.Sprintf("%d open", open), fmt.Sprintf("%d running (cap %d)", s.OpenRuns, limit)}
	if s.NeedsYou > 0 {
		parts = append(parts, plural(s.NeedsYou, "needs you", "need you"))
	}
	today := money(s.CostToday, p.Currency)
	if p.Budget.BoardDay > 0 {
		today += " of " + money(p.Budget.BoardDay, p.Currency)
	}
	parts = append(parts, today+" today")
	switch {
	case info.Paused && info.Drain:
		parts = append(parts, "draining")
	case info.Paused:
		parts = append(parts, "paused")
	}
	if info.Dispatcher != nil {
		parts = append(parts, "dispatcher up "+ago(time.Now(), info.Dispatcher.Since))
	}
	return info.Slug + "   " + strings.Join(parts, ", ")
}

// nowWords says what a card does at the moment.
func nowWords(c projections.Card, now time.Time) string {
	if c.Run != nil {
		text := fmt.Sprintf("attempt %d", c.Run.Run.N)
		if c.Run.Stopping {
			text += ", stopping"
		}
		if c.Run.Total > 0 {
			text += fmt.Sprintf(", %d/%d", c.Run.Done, c.Run.Total)
		}
		if c.Run.Note != "" {
			text += ", " + line(c.Run.Note)
		}
		if c.Run.LastSign != 0 {
			text += ", last sign " + ago(now, c.Run.LastSign) + " ago"
		}
		return text
	}
	if c.Verdict != 0 {
		return c.Verdict.String()
	}
	if c.Hold == nil || c.Hold.Reason == "start" {
		return ""
	}
	if c.Hold.Detail != "" {
		return line(c.Hold.Detail)
	}
	return c.Hold.Reason
}
