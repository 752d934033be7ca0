package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/supervise"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func runsVerb(env Env) *cli.Command {
	return verb(env, "runs", "ID", "list the attempts at a task", "", []cli.Flag{hidden(str("state-type", "", "")), hidden(str("state-name", "", ""))},
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
				return x.emit(d.Runs)
			}
			printRuns(x.Stdout, d.Runs, time.Now())
			return nil
		})
}

func contextVerb(env Env) *cli.Command {
	return verb(env, "context", "ID", "print exactly the text that the task's agent starts from", "", nil, func(ctx context.Context, x *call) error {
		b, id, err := x.look(ctx)
		if err != nil {
			return err
		}
		defer b.Close()
		d, err := b.Show(ctx, id)
		if err != nil {
			return err
		}
		fmt.Fprint(x.Stdout, agents.Context(d, time.Now()))
		return nil
	})
}

func logVerb(env Env) *cli.Command {
	return verb(env, "log", "ID", "print the output of a task's agent", "Examples:\n  hermes kanban log t7\n  hermes kanban log t7.2 -f",
		[]cli.Flag{flag("follow", "f", "go on until the attempt has ended"), num("tail", "", "only the last so many bytes"), flag("raw", "", "as it came, control characters included")},
		runLog)
}

func runLog(ctx context.Context, x *call) error {
	a, err := x.args(1, 1, "a task or an attempt (t7 or t7.2)")
	if err != nil {
		return err
	}
	task, attempt, _ := strings.Cut(a[0], ".")
	tasks, err := x.taskIDs([]string{task})
	if err != nil {
		return err
	}
	b, err := x.board(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	d, err := b.Show(ctx, tasks[0])
	if err != nil {
		return err
	}
	if len(d.Runs) == 0 {
		return &api.Error{Code: api.CodeNotFound, Message: d.ID.String() + " was never started", Hint: "hermes kanban why " + d.ID.String()}
	}
	run := d.Runs[len(d.Runs)-1]
	if attempt != "" {
		i := slices.IndexFunc(d.Runs, func(r projections.RunRow) bool { return fmt.Sprint(r.Run.N) == attempt })
		if i < 0 {
			return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("%s has no attempt %s", d.ID, attempt)}
		}
		run = d.Runs[i]
	}
	home, err := x.home()
	if err != nil {
		return err
	}
	info, err := b.Info(ctx)
	if err != nil {
		return err
	}
	return x.printLog(ctx, b, supervise.RunDir(home.Paths(info.Slug).Dir, run.Run), run.Run)
}

// printLog copies a run's kept output, older part first.
func (x *call) printLog(ctx context.Context, b api.Board, dir string, run events.RunID) error {
	skip := int64(0)
	paths := []string{filepath.Join(dir, "log.1"), filepath.Join(dir, "log")}
	if n := int64(x.num("tail")); n > 0 {
		for _, p := range paths {
			if info, err := os.Stat(p); err == nil {
				skip += info.Size()
			}
		}
		skip = max(0, skip-n)
	}
	var at int64
	for _, p := range paths {
		f, err := os.Open(p)
		if errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		at, err = x.copyLog(f, &skip)
		f.Close()
		if err != nil {
			return err
		}
	}
	if !x.flag("follow") {
		return nil
	}
	for {
		d, err := b.Show(ctx, run.Task)
		if err != nil {
			return err
		}
		ended := !slices.ContainsFunc(d.Runs, func(r projections.RunRow) bool { return r.Run == run && r.Ended == 0 })
		if f, err := os.Open(paths[1]); err == nil {
			info, _ := f.Stat()
			if info.Size() < at { // rotated
				at = 0
			}
			f.Seek(at, io.SeekStart)
			n, err := x.copyLog(f, new(int64))
			f.Close()
			if err != nil {
				return err
			}
			at += n
		}
		if ended {
			return nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// copyLog prints output made safe for a terminal and returns how much it read.
func (x *call) copyLog(f io.Reader, skip *int64) (int64, error) {
	var n int64
	buf := make([]byte, 32<<10)
	for {
		k, err := f.Read(buf)
		n += int64(k)
		b := buf[:k]
		drop := min(*skip, int64(k))
		b, *skip = b[drop:], *skip-drop
		text := string(b)
		if !x.flag("raw") {
			text = printable(text)
		}
		if _, err := io.WriteString(x.Stdout, text); err != nil {
			return n, err
		}
		if err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}

func watchVerb(env Env) *cli.Command {
	return verb(env, "watch", "[ID]", "print events as they happen", "Example:\n  hermes kanban watch --type task.blocked --type run.ended",
		[]cli.Flag{list("type", "", "only these event types"), list("kinds", "", "the same"), list("assignee", "a", "only tasks of these agents"), str("tenant", "", "only this tenant"), hidden(str("interval", "", ""))},
		func(ctx context.Context, x *call) error { return x.watch(ctx, false) })
}

func tailVerb(env Env) *cli.Command {
	return verb(env, "tail", "ID", "print a task's events from the start, and go on", "", []cli.Flag{list("type", "", "only these event types"), hidden(str("interval", "", ""))},
		func(ctx context.Context, x *call) error { return x.watch(ctx, true) })
}

func (x *call) watch(ctx context.Context, fromStart bool) error {
	a, err := x.args(0, 1, "at most one task")
	if err != nil {
		return err
	}
	tasks, err := x.taskIDs(a)
	if err != nil {
		return err
	}
	b, err := x.board(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	info, err := b.Info(ctx)
	if err != nil {
		return err
	}
	from := info.Head.Seq + 1
	if fromStart {
		from = 1
	}
	types := append(x.list("type"), x.list("kinds")...)
	agentsWanted := x.list("assignee")
	return b.Follow(ctx, from, func(e events.Entry) error {
		r, err := events.Decode(e.Record)
		if err != nil {
			return err
		}
		switch {
		case len(tasks) > 0 && r.Task != tasks[0],
			len(types) > 0 && !slices.Contains(types, string(r.Data.Type())),
			x.isSet("tenant") && r.Tenant != x.str("tenant"):
			return nil
		case len(agentsWanted) > 0:
			d, err := b.Show(ctx, r.Task)
			if err != nil || !slices.Contains(agentsWanted, d.Assignee) {
				return nil
			}
		}
		return x.printEvent(e, r)
	})
}

// printEvent prints one record as a line, or as it is stored.
func (x *call) printEvent(e events.Entry, r events.Record) error {
	if x.json() {
		return x.printRecord(e)
	}
	entry := projections.Entry{Record: r}
	if e.Text != nil {
		text, err := events.DecodeText(e.Text)
		if err != nil {
			return err
		}
		entry.Fields = &text.Fields
	}
	w := projections.Words(entry)
	_, err := fmt.Fprintf(x.Stdout, "%s  %d  %s  %s\n", r.Time.Time().Local().Format("15:04:05"), r.Seq, line(w.Who), line(w.What))
	return err
}

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
	for _, f := range found {
		fmt.Fprintf(x.Stdout, "%-9s %-16s %s\n", f.Severity, f.Kind, line(f.Detail))
		if f.Next != "" {
			fmt.Fprintf(x.Stdout, "          %s\n", f.Next)
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
