package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/dispatcher"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func whyVerb(env Env) *cli.Command {
	return verb(env, "why", "ID", "say why a task does not go on", `
Examples:
  hermes kanban why t7
  hermes kanban why t7 --at 812

One line, the facts, and the command that would change it. There is an answer
for every task. --at answers as of an earlier event, from the log alone: what
the host and its agents were like then is not on it, and taken as in order.`,
		[]cli.Flag{num("at", "", "as the board stood after this event")}, runWhy)
}

func runWhy(ctx context.Context, x *call) error {
	b, id, err := x.look(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	if x.isSet("at") {
		w, err := whyAt(ctx, b, id, x.num("at"))
		if err != nil {
			return err
		}
		if x.json() {
			return x.emit(w)
		}
		_, err = fmt.Fprintf(x.Stdout, "after event %d: %s\n", x.num("at"), line(w.Detail))
		return err
	}
	w, err := b.Why(ctx, id)
	if err != nil {
		return err
	}
	if x.json() {
		return x.emit(w)
	}
	var block *projections.BlockRow
	if w.Status == events.Blocked {
		d, err := b.Show(ctx, id)
		if err != nil {
			return err
		}
		block = d.Block
	}
	return x.printWhy(ctx, b, w, block)
}

// whyAt answers from the first at events of the log.
func whyAt(ctx context.Context, b api.Board, id events.TaskID, at int) (projections.Why, error) {
	v, now := projections.NewView(), events.Time(0)
	if at > 0 {
		if err := foldAll(ctx, readerOf(b), uint64(at), func(r *events.Record) { v.Apply(r); now = r.Time }); err != nil {
			return projections.Why{}, err
		}
	}
	if at <= 0 || v.Head() < uint64(at) {
		return projections.Why{}, &boards.Rejection{Code: boards.CodeNotFound, Detail: fmt.Sprintf("there is no event %d; the last is %d", at, v.Head())}
	}
	t := v.Task(id)
	if t == nil {
		return projections.Why{}, &boards.Rejection{Code: boards.CodeNotFound, Task: id, Detail: fmt.Sprintf("there was no %s after event %d", id, at)}
	}
	policy, _ := v.Policy()
	facts := dispatcher.Facts{Dispatcher: dispatcher.Serving, Slots: int(policy.HostSlots),
		Free: max(0, int(policy.HostSlots)-len(v.OpenRuns())), Agents: map[string]dispatcher.Agent{}}
	for _, name := range []string{t.Who(), policy.DefaultAssignee, policy.Reviewer} {
		facts.Agents[name] = dispatcher.Agent{}
	}
	return dispatcher.Why(v, id, facts, now), nil
}

// printWhy prints the answer to why; block is the question of a blocked task, else nil.
func (x *call) printWhy(ctx context.Context, b api.Board, w projections.Why, block *projections.BlockRow) error {
	others, err := neighbours(ctx, b, append(w.Hold.Tasks, w.Blocks...))
	if err != nil {
		return err
	}
	name := func(tasks []events.TaskID, but events.TaskID) []string {
		var words []string
		for _, id := range tasks {
			if id == but {
				continue
			}
			word := id.String()
			if c, ok := others[id]; ok {
				word += " " + quoted(c.Title) + " (" + standing(c) + also(c, w.Task) + ")"
			}
			words = append(words, word)
		}
		return words
	}
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(x.Stdout, "  %-14s %s\n", name, line(value))
		}
	}
	headline := w.Detail
	if asked := block != nil && asks(block.Kind) && block.Reason != ""; asked {
		headline = fmt.Sprintf("%s is blocked since %s (%s): %s asks %s", w.Task, clock(block.Since),
			projections.Span(time.Since(block.Since.Time())), block.By.Name, projections.Quote(block.Reason))
	}
	fmt.Fprintln(x.Stdout, line(headline))
	if block != nil {
		if asks(block.Kind) {
			row("goes on when", "you answer")
		} else {
			row("said", cut(line(block.Reason), 500))
		}
		row("choices", choices(block.Options))
		if len(block.Options) > 0 {
			w.Next = fmt.Sprintf("hermes kanban unblock %s --choice 1", w.Task)
		}
	} else if w.Hold.Since != 0 && w.Hold.Reason != "done" {
		row("since", fmt.Sprintf("%s (%s)", clock(w.Hold.Since), projections.Span(time.Since(w.Hold.Since.Time()))))
	}
	if w.Hold.Until != 0 {
		row("until", clock(w.Hold.Until))
	}
	for i, t := range name(w.Hold.Tasks, w.Task) {
		row([]string{"waits for", ""}[min(i, 1)], t)
	}
	for i, t := range name(w.Blocks, 0) {
		row([]string{"holding up", ""}[min(i, 1)], t)
	}
	told, err := x.told(ctx, b, w.Task)
	if err != nil {
		return err
	}
	row("told", told)
	info, err := b.Info(ctx)
	if block != nil && asks(block.Kind) {
		row("answer", x.onBoard(words(w.Next), info.Slug))
	} else {
		row("change it", x.onBoard(words(w.Next), info.Slug))
	}
	return err
}

// asks reports whether a block is a question that words answer.
func asks(k events.BlockKind) bool {
	return k == events.BlockNeedsInput || k == events.BlockDependency || k == events.BlockCapability || k == events.BlockPerson
}

// also names what a waiting task waits for besides one.
func also(c projections.Card, besides events.TaskID) string {
	var words []string
	for _, p := range c.Parents {
		if p != besides {
			words = append(words, p.String())
		}
	}
	if c.Status != events.Todo || words == nil || len(words) == len(c.Parents) {
		return ""
	}
	return ", also needs " + strings.Join(words, ", ")
}
