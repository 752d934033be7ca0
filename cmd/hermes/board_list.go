package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func boardListVerb(env Env) *cli.Command {
	return verb(env, "list,ls", "", "list the boards and how each is", "", []cli.Flag{flag("all", "", "also the archived ones")}, runBoardList)
}

// boardRow is one line of the list of boards.
type boardRow struct {
	Board    string                     `json:"board"`
	ID       events.BoardID             `json:"id,omitzero"` // zero = not known
	Current  bool                       `json:"current"`
	State    registry.State             `json:"state"`
	PID      int                        `json:"pid,omitzero"` // of the process that holds it
	Problem  *registry.QuarantinedError `json:"problem,omitzero"`
	Error    *failure                   `json:"error,omitzero"` // why it could not be opened, if it is not quarantined
	Title    string                     `json:"title"`
	Tasks    int                        `json:"tasks"` // open ones
	Running  int                        `json:"running"`
	NeedsYou int                        `json:"needs_you"`
	Bytes    int64                      `json:"bytes"`
	Archived events.Time                `json:"archived,omitzero"`
	Dir      string                     `json:"dir,omitzero"`
}

func runBoardList(ctx context.Context, x *call) error {
	if _, err := x.args(0, 0, "no arguments"); err != nil {
		return err
	}
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	rows, err := x.boardRows(ctx, home)
	if err != nil {
		return err
	}
	switch {
	case x.json():
		return x.emit(rows)
	case x.flag("quiet"):
		for _, r := range rows {
			fmt.Fprintln(x.Stdout, r.Board)
		}
		return nil
	case len(rows) == 0:
		x.say("there is no board; make one: hermes board create NAME")
		return nil
	}
	printBoardRows(x, rows)
	return nil
}

func (x *call) boardRows(ctx context.Context, home *registry.Home) ([]boardRow, error) {
	current, err := x.currentBoard(home)
	if err != nil {
		return nil, err
	}
	rows := []boardRow{}
	err = x.survey(ctx, home, func(f boardFound) error {
		r := rowOf(f.entry)
		r.Current = f.entry.Slug == current
		switch {
		case f.board != nil:
			stats, err := f.board.Stats(ctx)
			if err != nil {
				return err
			}
			r.Title, r.Running, r.NeedsYou, r.Bytes = f.info.Title, stats.OpenRuns, stats.NeedsYou, f.info.Bytes
			r.Tasks = openTasks(stats)
		case r.Problem == nil:
			why := explainError(f.err)
			r.Error = &why
		}
		rows = append(rows, r)
		return nil
	})
	if err != nil || !x.flag("all") {
		return rows, err
	}
	entries, err := x.visible(ctx, home)
	for _, e := range entries {
		if e.State == registry.Archived {
			rows = append(rows, rowOf(e))
		}
	}
	return rows, err
}

func rowOf(e registry.Entry) boardRow {
	r := boardRow{Board: e.Slug, ID: e.Board, State: e.State, Problem: e.Quarantine, Bytes: e.Bytes, Archived: e.Archived, Dir: e.Dir}
	if e.Holder != nil {
		r.PID = e.Holder.PID
	}
	return r
}

// openTasks counts the tasks that are neither done nor archived.
func openTasks(s projections.Stats) int {
	n := s.Tasks
	for _, c := range s.ByStatus {
		if c.Status == events.Done || c.Status == events.Archived {
			n -= c.Count
		}
	}
	return n
}

func printBoardRows(x *call, rows []boardRow) {
	out := [][]string{{"", "BOARD", "STATE", "OPEN", "RUNNING", "NEEDS YOU", "SIZE", "TITLE"}}
	for _, r := range rows {
		mark := ""
		if r.Current {
			mark = "*"
		}
		row := []string{mark, r.Board, r.state(), "–", "–", "–", size(r.Bytes), line(r.Title)}
		if r.Problem == nil && r.Error == nil && r.Archived == 0 {
			row[3], row[4], row[5] = fmt.Sprint(r.Tasks), fmt.Sprint(r.Running), fmt.Sprint(r.NeedsYou)
		}
		out = append(out, row)
	}
	table(x.Stdout, x.Width, out)
	for _, r := range rows {
		switch {
		case r.Problem != nil:
			x.say("%s", printable(r.Problem.Error()))
			if r.Problem.Hint != "" {
				x.say("  %s", printable(r.Problem.Hint))
			}
		case r.Error != nil:
			x.say("%s: %s", r.Board, printable(r.Error.Message))
		}
	}
}

func (r boardRow) state() string {
	switch {
	case r.State == registry.InUse && r.PID != 0:
		return fmt.Sprintf("held by %d", r.PID)
	case r.Problem != nil:
		return fmt.Sprintf("quarantined (%s)", r.Problem.Problem)
	case r.Archived != 0:
		return "archived " + r.Archived.Time().Local().Format("2006-01-02")
	case r.Error != nil:
		return "cannot be opened"
	}
	return string(r.State)
}

func boardShowVerb(env Env) *cli.Command {
	return verb(env, "show,current", "[BOARD]", "show everything about a board", "", nil, runBoardShow)
}

func runBoardShow(ctx context.Context, x *call) error {
	if err := x.named(0); err != nil {
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
	if x.json() {
		return x.emit(info)
	}
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	stats, err := b.Stats(ctx)
	if err != nil {
		return err
	}
	policy, at, err := b.Policy(ctx)
	if err != nil {
		return err
	}
	x.printInfo(info, stats, policy, at, home.Paths(info.Slug).Dir)
	return nil
}

func (x *call) printInfo(info api.Info, stats projections.Stats, policy events.Policy, at uint64, dir string) {
	row := func(name, format string, a ...any) {
		fmt.Fprintf(x.Stdout, "  %-12s %s\n", name, line(fmt.Sprintf(format, a...)))
	}
	fmt.Fprintln(x.Stdout, headLine(info, stats, policy))
	row("title", "%s", dash(info.Title))
	row("id", "%s", info.Board)
	row("made", "%s", info.Created.Time().Local().Format("2006-01-02 15:04:05 MST"))
	row("folder", "%s", dir)
	row("log", "%d events, root %s, signed up to %d", info.Head.Seq, brief(info.Head.Root), info.Signed)
	quota := ""
	if info.MaxBytes > 0 {
		quota = " of " + size(info.MaxBytes)
	}
	row("file", "%s%s", size(info.Bytes), quota)
	if info.Intake != "" {
		row("new work", "refused: %s", info.Intake)
	}
	row("tasks", "%d, %d of them open", stats.Tasks, openTasks(stats))
	row("runs", "%d, %d of them open, %s in all", stats.Runs, info.OpenRuns, money(stats.CostMicros, policy.Currency))
	row("policy", "of event %d; hermes board policy show %s", at, info.Slug)
	if info.Owner.Socket != "" || info.Owner.PID != os.Getpid() {
		row("held by", "process %d, hermes %s, for %s %s", info.Owner.PID, info.Owner.Version, ago(time.Now(), info.Owner.Started), info.Owner.Socket)
	} else {
		row("held by", "nobody beyond this call")
	}
	if d := info.Dispatcher; d != nil {
		row("dispatcher", "up %s, %d of %d slots free", ago(time.Now(), d.Since), d.Free, d.Slots)
	} else {
		row("dispatcher", "none; start one: hermes gateway start")
	}
}

// brief is a digest as people compare it.
func brief(d events.Digest) string { return d.String()[:8] }
