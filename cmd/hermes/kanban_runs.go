package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func runsVerb(env Env) *cli.Command {
	return verb(env, "runs", "ID", "list the attempts at a task", "Examples:\n  hermes kanban runs t7\n  hermes kanban runs t7 --state-type outcome --state-name crashed",
		stateFlags(), func(ctx context.Context, x *call) error {
			if _, err := x.stateRuns(nil); err != nil {
				return err
			}
			b, id, err := x.look(ctx)
			if err != nil {
				return err
			}
			defer b.Close()
			d, err := b.Show(ctx, id)
			if err != nil {
				return err
			}
			runs, err := x.stateRuns(d.Runs)
			if err != nil {
				return err
			}
			if x.json() {
				return x.emit(runs)
			}
			if len(runs) == 0 {
				x.say("%s has no such attempt; hermes kanban why %s", id, id)
			}
			printRuns(x.Stdout, runs, time.Now())
			return nil
		})
}

// stateFlags select attempts by how they stand.
func stateFlags() []cli.Flag {
	return []cli.Flag{str("state-type", "", "status or outcome: what --state-name names"), str("state-name", "", "only attempts in this state: running, ended, or an outcome")}
}

// stateRuns keeps the attempts that the state flags select.
func (x *call) stateRuns(runs []projections.RunRow) ([]projections.RunRow, error) {
	kind, name := x.str("state-type"), x.str("state-name")
	switch {
	case kind == "" && name == "":
		return runs, nil
	case kind != "" && kind != "status" && kind != "outcome":
		return nil, usagef("--state-type %q is neither status nor outcome", kind)
	case name == "":
		return nil, usagef("--state-type goes with --state-name")
	}
	byStatus := kind == "status" || kind == "" && (name == "running" || name == "ended")
	var outcome events.Outcome
	if byStatus && name != "running" && name != "ended" {
		return nil, usagef("--state-name %q is neither running nor ended", name)
	} else if err := outcome.UnmarshalText([]byte(name)); !byStatus && err != nil {
		return nil, usagef("--state-name: %v", err)
	}
	some := []projections.RunRow{}
	for _, r := range runs {
		if byStatus && (r.Ended == 0) == (name == "running") || !byStatus && r.Ended != 0 && r.Outcome == outcome {
			some = append(some, r)
		}
	}
	return some, nil
}

func contextVerb(env Env) *cli.Command {
	return verb(env, "context", "ID", "print exactly the text that the task's agent starts from", "Example:\n  hermes kanban context t7", nil, func(ctx context.Context, x *call) error {
		b, id, err := x.look(ctx)
		if err != nil {
			return err
		}
		defer b.Close()
		d, err := b.Show(ctx, id)
		if err != nil {
			return err
		}
		text := agents.Context(d, time.Now())
		if x.json() {
			return x.emit(map[string]any{"task": id, "context": text})
		}
		_, err = io.WriteString(x.Stdout, printable(text))
		return err
	})
}

// printRuns prints attempts, one line each and what they left to read.
func printRuns(w io.Writer, runs []projections.RunRow, now time.Time) {
	for _, r := range runs {
		what := []string{line(r.Agent)}
		if how := strings.Join(nonEmpty(line(r.Runtime), line(r.Backend)), ", "); how != "" {
			what = append(what, how)
		}
		span := clock(r.Claimed) + "–"
		result := "running " + ago(now, r.Claimed)
		if r.Ended != 0 {
			span += clock(r.Ended)
			result = plain(r.Outcome.String())
		} else if r.Stopping {
			result = "stopping"
		}
		if r.Exit != nil && *r.Exit != 0 {
			result += fmt.Sprintf(", exit %d", *r.Exit)
		}
		if r.Signal != 0 {
			result += fmt.Sprintf(", signal %d", r.Signal)
		}
		what = append(what, span, result)
		if r.Ended != 0 {
			what = append(what, short(time.Duration(r.RanMS)*time.Millisecond))
		}
		if t := r.Usage.TokensIn + r.Usage.TokensOut; t > 0 {
			what = append(what, projections.Many(t)+" tokens", money(r.Usage.CostMicros, r.Usage.Currency))
		}
		fmt.Fprintf(w, "  %-3d %s\n", r.Run.N, strings.Join(what, "   "))
		switch {
		case r.Summary != "":
			fmt.Fprintf(w, "      %s\n", cut(line(r.Summary), 200))
		case r.Evidence != "" && r.Verdict == "":
			fmt.Fprintf(w, "      %s\n", cut(line(r.Evidence), 200))
		}
		if len(r.Egress) > 0 {
			fmt.Fprintf(w, "      network: %s\n", egress(r.Egress))
		}
	}
}

// egress says what an attempt sent where: "api.anthropic.com 1.1 MB; refused pypi.org ×3".
func egress(hosts []events.Egress) string {
	var sent, refused []string
	for _, e := range hosts {
		if e.Requests > e.Refused || e.BytesOut > 0 {
			sent = append(sent, line(e.Host)+" "+size(e.BytesOut))
		}
		if e.Refused > 0 {
			refused = append(refused, fmt.Sprintf("%s ×%d", line(e.Host), e.Refused))
		}
	}
	text := strings.Join(sent, ", ")
	if refused != nil {
		text = strings.Join(nonEmpty(text, "refused "+strings.Join(refused, ", ")), "; ")
	}
	return text
}

// plain says a word of the log with spaces.
func plain(word string) string { return strings.ReplaceAll(word, "_", " ") }

func nonEmpty(words ...string) []string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}
