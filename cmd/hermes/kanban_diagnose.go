package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// stuckAfter is how long a ready task may wait for a reason that does not go
// away by itself before diagnostics names it.
const stuckAfter = 30 * time.Minute

func diagnosticsVerb(env Env) *cli.Command {
	return verb(env, "diagnostics,diag", "", "list what is stuck, looping, unassignable or waiting for a person", "",
		[]cli.Flag{str("severity", "", "warning, error or critical: at least"), str("task", "", "only this task")}, runDiagnostics)
}

type finding struct {
	Task     events.TaskID `json:"task"`
	Severity string        `json:"severity"`
	Kind     string        `json:"kind"`
	Detail   string        `json:"detail"`
	Next     string        `json:"next"`
}

var severities = []string{"warning", "error", "critical"}

func runDiagnostics(ctx context.Context, x *call) error {
	least := max(slices.Index(severities, x.str("severity")), 0)
	if s := x.str("severity"); s != "" && !slices.Contains(severities, s) {
		return usagef("--severity %q is none of warning, error, critical", s)
	}
	var only []events.TaskID
	if t := x.str("task"); t != "" {
		var err error
		if only, err = x.taskIDs([]string{t}); err != nil {
			return err
		}
	}
	b, err := x.board(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	cards, err := b.List(ctx, projections.ListQuery{Tasks: only, Holds: true})
	if err != nil {
		return err
	}
	found := []finding{}
	for _, c := range cards {
		if f, ok := diagnose(c, time.Now()); ok && slices.Index(severities, f.Severity) >= least {
			if w, err := b.Why(ctx, c.ID); err == nil {
				f.Detail, f.Next = w.Detail, w.Next
			}
			found = append(found, f)
		}
	}
	if x.json() {
		return x.emit(found)
	}
	info, err := b.Info(ctx)
	if err != nil {
		return err
	}
	for _, f := range found {
		fmt.Fprintf(x.Stdout, "%-9s %-16s %s\n", f.Severity, f.Kind, line(f.Detail))
		if f.Next != "" {
			fmt.Fprintf(x.Stdout, "          %s\n", line(x.onBoard(words(f.Next), info.Slug)))
		}
	}
	if len(found) == 0 {
		fmt.Fprintln(x.Stdout, "nothing is stuck")
	}
	return nil
}

// diagnose says what is wrong with a card, if anything is.
func diagnose(c projections.Card, now time.Time) (finding, bool) {
	f := finding{Task: c.ID}
	hold := ""
	if c.Hold != nil {
		hold = c.Hold.Reason
	}
	waited := now.Sub(c.Since.Time())
	switch {
	case hold == "gave_up" || hold == "loop":
		f.Severity, f.Kind = "critical", "crash_looping"
	case hold == "stuck_kill":
		f.Severity, f.Kind = "critical", "stuck_kill"
	case slices.Contains([]string{"agent_unknown", "agent_config", "no_assignee", "profile_not_allowed", "runtime_missing", "sandbox_gap", "agent_held"}, hold):
		f.Severity, f.Kind = "error", "unassignable"
	case hold == "parent_failed" || hold == "parent_archived":
		f.Severity, f.Kind = "error", "stuck"
	case c.Status == events.Blocked || hold == "review_person":
		f.Severity, f.Kind = "warning", "needs_you"
	case c.Status == events.Ready && hold != "start" && hold != "retry_wait" && c.Hold != nil && c.Hold.Until == 0 && waited > stuckAfter:
		f.Severity, f.Kind = "error", "stuck"
	default:
		return f, false
	}
	return f, true
}
