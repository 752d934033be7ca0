package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
)

// costKeys are what runs can be summed up by.
var costKeys = []string{"board", "agent", "task", "tenant", "model", "day"}

func costCommand(env Env) *cli.Command {
	return verb(env, "cost", "", "say what the runs have cost", `
What a run used is in its end, as the model endpoint or the agent's own program
measured it. Days are those of UTC, as the daily budgets are.

  hermes cost --since 7d --by agent
  hermes cost -A --by board`,
		[]cli.Flag{
			str("since", "", "only runs that ended since then: 8h, 22:00, 2026-11-17"),
			str("by", "", "sum up by "+strings.Join(costKeys, ", ")+" (default agent, with -A board)"),
			flag("all-boards", "A", "all boards"),
		}, runCost)
}

// costRow is what the runs of one name have cost.
type costRow struct {
	Name       string `json:"name"`
	Runs       int    `json:"runs"`
	TokensIn   int64  `json:"tokens_in"`
	TokensOut  int64  `json:"tokens_out"`
	CostMicros int64  `json:"cost_micros"`
	Currency   string `json:"currency"`
}

func (r *costRow) add(u events.Usage) {
	r.Runs++
	r.TokensIn += u.TokensIn
	r.TokensOut += u.TokensOut
	r.CostMicros += u.CostMicros
}

// costs sums up by name and currency: amounts of two currencies never mix.
type costs map[[2]string]*costRow

func (c costs) of(name, currency string) *costRow {
	key := [2]string{name, currency}
	if c[key] == nil {
		c[key] = &costRow{Name: name, Currency: currency}
	}
	return c[key]
}

func runCost(ctx context.Context, x *call) error {
	if _, err := x.args(0, 0, "no arguments"); err != nil {
		return err
	}
	by := x.str("by")
	switch {
	case by == "" && x.flag("all-boards"):
		by = "board"
	case by == "":
		by = "agent"
	case !slices.Contains(costKeys, by):
		return &usageError{msg: fmt.Sprintf("--by %q is not one of %s", by, strings.Join(costKeys, ", ")), hint: suggest(by, costKeys, "hermes cost --by ")}
	}
	var since events.Time
	if s := x.str("since"); s != "" {
		where, _ := x.zone()
		var err error
		if since, err = parseWhen(s, time.Now().In(where), -1); err != nil {
			return err
		}
	}
	sums := costs{}
	if x.flag("all-boards") {
		if err := x.everyBoard(ctx, func(b api.Board, _ api.Info) error { return sums.board(ctx, b, by, since, true) }); err != nil {
			return err
		}
	} else {
		b, err := x.board(ctx)
		if err != nil {
			return err
		}
		defer b.Close()
		if err := sums.board(ctx, b, by, since, false); err != nil {
			return err
		}
	}
	return x.printCosts(by, sums)
}

// board adds the ended runs of one board.
func (c costs) board(ctx context.Context, b api.Board, by string, since events.Time, several bool) error {
	info, err := b.Info(ctx)
	if err != nil {
		return err
	}
	policy, _, err := b.Policy(ctx)
	if err != nil {
		return err
	}
	agents := map[events.RunID]string{}
	return foldAll(ctx, readerOf(b), 0, func(r *events.Record) {
		switch p := r.Data.(type) {
		case events.RunClaimed:
			agents[r.Run] = p.Agent
		case events.RunEnded:
			if r.Time >= since && p.Usage != (events.Usage{}) {
				c.of(costName(by, info.Slug, r, agents[r.Run], p.Usage, several), cmp.Or(p.Usage.Currency, policy.Currency)).add(p.Usage)
			}
			delete(agents, r.Run)
		}
	})
}

// costName is what a run is summed up under.
func costName(by, slug string, r *events.Record, agent string, u events.Usage, several bool) string {
	name := ""
	switch by {
	case "board":
		return slug
	case "day":
		return r.Time.Time().UTC().Format(time.DateOnly)
	case "agent":
		name = agent
	case "task":
		name = r.Task.String()
	case "tenant":
		name = r.Tenant
	case "model":
		return dash(u.Model)
	}
	if several { // the same agent or task on two boards is two
		return slug + "/" + dash(name)
	}
	return dash(name)
}

func (x *call) printCosts(by string, sums costs) error {
	rows := slices.SortedFunc(maps.Values(sums), func(a, b *costRow) int {
		if by == "day" {
			return cmp.Compare(a.Name, b.Name)
		}
		return cmp.Or(cmp.Compare(b.CostMicros, a.CostMicros), cmp.Compare(a.Name, b.Name))
	})
	if x.json() {
		if rows == nil {
			rows = []*costRow{}
		}
		return x.emit(rows)
	}
	if len(rows) == 0 {
		x.say("no run has said what it cost")
		return nil
	}
	out := [][]string{{strings.ToUpper(by), "RUNS", "TOKENS IN", "TOKENS OUT", "COST"}}
	totals := costs{}
	for _, r := range rows {
		out = append(out, r.cells(r.Name))
		t := totals.of("all", r.Currency)
		t.Runs, t.TokensIn, t.TokensOut, t.CostMicros = t.Runs+r.Runs, t.TokensIn+r.TokensIn, t.TokensOut+r.TokensOut, t.CostMicros+r.CostMicros
	}
	if len(rows) > 1 {
		for _, t := range slices.SortedFunc(maps.Values(totals), func(a, b *costRow) int { return cmp.Compare(a.Currency, b.Currency) }) {
			out = append(out, t.cells("all"))
		}
	}
	table(x.Stdout, x.Width, out)
	return nil
}

func (r *costRow) cells(name string) []string {
	return []string{line(name), fmt.Sprint(r.Runs), fmt.Sprint(r.TokensIn), fmt.Sprint(r.TokensOut), money(r.CostMicros, r.Currency)}
}
