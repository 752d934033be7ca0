package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func createVerb(env Env) *cli.Command {
	return verb(env, "create,new,add", "TITLE", "create a task", `
Examples:
  hermes kanban create "Collect prices" --assignee researcher --body-file task.md
  hermes kanban create "Write report" --assignee writer --parent t3 --parent t4:any
  hermes kanban create "Idea" --triage
  hermes kanban create "Nightly scan" --at 22:00 --idempotency-key scan-2026-11-17

A parent releases the task when it is done with verdict pass; with :any when it
is done at all. The same idempotency key gives the same task, once.`,
		[]cli.Flag{
			str("body", "", "what is to be done"),
			str("body-file", "", "read the body from a file; - is standard input"),
			str("assignee", "a", "the agent that is to do it"),
			list("parent", "", "wait for this task; again for several"),
			str("tenant", "", "tenant: a filter inside the board, not a boundary"),
			num("priority", "", "higher goes first (default 0)"),
			str("workspace", "w", "scratch (default), dir:/path or repo:/path[@base]"),
			str("branch", "", "repo: the branch to hand back"),
			flag("triage", "", "a rough idea, not to be worked on yet"),
			str("at", "", "not before this time"),
			str("idempotency-key", "", "the same key creates one task only"),
			str("max-runtime", "", "stop an attempt after so long (90s, 30m, 2h, 1d)"),
			num("max-retries", "", "failures allowed before a person is asked"),
			str("reviewer", "", "the agent that reviews it"),
			list("skill", "", "a skill for the agent; again for several"),
			str("model", "m", "the model to ask for"),
			str("initial-status", "", "running (the usual way) or blocked"),
			hidden(str("created-by", "", "")), hidden(str("provider", "", "")), hidden(str("project", "", "")),
			hidden(str("completion-contract", "", "")), hidden(flag("goal", "", "")), hidden(num("goal-max-turns", "", "")),
			hidden(str("session", "", "")),
		}, runCreate)
}

// unsupported refuses flags of the Python system that would be a promise here.
func (x *call) unsupported(why map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(why)) {
		if x.isSet(name) {
			return &usageError{msg: "--" + name + " has no meaning here", hint: why[name]}
		}
	}
	return nil
}

