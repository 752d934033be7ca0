package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func showVerb(env Env) *cli.Command {
	return verb(env, "show", "ID", "show everything about a task", "Example:\n  hermes kanban show t7", stateFlags(), runShow)
}

func runShow(ctx context.Context, x *call) error {
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
	if d.Runs, err = x.stateRuns(d.Runs); err != nil {
		return err
	}
	if x.json() {
		return x.emit(d)
	}
	s := screen{call: x, d: d, now: time.Now()}
	if s.info, err = b.Info(ctx); err != nil {
		return err
	}
	if s.why, err = b.Why(ctx, id); err != nil {
		return err
	}
	if s.others, err = neighbours(ctx, b, append(d.Parents, d.Children...)); err != nil {
		return err
	}
	if s.toldTo, err = x.told(ctx, b, id); err != nil {
		return err
	}
	s.print()
	return nil
}

// neighbours returns the cards of tasks that another one points to.
func neighbours(ctx context.Context, b api.Board, tasks []events.TaskID) (map[events.TaskID]projections.Card, error) {
	found := make(map[events.TaskID]projections.Card)
	if len(tasks) == 0 { // an empty selection would be everything
		return found, nil
	}
	cards, err := b.List(ctx, projections.ListQuery{Tasks: tasks, Archived: true})
	for _, c := range cards {
		found[c.ID] = c
	}
	return found, err
}

// screen is a task as a person sees it.
type screen struct {
	*call
	d      projections.Detail
	info   api.Info
	why    projections.Why
	others map[events.TaskID]projections.Card
	toldTo string // who was told last
	now    time.Time
}

func (s *screen) print() {
	s.head()
	s.state()
	if s.toldTo != "" {
		fmt.Fprintf(s.Stdout, "\nTold       %s\n", s.toldTo)
	}
	d := s.d
	if d.Body != "" {
		s.section("Text", d.Body)
	}
	if d.Handoff != nil {
		s.section("Summary", d.Handoff.Summary)
		s.section("Result", d.Handoff.Result)
	}
	if len(d.Runs) > 0 {
		fmt.Fprint(s.Stdout, "\nAttempts\n")
		printRuns(s.Stdout, d.Runs, s.now)
	}
	s.files()
	if len(d.Comments) > 0 {
		fmt.Fprint(s.Stdout, "\nComments\n")
		for _, c := range d.Comments {
			fmt.Fprintf(s.Stdout, "  %s  %s: %s\n", clock(c.Time), person(c.By), strings.TrimSpace(indent(c.Body)))
		}
	}
	if n := len(d.Events); n > 0 {
		text := fmt.Sprintf("\nHistory    %s, last %d     hermes board replay %s --task %s", plural(n, "event", "events"), d.Events[n-1].Seq, s.info.Slug, d.ID)
		if len(d.Runs) > 0 {
			text += "     log: " + s.onBoard(fmt.Sprintf("hermes kanban log %s", d.ID), s.info.Slug)
		}
		fmt.Fprintln(s.Stdout, text)
	}
}

// head prints what the task is, in three lines.
func (s *screen) head() {
	d := s.d
	status := d.Status.String()
	switch {
	case d.Status == events.Blocked:
		status += ", needs you"
	case d.Verdict != 0:
		status += ": " + d.Verdict.String()
	}
	title := fmt.Sprintf("%s/%s   %s", s.info.Slug, d.ID, line(d.Title))
	gap := max(3, min(s.Width, 100)-runes(title)-runes(status))
	fmt.Fprintf(s.Stdout, "%s%s%s\n", title, strings.Repeat(" ", gap), status)
	facts := []string{"for " + dash(line(d.Assignee)), fmt.Sprintf("priority %d", d.Priority),
		fmt.Sprintf("by %s, %s", person(d.CreatedBy), clock(d.Created)), "tenant " + dash(line(d.Tenant))}
	if d.Reviewer != "" {
		facts = append(facts, "review by "+line(d.Reviewer))
	}
	if d.Workspace.Kind != 0 && d.Workspace.Kind != events.Scratch {
		facts = append(facts, "workspace "+d.Workspace.Kind.String()+":"+line(d.Workspace.Path))
	}
	if d.Model != "" {
		facts = append(facts, "model "+line(d.Model))
	}
	fmt.Fprintln(s.Stdout, strings.Join(facts, "   "))
	needs := make([]string, len(d.Edges))
	for i, e := range d.Edges {
		needs[i] = s.other(e.Parent)
		if e.Needs == events.NeedsAny {
			needs[i] += " with any verdict"
		}
	}
	holds := make([]string, len(d.Children))
	for i, id := range d.Children {
		holds[i] = s.other(id)
	}
	fmt.Fprintf(s.Stdout, "needs %s     holds up %s\n", dash(strings.Join(needs, ", ")), dash(strings.Join(holds, ", ")))
}

