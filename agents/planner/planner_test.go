package planner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
	"github.com/hermesboard/hermes/sandbox/sandboxtest/executable"
)

var kai = boards.Principal{Actor: events.Actor{Kind: events.Human, Name: "kai", Via: "cli"}}

// board is the real rules with an idea in triage.
type board struct {
	*boardstest.Board
	view *projections.View
	seen int
}

func newBoard(t *testing.T) *board {
	b := &board{Board: boardstest.New(t), view: projections.NewView()}
	if _, err := b.Do(t.Context(), kai, events.CommandID{}, boards.CreateTasks{Tasks: []boards.NewTask{{Title: "an idea", Body: "about prices", Triage: true}}}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *board) Do(_ context.Context, by boards.Principal, _ events.CommandID, c boards.Command) (boards.Result, error) {
	recs, err := b.Board.Do(by, c)
	for ; b.seen < len(b.Records); b.seen++ {
		b.view.Apply(&b.Records[b.seen])
	}
	return boards.ResultOf(recs), err
}

func (b *board) Show(_ context.Context, task events.TaskID) (projections.Detail, error) {
	d, ok := b.view.Detail(task)
	if !ok {
		return d, &boards.Rejection{Code: boards.CodeNotFound}
	}
	var history []projections.Entry
	for _, r := range b.Records {
		if r.Task == task {
			history = append(history, projections.Entry{Record: r, Fields: &events.Fields{Title: "an idea", Body: "about prices"}})
		}
	}
	projections.FillDetail(&d, history, nil)
	return d, nil
}

func (b *board) Why(_ context.Context, task events.TaskID) (projections.Why, error) {
	return projections.Why{Task: task, Hold: projections.Hold{Until: b.view.Task(task).PlanRetryAt}}, nil
}

// planner makes a planner whose program is a shell script.
func planner(t *testing.T, b *board, script string) *Planner {
	path := filepath.Join(t.TempDir(), "plan.sh")
	executable.Write(t, path, []byte("#!/bin/sh\n"+script))
	return &Planner{
		Config: Config{Command: []string{path}, Timeout: "2s"}, Board: b, Slug: "acme",
		Agents: func() []Agent { return []Agent{{Name: "coder"}, {Name: "writer"}} },
		Getenv: os.Getenv, NewID: func() events.CommandID { return events.CommandID{} },
	}
}

func TestSpecify(t *testing.T) {
	b := newBoard(t)
	p := planner(t, b, `cat > "$0.in"; echo '{"title":"Collect prices","body":"of 20 shops","assignee":"coder"}'`)
	res, err := p.Plan(t.Context(), kai, Specify, 1)
	if err != nil || res.Status != events.Ready {
		t.Fatalf("got %v, %v, want ready", res.Status, err)
	}
	in, err := os.ReadFile(p.Config.Command[0] + ".in")
	if err != nil || !strings.Contains(string(in), `"title":"an idea"`) || !strings.Contains(string(in), `"name":"coder"`) {
		t.Errorf("the program read %s (%v)", in, err)
	}
}

func TestDecompose(t *testing.T) {
	b := newBoard(t)
	p := planner(t, b, `echo '{"assignee":"writer","tasks":[{"title":"a","assignee":"coder"},{"title":"b","assignee":"coder","parents":[1]}]}'`)
	res, err := p.Plan(t.Context(), kai, Decompose, 1)
	if err != nil || len(res.Tasks) != 2 {
		t.Fatalf("got %v, %v, want two tasks", res.Tasks, err)
	}
	if got := b.State.Status(1); got != events.Todo {
		t.Errorf("the idea is %v, want todo", got)
	}
	if got := b.State.Status(3); got != events.Todo {
		t.Errorf("the second part is %v, want todo", got)
	}
	if _, err := p.Plan(t.Context(), kai, Decompose, 1); !errors.Is(err, &boards.Rejection{Code: boards.CodeWrongStatus}) {
		t.Errorf("again: got %v, want wrong_status", err)
	}
}

// TestFailures: each is on record, and the idea waits before it is tried again.
func TestFailures(t *testing.T) {
	for name, x := range map[string]struct {
		kind         Kind
		script, want string
	}{
		"exit":          {Specify, `echo no key >&2; exit 3`, "exit status 3: no key"},
		"not JSON":      {Specify, `echo hello`, "not what was asked for"},
		"unknown":       {Specify, `echo '{"title":"a","shell":"rm"}'`, "not what was asked for"},
		"empty":         {Specify, `echo '{}'`, "wants a title or a body"},
		"no agent":      {Specify, `echo '{"title":"a","assignee":"root"}'`, `does not exist: "root"`},
		"bad title":     {Specify, `printf '{"title":"a\\u0000b"}'`, "title"},
		"no tasks":      {Decompose, `echo '{"tasks":[]}'`, "1 to 32 tasks"},
		"cycle":         {Decompose, `echo '{"tasks":[{"title":"a","parents":[2]},{"title":"b","parents":[1]}]}'`, "not an earlier one"},
		"itself":        {Decompose, `echo '{"tasks":[{"title":"a","parents":[1]}]}'`, "not an earlier one"},
		"unknown agent": {Decompose, `echo '{"tasks":[{"title":"a","assignee":"nobody"}]}'`, `does not exist: "nobody"`},
		"too long":      {Specify, `head -c 2000000 /dev/zero`, "longer than"},
		"silent":        {Specify, `exec sleep 30`, "no answer within 2s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBoard(t)
			_, err := planner(t, b, x.script).Plan(t.Context(), kai, x.kind, 1)
			var failed *FailedError
			if !errors.As(err, &failed) || !strings.Contains(err.Error(), x.want) {
				t.Fatalf("got %v, want a failure with %q", err, x.want)
			}
			last := b.Records[len(b.Records)-1]
			if p, ok := last.Data.(events.PlanFailed); !ok || p.Attempt != 1 || p.RetryAt == 0 {
				t.Errorf("the record is %#v, want the first failed plan", last.Data)
			}
		})
	}
}

