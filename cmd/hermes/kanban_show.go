package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func showVerb(env Env) *cli.Command {
	return verb(env, "show", "ID", "show everything about a task", "Example:\n  hermes kanban show t7",
		[]cli.Flag{hidden(str("state-type", "", "")), hidden(str("state-name", "", ""))},
		func(ctx context.Context, x *call) error {
			b, id, err := x.look(ctx)
			if err != nil {
				return err
			}
			defer b.Close()
			d, err := b.Show(ctx, id)
			if err != nil {
				return err
			}
			if x.json() {
				return x.emit(d)
			}
			info, err := b.Info(ctx)
			if err != nil {
				return err
			}
			printDetail(x.Stdout, info.Slug, d, time.Now())
			return nil
		})
}

func whyVerb(env Env) *cli.Command {
	return verb(env, "why", "ID", "say why a task does not go on", `
Example:
  hermes kanban why t7

One line, the facts, and the command that would change it. There is an answer
for every task.`, nil, func(ctx context.Context, x *call) error {
		b, id, err := x.look(ctx)
		if err != nil {
			return err
		}
		defer b.Close()
		w, err := b.Why(ctx, id)
		if err != nil {
			return err
		}
		if x.json() {
			return x.emit(w)
		}
		fmt.Fprintln(x.Stdout, line(w.Detail))
		row := func(name, value string) {
			if value != "" {
				fmt.Fprintf(x.Stdout, "  %-14s %s\n", name, value)
			}
		}
		if w.Status == events.Blocked {
			if d, err := b.Show(ctx, id); err == nil && d.Block != nil {
				row("asks", line(d.Block.Reason))
				row("choices", choices(d.Block.Options))
			}
		}
		if w.Hold.Since != 0 {
			row("since", fmt.Sprintf("%s (%s)", clock(w.Hold.Since), ago(time.Now(), w.Hold.Since)))
		}
		if w.Hold.Until != 0 {
			row("until", clock(w.Hold.Until))
		}
		row("waits for", ids(w.Hold.Tasks))
		row("holding up", ids(w.Blocks))
		row("change it", w.Next)
		return nil
	})
}

func clock(t events.Time) string {
	at := t.Time().Local()
	if time.Since(at) < 20*time.Hour && time.Until(at) < 20*time.Hour {
		return at.Format("15:04:05")
	}
	return at.Format("2006-01-02 15:04")
}

func choices(options []string) string {
	words := make([]string, len(options))
	for i, o := range options {
		words[i] = fmt.Sprintf("%d %s", i+1, line(o))
	}
	return strings.Join(words, ", ")
}

// printDetail prints a task for a person.
func printDetail(w io.Writer, slug string, d projections.Detail, now time.Time) {
	status := d.Status.String()
	if d.Verdict != 0 {
		status += ": " + d.Verdict.String()
	}
	if d.Status == events.Blocked {
		status += ", needs you"
	}
	fmt.Fprintf(w, "%s/%s   %s   %s\n", slug, d.ID, line(d.Title), status)
	facts := []string{"for " + dash(d.Assignee), fmt.Sprintf("priority %d", d.Priority),
		fmt.Sprintf("by %s, %s", line(d.CreatedBy.String()), clock(d.Created)), "tenant " + dash(d.Tenant)}
	if d.Workspace.Kind != 0 && d.Workspace.Kind != events.Scratch {
		facts = append(facts, "workspace "+d.Workspace.Kind.String()+":"+line(d.Workspace.Path))
	}
	if d.Model != "" {
		facts = append(facts, "model "+line(d.Model))
	}
	fmt.Fprintf(w, "%s\n", strings.Join(facts, "   "))
	fmt.Fprintf(w, "needs    %s   holds up   %s\n", edges(d.Edges), dash(ids(d.Children)))

	if d.Block != nil {
		fmt.Fprintf(w, "\nQuestion   %s   %s\n", line(d.Block.Reason), choices(d.Block.Options))
		fmt.Fprintf(w, "Answer     hermes kanban unblock %s \"…\"\n", d.ID)
	}
	if d.Body != "" {
		fmt.Fprintf(w, "\nText\n%s\n", indent(d.Body))
	}
	if d.Handoff != nil && d.Handoff.Summary != "" {
		fmt.Fprintf(w, "\nResult\n%s\n", indent(d.Handoff.Summary))
	}
	if len(d.Runs) > 0 {
		fmt.Fprint(w, "\nAttempts\n")
		printRuns(w, d.Runs, now)
	}
	if len(d.Artifacts) > 0 {
		var names []string
		for _, a := range d.Artifacts {
			names = append(names, fmt.Sprintf("%s (%s, %s)", line(a.Name), a.Kind, size(a.Size)))
		}
		fmt.Fprintf(w, "\nFiles       %s     hermes kanban get %s\n", strings.Join(names, "   "), d.ID)
	}
	if len(d.Comments) > 0 {
		fmt.Fprint(w, "\nComments\n")
		for _, c := range d.Comments {
			fmt.Fprintf(w, "  %s  %s: %s\n", clock(c.Time), line(c.By.String()), strings.TrimSpace(indent(c.Body)))
		}
	}
	if n := len(d.Events); n > 0 {
		fmt.Fprintf(w, "\nHistory     %d events, last %d     hermes board replay %s --task %s     log: hermes kanban log %s\n",
			n, d.Events[n-1].Seq, slug, d.ID, d.ID)
	}
}

func edges(es []events.Edge) string {
	var words []string
	for _, e := range es {
		w := e.Parent.String()
		if e.Needs == events.NeedsAny {
			w += ":any"
		}
		words = append(words, w)
	}
	return dash(strings.Join(words, ", "))
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(printable(s), "\n"), "\n", "\n  ")
}

// printRuns prints attempts, one line each and what they left to read.
func printRuns(w io.Writer, runs []projections.RunRow, now time.Time) {
	for _, r := range runs {
		what := []string{r.Agent}
		if how := strings.Join(nonEmpty(r.Runtime, r.Backend), ", "); how != "" {
			what = append(what, how)
		}
		span := clock(r.Claimed) + "–"
		result := "running " + ago(now, r.Claimed)
		if r.Ended != 0 {
			span += clock(r.Ended)
			result = r.Outcome.String()
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
			what = append(what, fmt.Sprintf("%dk tokens", (t+500)/1000), money(r.Usage.CostMicros, r.Usage.Currency))
		}
		fmt.Fprintf(w, "  %d   %s\n", r.Run.N, strings.Join(what, "   "))
		switch {
		case r.Summary != "":
			fmt.Fprintf(w, "      %s\n", cut(line(r.Summary), 200))
		case r.Evidence != "" && r.Verdict == "":
			fmt.Fprintf(w, "      %s\n", cut(line(r.Evidence), 200))
		}
		for _, e := range r.Egress {
			fmt.Fprintf(w, "      network: %s %s out, %d refused\n", line(e.Host), size(e.BytesOut), e.Refused)
		}
	}
}

func nonEmpty(words ...string) []string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}
