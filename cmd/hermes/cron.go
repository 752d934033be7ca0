package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/cron"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/events"
)

func cronCommand(env Env) *cli.Command {
	return noun(env, "cron", "tasks that are made again and again",
		verb(env, "add,create", "NAME SCHEDULE TITLE", "make a task at certain times", `
Examples:
  hermes cron add nightly "0 22 * * *" "Nightly scan" -b acme --assignee researcher
  hermes cron add weekly "30 7 * * mon" "Report of the week" --time-zone Europe/Berlin
  hermes cron add often "@every 90m" "Look at the inbox" --missed skip

SCHEDULE is minute, hour, day, month and weekday, or @hourly, @daily, @weekly,
@monthly, @yearly, @every 90m. Times of day are those of the wall clock, also
when that is put forward or back. --missed says what becomes of times at which
no gateway ran: skip, once (make up for the last one) or all (the last 24).

The entry is a file in the cron folder of the profile, and may be edited there.`,
			[]cli.Flag{
				str("time-zone", "", "IANA name, for example Europe/Berlin (default: the host's)"), str("missed", "", "skip, once (default) or all"),
				flag("replace", "", "although there is an entry of that name"), flag("paused", "", "make no tasks yet"),
				str("body", "", "what is to be done"), str("body-file", "", "read the body from a file; - is standard input"),
				str("assignee", "a", "the agent that is to do it"), str("reviewer", "", "the agent that reviews it"), str("tenant", "", "tenant"),
				num("priority", "", "higher goes first (default 0)"), str("workspace", "w", "scratch (default), dir:/path or repo:/path"),
				str("max-runtime", "", "stop an attempt after so long (30m, 2h)"), str("model", "m", "the model to ask for"), list("skill", "", "a skill for the agent; again for several"),
			}, asProfile(3, 3, "a name, a schedule and a title (both in quotes)", runCronAdd)),
		verb(env, "list,ls", "", "list the entries and when each is next", "", nil, asProfile(0, 0, "no arguments", runCronList)),
		verb(env, "rm,remove,delete", "NAME…", "remove entries; tasks that were made stay", "", nil, asProfile(1, -1, "at least one name", runCronRemove)),
		verb(env, "run", "NAME", "make the task of an entry now, whatever its schedule", "", nil, asProfile(1, 1, "a name", runCronRun)),
		verb(env, "pause", "NAME…", "make no tasks until resumed", "", nil, asProfile(1, -1, "at least one name", pauseCron(true))),
		verb(env, "resume", "NAME…", "go on from now; what was left out is not made up for", "", nil, asProfile(1, -1, "at least one name", pauseCron(false))),
	)
}

// cronDir is the cron folder of the profile that is meant.
func (x *visit) cronDir() string { return filepath.Join(x.me.Dir, "cron") }

func runCronAdd(ctx context.Context, x *visit) error {
	slug, err := x.boardMeant(ctx, x.house)
	if err != nil {
		return err
	}
	e := &cron.Entry{Name: x.words[0], Schedule: x.words[1], TimeZone: x.str("time-zone"), Missed: cron.Missed(x.str("missed")), Paused: x.flag("paused"), Board: slug}
	if e.Task, err = x.cronTask(x.words[2]); err != nil {
		return err
	}
	if err := e.Check(); err != nil {
		return &usageError{msg: err.Error(), hint: "hermes cron add --help"}
	}
	b, err := x.reach(ctx, x.house, slug) // a board that is not there is better missed now
	if err != nil {
		return err
	}
	b.Close()
	dir := x.cronDir()
	if names, err := cron.List(dir); err != nil {
		return err
	} else if slices.Contains(names, e.Name) && !x.flag("replace") {
		return &boards.Rejection{Code: boards.CodeAlready, Detail: "there is an entry " + e.Name + " already", Hint: "add --replace, or take another name"}
	}
	if err := errors.Join(cron.Save(dir, e), cron.SetLast(dir, e.Name, time.Now())); err != nil {
		return err
	}
	return x.printCron(dir, []string{e.Name})
}

// cronTask reads the flags about the task.
func (x *call) cronTask(title string) (t cron.Task, err error) {
	t = cron.Task{Title: title, Body: x.str("body"), Assignee: x.str("assignee"), Reviewer: x.str("reviewer"), Tenant: x.tenant(),
		Workspace: x.str("workspace"), MaxRuntime: x.str("max-runtime"), Model: x.str("model"), Skills: x.list("skill")}
	if t.Priority, err = x.priority(); err != nil {
		return t, err
	}
	if x.isSet("body-file") {
		if t.Body, err = x.body(); err != nil {
			return t, err
		}
	}
	if kind, path, ok := strings.Cut(t.Workspace, ":"); ok && path != "" && !filepath.IsAbs(path) { // of the folder they are in
		t.Workspace = kind + ":" + filepath.Join(x.Dir, path)
	}
	return t, nil
}