func runCreate(ctx context.Context, x *call) error {
	if err := x.unsupported(map[string]string{
		"goal": "let a reviewer judge the work: --reviewer AGENT", "goal-max-turns": "limit an attempt: --max-runtime 2h",
		"completion-contract": "let a reviewer judge the work: --reviewer AGENT", "provider": "the model endpoint belongs to the agent's configuration",
		"created-by": "who created a task is who ran the command; set HERMES_USER", "project": "name the repository: --workspace repo:/path",
		"session": "tasks do not belong to chat sessions here",
	}); err != nil {
		return err
	}
	a, err := x.args(1, 1, "a title (in quotes)")
	if err != nil {
		return err
	}
	task, err := x.newTask(a[0])
	if err != nil {
		return err
	}
	b, err := x.boardToChange(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	info, err := b.Info(ctx)
	if err != nil {
		return err
	}
	id := owner.NewCommandID()
	if key := x.str("idempotency-key"); key != "" {
		id = events.ForeignCommandID(info.Board, "cli", key)
	}
	res, err := b.Do(ctx, x.principal(), id, boards.CreateTasks{Tasks: []boards.NewTask{task}})
	if err != nil {
		return keyUsed(err, x.str("idempotency-key"))
	}
	return x.created(ctx, b, info, res.Tasks)
}

// keyUsed says in the words of a person that a key has made something else before.
func keyUsed(err error, key string) error {
	var rej *boards.Rejection
	if errors.As(err, &rej) && rej.Code == boards.CodeMismatch {
		return &boards.Rejection{Code: rej.Code, Detail: fmt.Sprintf("the key %q was used before, with other contents", key),
			Hint: "use another key; the same contents under the same key give what was made then"}
	}
	return err
}

// newTask reads the flags of create.
func (x *call) newTask(title string) (boards.NewTask, error) {
	t := boards.NewTask{
		Title: title, Body: x.str("body"), Assignee: x.str("assignee"), Reviewer: x.str("reviewer"), Tenant: x.tenant(),
		Triage: x.flag("triage"), Model: x.str("model"), Skills: x.list("skill"),
	}
	var err error
	if t.Priority, err = x.priority(); err != nil {
		return t, err
	}
	if t.MaxRetries, err = x.retries(); err != nil {
		return t, err
	}
	switch s := x.str("initial-status"); s {
	case "", "running":
	case "blocked":
		t.Blocked = true
	default:
		return t, usagef("--initial-status %q is neither running nor blocked", s)
	}
	if x.isSet("body-file") {
		if t.Body, err = x.body(); err != nil {
			return t, err
		}
	}
	for _, p := range x.list("parent") {
		parent, err := x.parseParent(p)
		if err != nil {
			return t, err
		}
		t.Parents = append(t.Parents, parent)
	}
	ws, err := x.workspace()
	if err == nil && !x.isSet("workspace") && x.str("branch") == "" {
		ws, err = x.usualWorkspace()
	}
	if err != nil {
		return t, err
	}
	if ws.Branch = x.str("branch"); ws.Branch != "" && ws.Kind != events.Repo {
		return t, usagef("--branch goes with --workspace repo:/path only")
	}
	t.Workspace = ws
	if at := x.str("at"); at != "" {
		if t.StartAt, err = parseWhen(at, x.asked(), 1); err != nil {
			return t, err
		}
	}
	long, err := x.duration("max-runtime")
	t.MaxRuntimeMS = long.Milliseconds()
	return t, err
}

// priority reads the flag of that name; 0 if it is not given.
func (x *call) priority() (int32, error) {
	n := x.num("priority")
	if n < math.MinInt32 || n > math.MaxInt32 {
		return 0, usagef("--priority %d is out of range", n)
	}
	return int32(n), nil
}

// retries reads --max-retries; 0 if it is not given.
func (x *call) retries() (uint32, error) {
	n := x.num("max-retries")
	if n < 0 || n > math.MaxInt32 || n == 0 && x.isSet("max-retries") {
		return 0, usagef("--max-retries wants a number from 1 on, not %d", n)
	}
	return uint32(n), nil
}

func (x *call) tenant() string {
	if t := x.str("tenant"); t != "" || x.isSet("tenant") {
		return t
	}
	if t := x.getenv("TENANT"); t != "" {
		return t
	}
	if p := x.quietProfile(); p != nil {
		return p.Config.Tenant
	}
	return ""
}

// gatewayProfileOf is the profile whose gateway is to hold a board.
func (x *call) gatewayProfileOf(slug string) string {
	p := x.quietProfile()
	switch {
	case p == nil:
		return profile.Default
	case !p.MayOpenAll():
		return p.Name
	}
	return profile.Of(p.Home, slug, p.Name)
}

// quietProfile is the profile of an invocation, for its defaults; nil if it
// cannot be read, which whoever opens a board says.
func (x *call) quietProfile() *profile.Profile {
	dir, err := homeDir(x.Env, x.c.String("home"))
	if err != nil {
		return nil
	}
	p, err := x.profileIn(dir)
	if err != nil {
		return nil
	}
	return p
}

// usualWorkspace is the profile's folder, if it has one, and scratch otherwise.
func (x *call) usualWorkspace() (events.Workspace, error) {
	p := x.quietProfile()
	if p == nil || p.Config.Terminal.Cwd == "" {
		return worker.ParseWorkspace("")
	}
	cwd := p.Config.Terminal.Cwd
	if info, err := os.Stat(cwd); err != nil || !info.IsDir() {
		return events.Workspace{}, &usageError{msg: fmt.Sprintf("terminal.cwd of profile %s is no folder: %s", p.Name, cwd), hint: "make it: mkdir -p " + shellQuote(cwd) + "; or say --workspace scratch"}
	}
	return worker.ParseWorkspace("dir:" + cwd)
}

// workspace reads the flag of that name; a person may write dir:. and means
// the folder they are in.
func (x *call) workspace() (events.Workspace, error) {
	s := x.str("workspace")
	if kind, path, ok := strings.Cut(s, ":"); ok && path != "" && !filepath.IsAbs(path) {
		s = kind + ":" + filepath.Join(x.Dir, path)
	}
	ws, err := worker.ParseWorkspace(s)
	if err != nil {
		return ws, usagef("%v", err)
	}
	return ws, nil
}

func (x *call) parseParent(s string) (boards.Parent, error) {
	id, needs, ok := strings.Cut(s, ":")
	ids, err := x.taskIDs([]string{id})
	if err != nil {
		return boards.Parent{}, err
	}
	p := boards.Parent{Task: ids[0], Needs: events.NeedsPass}
	if ok {
		if err := p.Needs.UnmarshalText([]byte(needs)); err != nil {
			return p, usagef("%v", err)
		}
	}
	return p, nil
}

// body reads --body-file, which excludes --body.
func (x *call) body() (string, error) {
	if x.isSet("body") {
		return "", usagef("--body and --body-file exclude each other")
	}
	return x.readFile(x.str("body-file"), boards.MaxBody)
}

// readFile reads a text of bounded size; "-" is standard input.
func (x *call) readFile(name string, most int64) (string, error) {
	r := x.Stdin
	if name != "-" {
		f, err := x.openFile(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", name, err)
	case int64(len(b)) > most:
		return "", &usageError{msg: fmt.Sprintf("%s is larger than %s", name, size(most)), hint: "hand it over as a file: hermes kanban attach ID PATH"}
	case !utf8.Valid(b):
		return "", &usageError{msg: name + " is not UTF-8 text", hint: "hand it over as a file: hermes kanban attach ID PATH"}
	}
	return string(b), nil
}

// openFile opens a file that somebody named.
func (x *call) openFile(name string) (*os.File, error) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(x.Dir, path)
	}
	if x.foreign(path) {
		return nil, usagef("there is no file %s", name)
	}
	info, err := os.Stat(path) // first: opening a pipe would wait
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, usagef("there is no file %s", name)
	case err == nil && !info.Mode().IsRegular():
		return nil, usagef("%s is not a file", name)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, usagef("%s may not be read", name)
	}
	return f, err
}

