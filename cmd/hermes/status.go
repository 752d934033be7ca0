package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func statusCommand(env Env) *cli.Command {
	return verb(env, "status", "", "one line for each board", "Example:\n  hermes status --watch",
		[]cli.Flag{flag("watch", "w", "go on and redraw"), str("every", "", "with --watch, how often (2s)")}, runStatus)
}

// statusRow is one line of the status.
type statusRow struct {
	Board     string            `json:"board"`
	NeedsYou  []events.TaskID   `json:"needs_you"`
	Running   int               `json:"running"`
	Cap       int32             `json:"cap"`
	Ready     int               `json:"ready"`
	Review    int               `json:"review"`
	Done24h   int               `json:"done_24h"`
	CostToday int64             `json:"cost_today"` // millionths of the currency
	Budget    int64             `json:"budget"`     // for a day; 0 = none
	Currency  string            `json:"currency"`
	Paused    bool              `json:"paused"`
	Gateway   *api.DispatchInfo `json:"gateway"` // null = nobody starts runs
	Head      uint64            `json:"head"`
	Signed    uint64            `json:"signed"` // position of the last signed checkpoint
	Error     *failure          `json:"error,omitzero"`
}

func runStatus(ctx context.Context, x *call) error {
	if _, err := x.args(0, 0, "no arguments"); err != nil {
		return err
	}
	every := 2 * time.Second
	if s := x.str("every"); s != "" {
		var err error
		if every, err = parseDuration(s); err != nil {
			return err
		}
		if every < 100*time.Millisecond {
			return usagef("--every %s is too often", s)
		}
	}
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	if !x.flag("watch") {
		return x.status(ctx, home)
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	for {
		if x.Terminal && !x.json() {
			fmt.Fprint(x.Stdout, "\x1b[H\x1b[2J")
		}
		if err := x.status(ctx, home); err != nil {
			return err
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (x *call) status(ctx context.Context, home *registry.Home) error {
	rows := []statusRow{}
	err := x.survey(ctx, home, func(f boardFound) error {
		r, err := statusOf(ctx, f)
		rows = append(rows, r)
		return err
	})
	if err != nil {
		return err
	}
	if x.json() {
		return x.emit(rows)
	}
	if len(rows) == 0 {
		x.say("there is no board; make one: hermes board create NAME")
		return nil
	}
	out := [][]string{{"BOARD", "NEEDS YOU", "RUNNING", "READY", "REVIEW", "DONE 24H", "SPENT TODAY", "GATEWAY", "VERIFIED"}}
	for _, r := range rows {
		out = append(out, r.columns(time.Now()))
	}
	table(x.Stdout, x.Width, out)
	return nil
}

func statusOf(ctx context.Context, f boardFound) (statusRow, error) {
	r := statusRow{Board: f.entry.Slug, NeedsYou: []events.TaskID{}}
	if f.board == nil {
		why := explainError(f.err)
		r.Error = &why
		return r, nil
	}
	stats, err := f.board.Stats(ctx)
	if err != nil {
		return r, err
	}
	items, err := f.board.Inbox(ctx)
	if err != nil {
		return r, err
	}
	policy, _, err := f.board.Policy(ctx)
	if err != nil {
		return r, err
	}
	for _, item := range items {
		r.NeedsYou = append(r.NeedsYou, item.Task)
	}
	r.Running, r.Cap = stats.OpenRuns, policy.BoardCap
	if r.Cap == 0 {
		r.Cap = policy.HostSlots
	}
	r.Ready, r.Review = countOf(stats, events.Ready), countOf(stats, events.Review)
	r.Done24h, r.CostToday, r.Budget, r.Currency = stats.Done24h, stats.CostToday, policy.Budget.BoardDay, policy.Currency
	r.Paused, r.Gateway, r.Head, r.Signed = f.info.Paused, f.info.Dispatcher, f.info.Head.Seq, f.info.Signed
	return r, nil
}

func countOf(s projections.Stats, status events.Status) int {
	for _, c := range s.ByStatus {
		if c.Status == status {
			return c.Count
		}
	}
	return 0
}

func (r statusRow) columns(now time.Time) []string {
	if r.Error != nil {
		return []string{r.Board, "–", "–", "–", "–", "–", "–", strings.ReplaceAll(r.Error.Code, "_", " "), "–"}
	}
	needs := "–"
	switch n := len(r.NeedsYou); {
	case n == 1:
		needs = fmt.Sprintf("1 (%s)", dash(r.NeedsYou[0].String()))
	case n > 1:
		needs = fmt.Sprint(n)
	}
	spent := money(r.CostToday, r.Currency)
	if r.Budget > 0 {
		spent += " of " + money(r.Budget, r.Currency)
	}
	gateway := "–"
	if r.Gateway != nil {
		gateway = "up " + ago(now, r.Gateway.Since)
	}
	if r.Paused {
		gateway += ", paused"
	}
	verified := fmt.Sprint(r.Signed)
	if r.Signed != r.Head {
		verified += fmt.Sprintf(" of %d", r.Head)
	}
	return []string{r.Board, needs, fmt.Sprintf("%d of %d", r.Running, r.Cap), fmt.Sprint(r.Ready), fmt.Sprint(r.Review),
		fmt.Sprint(r.Done24h), spent, gateway, verified}
}