func runCronList(_ context.Context, x *visit) error {
	names, err := cron.List(x.cronDir())
	if err != nil {
		return err
	}
	return x.printCron(x.cronDir(), names)
}

// cronRow is an entry, as --json prints it.
type cronRow struct {
	cron.Entry `json:",inline"`
	Next       events.Time `json:"next,omitzero"`    // zero = never, or paused
	Last       events.Time `json:"last,omitzero"`    // up to when its ticks have been dealt with
	Problem    string      `json:"problem,omitzero"` // why it makes no tasks
}

// printCron prints entries by name, also those that cannot be read.
func (x *call) printCron(dir string, names []string) error {
	rows := []cronRow{}
	out := [][]string{{"NAME", "SCHEDULE", "BOARD", "NEXT", "TITLE"}}
	for _, name := range names {
		r := readCron(dir, name, time.Now())
		rows = append(rows, r)
		next := "paused"
		switch {
		case r.Problem != "":
			next = "never: " + line(r.Problem)
		case r.Next != 0:
			next = r.Next.Time().In(x.cronZone(r.TimeZone)).Format("2006-01-02 15:04 MST")
		}
		out = append(out, []string{name, dash(line(strings.TrimSpace(r.Schedule + " " + r.TimeZone))), dash(line(r.Board)), next, line(r.Task.Title)})
	}
	if x.json() {
		return x.emit(rows)
	}
	if len(rows) == 0 {
		x.say("there is no entry; hermes cron add --help")
		return nil
	}
	table(x.Stdout, x.Width, out)
	return nil
}

func readCron(dir, name string, now time.Time) cronRow {
	r := cronRow{Entry: cron.Entry{Name: name}}
	e, err := cron.Load(dir, name)
	if err != nil {
		r.Problem = err.Error()
		return r
	}
	r.Entry = *e
	last, ok := cron.Last(dir, name)
	if ok {
		r.Last = events.TimeOf(last)
	}
	if s, err := cron.ParseSchedule(e.Schedule, e.TimeZone); err == nil && !e.Paused {
		r.Next = events.TimeOf(s.Next(now))
	}
	return r
}

func (x *call) cronZone(name string) *time.Location {
	if loc, err := time.LoadLocation(name); err == nil && name != "" {
		return loc
	}
	here, _ := x.zone()
	return here
}

func runCronRemove(_ context.Context, x *visit) error {
	for _, name := range x.words {
		if err := cron.Remove(x.cronDir(), name); err != nil {
			return noCron(x.cronDir(), name, err)
		}
		x.say("%s is removed", name)
	}
	return nil
}

// noCron makes an answer of the error for an entry that is not there.
func noCron(dir, name string, err error) error {
	if !errors.Is(err, cron.ErrUnknown) {
		return err
	}
	names, _ := cron.List(dir)
	hint := suggest(name, names, "")
	if hint == "" {
		hint = "hermes cron list"
	}
	return &api.Error{Code: api.CodeNotFound, Message: "there is no entry " + line(name), Hint: hint}
}

func runCronRun(ctx context.Context, x *visit) error {
	e, err := cron.Load(x.cronDir(), x.words[0])
	if err != nil {
		return noCron(x.cronDir(), x.words[0], err)
	}
	c, err := e.Command()
	if err != nil {
		return err
	}
	b, err := x.reach(ctx, x.house, e.Board)
	if err != nil {
		return err
	}
	defer b.Close()
	info, err := b.Info(ctx)
	if err != nil {
		return err
	}
	res, err := b.Do(ctx, x.principal(), owner.NewCommandID(), c)
	if err != nil {
		return err
	}
	return x.created(ctx, b, info, res.Tasks)
}

// pauseCron pauses or resumes. A resumed entry goes on from now.
func pauseCron(paused bool) visiting {
	return func(_ context.Context, x *visit) error {
		dir := x.cronDir()
		for _, name := range x.words {
			e, err := cron.Load(dir, name)
			if err != nil {
				return noCron(dir, name, err)
			}
			if e.Paused == paused {
				return &boards.Rejection{Code: boards.CodeAlready, Detail: fmt.Sprintf("%s is %s already", name, map[bool]string{true: "paused", false: "running"}[paused])}
			}
			e.Paused = paused
			if err := cron.SetLast(dir, name, time.Now()); err != nil {
				return err
			}
			if err := cron.Save(dir, e); err != nil {
				return err
			}
		}
		return x.printCron(dir, x.words)
	}
}