// created prints new tasks and says if nothing will run them.
func (x *call) created(ctx context.Context, b api.Board, info api.Info, made []events.TaskID) error {
	cards, err := b.List(ctx, projections.ListQuery{Tasks: made, Archived: true, Holds: true, Sort: "created"})
	if err != nil {
		return err
	}
	switch {
	case x.json() && len(cards) == 1:
		err = x.emit(cards[0])
	case x.json():
		err = x.emit(cards)
	default:
		for _, c := range cards {
			if x.flag("quiet") {
				fmt.Fprintln(x.Stdout, c.ID)
				continue
			}
			text := fmt.Sprintf("%s  %s", c.ID, c.Status)
			if c.Assignee != "" {
				text += "  " + c.Assignee
			}
			if c.Hold != nil && len(c.Hold.Tasks) > 0 {
				text += "  waits for " + ids(c.Hold.Tasks)
			}
			fmt.Fprintln(x.Stdout, text)
		}
	}
	x.sayNoDispatcher(info)
	return err
}

// sayNoDispatcher warns where nothing will start any run.
func (x *call) sayNoDispatcher(info api.Info) {
	if info.Dispatcher == nil && !x.flag("quiet") {
		hint := "hermes gateway start"
		if name := x.gatewayProfileOf(info.Slug); name != profile.Default {
			hint = "hermes -p " + name + " gateway start"
		}
		x.say("no dispatcher holds this board; start one: %s", hint)
	}
}
