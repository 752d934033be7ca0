package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/projections"
)

func statsVerb(env Env) *cli.Command {
	return verb(env, "stats", "", "count the board", "", []cli.Flag{flag("all-boards", "A", "all boards")}, func(ctx context.Context, x *call) error {
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

func (x *call) printStats(ctx context.Context, b api.Board, title string) error {
	s, err := b.Stats(ctx)
	if err != nil {
		return err
	}
	if x.json() {
		return x.emit(s)
	}
	if title != "" {
		fmt.Fprintln(x.Stdout, title)
	}
	for _, c := range s.ByStatus {
		fmt.Fprintf(x.Stdout, "%-10s %d\n", c.Status, c.Count)
	}
	if len(s.ByAssignee) > 0 {
		rows := [][]string{{"AGENT", "READY", "RUNNING", "OPEN", "DONE"}}
		for _, a := range s.ByAssignee {
			rows = append(rows, []string{dash(a.Name), fmt.Sprint(a.Ready), fmt.Sprint(a.Running), fmt.Sprint(a.Open), fmt.Sprint(a.Done)})
		}
		table(x.Stdout, x.Width, rows)
	}
	fmt.Fprintf(x.Stdout, "%d runs, %d open, %s in all, %s today, oldest ready %s\n", s.Runs, s.OpenRuns,
		money(s.CostMicros, s.Currency), money(s.CostToday, s.Currency), ago(time.Now(), s.OldestReady))
	return nil
}

func assigneesVerb(env Env) *cli.Command {
	return verb(env, "assignees", "", "list the agents of this profile and what they have to do", "", nil, func(ctx context.Context, x *call) error {
		home, err := x.home()
		if err != nil {
			return err
		}
		profile, err := x.profileDir(home)
		if err != nil {
			return err
		}
		names, err := agents.List(profile)
		if err != nil {
			return err
		}
		b, err := x.board(ctx)
		if err != nil {
			return err
		}
		defer b.Close()
		s, err := b.Stats(ctx)
		if err != nil {
			return err
		}
		type row struct {
			projections.NameCount
			Known bool `json:"known"`
		}
		var rows []row
		for _, c := range s.ByAssignee {
			if c.Name != "" {
				rows = append(rows, row{c, slices.Contains(names, c.Name)})
			}
		}
		for _, n := range names {
			if !slices.ContainsFunc(rows, func(r row) bool { return r.Name == n }) {
				rows = append(rows, row{projections.NameCount{Name: n}, true})
			}
		}
		if x.json() {
			return x.emit(rows)
		}
		out := [][]string{{"AGENT", "READY", "RUNNING", "OPEN", ""}}
		for _, r := range rows {
			note := ""
			if !r.Known {
				note = "no such agent in this profile"
			}
			out = append(out, []string{r.Name, fmt.Sprint(r.Ready), fmt.Sprint(r.Running), fmt.Sprint(r.Open), note})
		}
		table(x.Stdout, x.Width, out)
		return nil
	})
}
