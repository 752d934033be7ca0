package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

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
	var done []string
	var last boards.Result
	for _, e := range commands {
		if last, err = x.do(ctx, b, e.command); err != nil && len(done) > 0 {
			return fmt.Errorf("changed the %s, but not the %s: %w", strings.Join(done, ", "), e.what, err)
		} else if err != nil {
			return err
		}
		done = append(done, e.what)
	}
	switch {
	case x.json():
		return x.emit([]outcome{{Task: ids[0], Status: last.Status}})
	case x.flag("quiet"):
		fmt.Fprintln(x.Stdout, ids[0])
	default:
		fmt.Fprintf(x.Stdout, "%s has a new %s\n", ids[0], strings.Join(done, ", "))
	}
	return nil
}

// edit is one of the commands that the flags of edit amount to.
type edit struct {
	what    string
	command boards.Command
}

// edits turns the flags given into commands, first those that may be refused
// for what the task is doing.
func (x *call) edits(t events.TaskID) ([]edit, error) {
	var out []edit
	if x.isSet("assignee") {
		out = append(out, edit{"assignee", boards.AssignTask{Task: t, Assignee: nobody(x.str("assignee"))}})
	}
	e, what, err := x.editTask(t)
	if err != nil {
		return nil, err
	}
	if what != nil {
		out = append(out, edit{strings.Join(what, ", "), e})
	}
	if x.isSet("priority") {
		n, err := x.priority()
		if err != nil {
			return nil, err
		}
		out = append(out, edit{"priority", boards.PrioritizeTask{Task: t, Priority: n}})
	}
	if x.isSet("tenant") {
		out = append(out, edit{"tenant", boards.SetTenant{Task: t, Tenant: x.str("tenant")}})
	}
	if x.isSet("model") {
		out = append(out, edit{"model", boards.SetModel{Task: t, Model: nobody(x.str("model"))}})
	}
	return out, nil
}

// editTask reads the flags that one command changes together, and names them.
func (x *call) editTask(t events.TaskID) (e boards.EditTask, what []string, err error) {
	e.Task = t
	for _, f := range []struct {
		name string
		to   **string
	}{{"title", &e.Title}, {"body", &e.Body}, {"reviewer", &e.Reviewer}} {
		if x.isSet(f.name) {
			s := x.str(f.name)
			*f.to, what = &s, append(what, f.name)
		}
	}
	if x.isSet("body-file") {
		s, err := x.body()
		if err != nil {
			return e, nil, err
		}
		e.Body, what = &s, append(what, "body")
	}
	if x.isSet("workspace") {
		ws, err := x.workspace()
		if err != nil {
			return e, nil, err
		}
		e.Workspace, what = &ws, append(what, "workspace")
	}
	if x.isSet("max-runtime") {
		d, err := x.duration("max-runtime")
		if err != nil {
			return e, nil, err
		}
		ms := d.Milliseconds()
		e.MaxRuntimeMS, what = &ms, append(what, "max-runtime")
	}
	if x.isSet("max-retries") {
		n, err := x.retries()
		if err != nil {
			return e, nil, err
		}
		e.MaxRetries, what = &n, append(what, "max-retries")
	}
	if x.isSet("skill") {
		s := x.list("skill")
		e.Skills, what = &s, append(what, "skills")
	}
	return e, what, nil
}

// nobody reads the word none as empty.
func nobody(s string) string {
	if s == "none" {
		return ""
	}
	return s
}

func assignVerb(env Env) *cli.Command {
	return moveVerb(env, "assign", "ID AGENT|none", "say who is to do a task", "Example:\n  hermes kanban assign t7 researcher", assignFlags(), planAssign)
}

func reassignVerb(env Env) *cli.Command {
	return moveVerb(env, "reassign", "ID AGENT|none", "the same as assign", "", assignFlags(), planAssign)
}

