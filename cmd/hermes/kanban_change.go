package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

func editVerb(env Env) *cli.Command {
	return verb(env, "edit", "ID", "change a task's text and settings", `
Example:
  hermes kanban edit t7 --title "Collect prices, EU" --priority 5`,
		[]cli.Flag{
			str("title", "", "new title"), str("body", "", "new body"), str("body-file", "", "new body from a file; - is standard input"),
			num("priority", "", "new priority"), str("assignee", "a", "new assignee"), str("tenant", "", "new tenant"), str("model", "m", "new model"),
			str("workspace", "w", "scratch, dir:/path or repo:/path[@base]"), str("max-runtime", "", "stop an attempt after so long"),
			num("max-retries", "", "failures allowed"), str("reviewer", "", "the agent that reviews it"), list("skill", "", "skills; replaces all"),
			hidden(str("result", "", "")), hidden(str("summary", "", "")), hidden(str("metadata", "", "")),
		}, runEdit)
}

func runEdit(ctx context.Context, x *call) error {
	a, err := x.args(1, 1, "a task")
	if err != nil {
		return err
	}
	if err := x.unsupported(map[string]string{"result": "history is not rewritten; add to it: hermes kanban comment ID TEXT",
		"summary": "history is not rewritten; add to it: hermes kanban comment ID TEXT", "metadata": "history is not rewritten; add to it: hermes kanban comment ID TEXT"}); err != nil {
		return err
	}
	ids, err := x.taskIDs(a)
	if err != nil {
		return err
	}
	commands, err := x.edits(ids[0])
	if err != nil {
		return err
	}
	if len(commands) == 0 {
		return &usageError{msg: "nothing to change", hint: "hermes kanban edit --help lists what can be"}
	}
	b, err := x.boardToChange(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	var last boards.Result
	for _, c := range commands {
		if last, err = x.do(ctx, b, c); err != nil {
			return err
		}
	}
	if x.json() {
		return x.emit(last)
	}
	fmt.Fprintln(x.Stdout, ids[0], "changed")
	return nil
}

// edits turns the flags given into commands.
func (x *call) edits(t events.TaskID) ([]boards.Command, error) {
	var out []boards.Command
	e := boards.EditTask{Task: t}
	text := false
	if x.isSet("title") {
		s := x.str("title")
		e.Title, text = &s, true
	}
	if x.isSet("body") {
		s := x.str("body")
		e.Body, text = &s, true
	}
	if x.isSet("body-file") {
		s, err := x.readFile(x.str("body-file"), 200<<10)
		if err != nil {
			return nil, err
		}
		e.Body, text = &s, true
	}
	if x.isSet("workspace") {
		ws, err := worker.ParseWorkspace(x.absWorkspace(x.str("workspace")))
		if err != nil {
			return nil, usagef("%v", err)
		}
		e.Workspace, text = &ws, true
	}
	if x.isSet("max-runtime") {
		d, err := parseDuration(x.str("max-runtime"))
		if err != nil {
			return nil, err
		}
		ms := d.Milliseconds()
		e.MaxRuntimeMS, text = &ms, true
	}
	if x.isSet("max-retries") {
		n := uint32(max(x.num("max-retries"), 0))
		e.MaxRetries, text = &n, true
	}
	if x.isSet("reviewer") {
		s := x.str("reviewer")
		e.Reviewer, text = &s, true
	}
	if x.isSet("skill") {
		s := x.list("skill")
		e.Skills, text = &s, true
	}
	if text {
		out = append(out, e)
	}
	if x.isSet("priority") {
		out = append(out, boards.PrioritizeTask{Task: t, Priority: int32(x.num("priority"))})
	}
	if x.isSet("assignee") {
		out = append(out, boards.AssignTask{Task: t, Assignee: nobody(x.str("assignee"))})
	}
	if x.isSet("tenant") {
		out = append(out, boards.SetTenant{Task: t, Tenant: x.str("tenant")})
	}
	if x.isSet("model") {
		out = append(out, boards.SetModel{Task: t, Model: nobody(x.str("model"))})
	}
	return out, nil
}

// nobody reads the word none as empty.
func nobody(s string) string {
	if s == "none" {
		return ""
	}
	return s
}

func assignVerb(env Env) *cli.Command {
	return verb(env, "assign", "ID AGENT|none", "say who is to do a task", "Example:\n  hermes kanban assign t7 researcher",
		[]cli.Flag{flag("reclaim", "", "stop the run of a running task first"), str("reason", "", "why")}, runAssign)
}

func reassignVerb(env Env) *cli.Command {
	return verb(env, "reassign", "ID AGENT|none", "the same as assign", "", []cli.Flag{
		flag("reclaim", "", "stop the run of a running task first"), str("reason", "", "why")}, runAssign)
}

func runAssign(ctx context.Context, x *call) error {
	a, err := x.args(2, 2, "a task and an agent (or none)")
	if err != nil {
		return err
	}
	return x.each(ctx, a[:1], func(t events.TaskID) boards.Command {
		return boards.AssignTask{Task: t, Assignee: nobody(a[1]), Reclaim: x.flag("reclaim"), Reason: x.str("reason")}
	}, "assigned to "+a[1])
}

func prioritizeVerb(env Env) *cli.Command {
	return verb(env, "prioritize", "ID… PRIORITY", "set the priority; higher goes first", "Example:\n  hermes kanban prioritize t7 t8 5", nil,
		func(ctx context.Context, x *call) error {
			a, err := x.args(2, -1, "tasks and a priority")
			if err != nil {
				return err
			}
			n, err := strconv.ParseInt(a[len(a)-1], 10, 32)
			if err != nil {
				return usagef("%q is not a priority (want a number)", a[len(a)-1])
			}
			return x.each(ctx, a[:len(a)-1], func(t events.TaskID) boards.Command {
				return boards.PrioritizeTask{Task: t, Priority: int32(n)}
			}, fmt.Sprintf("has priority %d", n))
		})
}

func setModelVerb(env Env) *cli.Command {
	return verb(env, "set-model", "ID [MODEL|none]", "set the model the next attempt asks for", "",
		[]cli.Flag{hidden(str("provider", "", ""))},
		func(ctx context.Context, x *call) error {
			a, err := x.args(1, 2, "a task and a model")
			if err != nil {
				return err
			}
			if err := x.unsupported(map[string]string{"provider": "the model endpoint belongs to the agent's configuration"}); err != nil {
				return err
			}
			model := ""
			if len(a) == 2 {
				model = nobody(a[1])
			}
			return x.each(ctx, a[:1], func(t events.TaskID) boards.Command { return boards.SetModel{Task: t, Model: model} }, "asks for model "+dash(model))
		})
}

func linkVerb(env Env) *cli.Command {
	return verb(env, "link", "PARENT CHILD", "make a task wait for another", "Example:\n  hermes kanban link t3 t7",
		[]cli.Flag{str("needs", "", "pass (default) or any: which verdict of the parent releases the child")}, runLink)
}

func runLink(ctx context.Context, x *call) error {
	a, err := x.args(2, 2, "a parent and a child")
	if err != nil {
		return err
	}
	needs := events.NeedsPass
	if s := x.str("needs"); s != "" {
		if err := needs.UnmarshalText([]byte(s)); err != nil {
			return usagef("%v", err)
		}
	}
	b, t, err := x.on(ctx, a)
	if err != nil {
		return err
	}
	defer b.Close()
	return x.eachOn(ctx, b, t[1:], func(child events.TaskID) boards.Command {
		return boards.LinkTasks{Parent: t[0], Child: child, Needs: needs}
	}, "waits for "+t[0].String())
}

func unlinkVerb(env Env) *cli.Command {
	return verb(env, "unlink", "PARENT CHILD", "undo link", "", nil, func(ctx context.Context, x *call) error {
		a, err := x.args(2, 2, "a parent and a child")
		if err != nil {
			return err
		}
		b, t, err := x.on(ctx, a)
		if err != nil {
			return err
		}
		defer b.Close()
		return x.eachOn(ctx, b, t[1:], func(child events.TaskID) boards.Command {
			return boards.UnlinkTasks{Parent: t[0], Child: child}
		}, "no longer waits for "+t[0].String())
	})
}