func TestGivesUp(t *testing.T) {
	b := newBoard(t)
	p := planner(t, b, `echo x >> "$0.calls"; exit 1`)
	for range 3 {
		p.Plan(t.Context(), kai, Specify, 1)
		b.Now = b.Now.Add(time.Hour)
		b.view.Task(1).PlanRetryAt = 0 // the time has come
	}
	if got := b.State.Status(1); got != events.Blocked {
		t.Errorf("after three failures it is %v, want blocked", got)
	}
	p.Plan(t.Context(), kai, Specify, 1)
	if calls, _ := os.ReadFile(p.Config.Command[0] + ".calls"); len(calls) != 6 {
		t.Errorf("the program was started %d times, want 3", len(calls)/2)
	}
}

// TestCheapChecksFirst: the program is not started for what is refused anyway.
func TestCheapChecksFirst(t *testing.T) {
	b := newBoard(t)
	p := planner(t, b, `touch "$0.called"; exit 1`)
	p.Plan(t.Context(), kai, Specify, 1)
	if err := os.Remove(p.Config.Command[0] + ".called"); err != nil {
		t.Fatal(err)
	}
	b.view.Task(1).PlanRetryAt = events.TimeOf(time.Now().Add(time.Hour))
	refused := func(name string, p *Planner, task events.TaskID) {
		t.Helper()
		var rej *boards.Rejection
		if _, err := p.Plan(t.Context(), kai, Specify, task); !errors.As(err, &rej) {
			t.Errorf("%s: got %v, want a rejection", name, err)
		}
	}
	refused("too early", p, 1)
	refused("unknown", p, 9)
	b.view.Task(1).PlanRetryAt = 0
	lonely := *p
	lonely.Agents = func() []Agent { return nil }
	refused("no agents", &lonely, 1)
	if _, err := os.Stat(p.Config.Command[0] + ".called"); err == nil {
		t.Error("the program was started")
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); !errors.Is(err, ErrNone) {
		t.Errorf("without a file: got %v, want ErrNone", err)
	}
	for text, want := range map[string]string{
		"command: [plan]\ntimeout: 1m\n": "",
		"comand: [plan]\n":               "comand",
		"command: []\n":                  "command is missing",
		"command: [p]\nauto: specify\n":  "auto",
		"command: [p]\ntimeout: 2h\n":    "timeout",
	} {
		if err := os.WriteFile(filepath.Join(dir, ConfigFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(dir)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