// other names a neighbour: its id, title and how it stands.
func (s *screen) other(id events.TaskID) string {
	c, ok := s.others[id]
	if !ok {
		return id.String()
	}
	return fmt.Sprintf("%s %s (%s)", id, quoted(c.Title), standing(c))
}

// standing says how a task stands in a word or two.
func standing(c projections.Card) string {
	if c.Verdict != 0 {
		return c.Verdict.String()
	}
	return c.Status.String()
}

// quoted is a title inside a sentence.
func quoted(title string) string { return `"` + cut(line(title), 40) + `"` }

// person names who did something: "kai, cli".
func person(a events.Actor) string {
	return line(strings.Join(nonEmpty(a.Name, a.Via), ", "))
}

// state prints the question of a blocked task, or what holds any other.
func (s *screen) state() {
	d := s.d
	next := s.why.Next
	if d.Block != nil {
		question := cut(line(d.Block.Reason), 500)
		if question == "" {
			question = line(s.why.Hold.Detail)
		}
		fmt.Fprintf(s.Stdout, "\nQuestion   %s\n", strings.Join(nonEmpty(question, choices(d.Block.Options)), "     "))
		if len(d.Block.Options) > 0 {
			next = fmt.Sprintf("hermes kanban unblock %s --choice 1", d.ID)
		}
		fmt.Fprintf(s.Stdout, "Answer     %s\n", line(s.onBoard(words(next), s.info.Slug)))
		return
	}
	if d.Status == events.Done || d.Status == events.Archived || s.why.Hold.Reason == "start" {
		return
	}
	text := line(s.why.Hold.Detail)
	if s.why.Hold.Until != 0 {
		text += ", until " + clock(s.why.Hold.Until)
	}
	fmt.Fprintf(s.Stdout, "\nNow        %s\n", strings.Join(nonEmpty(text, line(s.onBoard(words(next), s.info.Slug))), "     "))
}

// words shows where words go in a command that wants some.
func words(command string) string { return strings.ReplaceAll(command, `""`, `"…"`) }

func (s *screen) section(name, text string) {
	if strings.TrimSpace(text) != "" {
		fmt.Fprintf(s.Stdout, "\n%s\n%s\n", name, indent(text))
	}
}

func (s *screen) files() {
	if len(s.d.Artifacts) == 0 {
		return
	}
	fmt.Fprintf(s.Stdout, "\nFiles      %s\n", s.onBoard(fmt.Sprintf("hermes kanban get %s", s.d.ID), s.info.Slug))
	var rows [][]string
	for _, a := range s.d.Artifacts {
		rows = append(rows, []string{"  " + line(a.Name), size(a.Size), a.Kind + " by " + line(a.By.Name)})
	}
	table(s.Stdout, s.Width, rows)
}

// clock prints an instant in local time, without the date if it is near.
func clock(t events.Time) string {
	at := t.Time().Local()
	if time.Since(at) < 20*time.Hour && time.Until(at) < 20*time.Hour {
		return at.Format("15:04:05")
	}
	return at.Format("2006-01-02 15:04")
}

// choices lists offered answers by the number that picks them.
func choices(options []string) string {
	words := make([]string, len(options))
	for i, o := range options {
		words[i] = fmt.Sprintf("[%d] %s", i+1, line(o))
	}
	return strings.Join(words, "   ")
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(printable(s), "\n"), "\n", "\n  ")
}