func assignFlags() []cli.Flag {
	return []cli.Flag{flag("reclaim", "", "stop the run of a running task first"), reasonFlag()}
}

func planAssign(x *call) (move, error) {
	a, err := x.args(2, 2, "a task and an agent (or none)")
	if err != nil {
		return move{}, err
	}
	return move{tasks: a[:1], done: "assigned to " + a[1], command: func(t events.TaskID) boards.Command {
		return boards.AssignTask{Task: t, Assignee: nobody(a[1]), Reclaim: x.flag("reclaim"), Reason: x.str("reason")}
	}}, nil
}

func prioritizeVerb(env Env) *cli.Command {
	return moveVerb(env, "prioritize", "ID… PRIORITY", "set the priority; higher goes first", "Example:\n  hermes kanban prioritize t7 t8 5", nil,
		func(x *call) (move, error) {
			a, err := x.args(2, -1, "tasks and a priority")
			if err != nil {
				return move{}, err
			}
			n, err := strconv.ParseInt(a[len(a)-1], 10, 32)
			if err != nil {
				return move{}, usagef("%q is not a priority (want a number)", a[len(a)-1])
			}
			return move{tasks: a[:len(a)-1], done: fmt.Sprintf("has priority %d", n), command: func(t events.TaskID) boards.Command {
				return boards.PrioritizeTask{Task: t, Priority: int32(n)}
			}}, nil
		})
}

func setModelVerb(env Env) *cli.Command {
	return moveVerb(env, "set-model", "ID [MODEL|none]", "set the model the next attempt asks for", "", []cli.Flag{hidden(str("provider", "", ""))},
		func(x *call) (move, error) {
			if err := x.unsupported(map[string]string{"provider": "the model endpoint belongs to the agent's configuration"}); err != nil {
				return move{}, err
			}
			a, err := x.args(1, 2, "a task and a model")
			if err != nil {
				return move{}, err
			}
			model, done := "", "asks for its agent's own model"
			if len(a) == 2 && nobody(a[1]) != "" {
				model, done = a[1], "asks for model "+a[1]
			}
			return move{tasks: a[:1], done: done, command: func(t events.TaskID) boards.Command {
				return boards.SetModel{Task: t, Model: model}
			}}, nil
		})
}

func linkVerb(env Env) *cli.Command {
	return verb(env, "link", "PARENT CHILD", "make a task wait for another", "Example:\n  hermes kanban link t3 t7",
		[]cli.Flag{str("needs", "", "pass (default) or any: which verdict of the parent releases the child")},
		func(ctx context.Context, x *call) error {
			needs := events.NeedsPass
			if s := x.str("needs"); s != "" {
				if err := needs.UnmarshalText([]byte(s)); err != nil {
					return usagef("--needs %q is neither pass nor any", s)
				}
			}
			return x.onEdge(ctx, "waits for", func(parent, child events.TaskID) boards.Command {
				return boards.LinkTasks{Parent: parent, Child: child, Needs: needs}
			})
		})
}

func unlinkVerb(env Env) *cli.Command {
	return verb(env, "unlink", "PARENT CHILD", "undo link", "Example:\n  hermes kanban unlink t3 t7", nil,
		func(ctx context.Context, x *call) error {
			return x.onEdge(ctx, "no longer waits for", func(parent, child events.TaskID) boards.Command {
				return boards.UnlinkTasks{Parent: parent, Child: child}
			})
		})
}

// onEdge carries out a command about a parent and a child.
func (x *call) onEdge(ctx context.Context, done string, command func(parent, child events.TaskID) boards.Command) error {
	a, err := x.args(2, 2, "a parent and a child")
	if err != nil {
		return err
	}
	b, t, err := x.on(ctx, a)
	if err != nil {
		return err
	}
	defer b.Close()
	return x.each(ctx, b, t[1:], func(child events.TaskID) boards.Command { return command(t[0], child) }, done+" "+t[0].String())
}
