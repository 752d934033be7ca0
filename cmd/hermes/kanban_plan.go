package main

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

func specifyVerb(env Env) *cli.Command {
	return verb(env, "specify", "ID", "turn a rough idea in triage into a task", `
Example:
  hermes kanban specify t7 --title "Collect prices, EU" --body-file task.md --assignee researcher`,
		[]cli.Flag{str("title", "", "the title"), str("body", "", "what is to be done"), str("body-file", "", "read the body from a file; - is standard input"),
			str("assignee", "a", "the agent"), hidden(flag("all", "", "")), hidden(str("author", "", "")), hidden(str("tenant", "", ""))},
		func(ctx context.Context, x *call) error {
			a, err := x.args(1, 1, "a task")
			if err != nil {
				return err
			}
			if err := x.unsupported(map[string]string{"all": "say what each task is: hermes kanban specify ID --title … --body …",
				"author": "who specifies is who runs the command; set HERMES_USER"}); err != nil {
				return err
			}
			body := x.str("body")
			if file := x.str("body-file"); file != "" {
				if body, err = x.readFile(file, 200<<10); err != nil {
					return err
				}
			}
			return x.each(ctx, a, func(t events.TaskID) boards.Command {
				return boards.SpecifyTask{Task: t, Title: x.str("title"), Body: body, Assignee: x.str("assignee")}
			}, "specified")
		})
}

func decomposeVerb(env Env) *cli.Command {
	return verb(env, "decompose", "ID", "turn a rough idea in triage into a graph of tasks", `
Example:
  hermes kanban decompose t7 --graph graph.json

The file holds an array of tasks: [{"title":"…","assignee":"…","parents":[{"new":1}]}, …]
where new counts the tasks of the array from 1. The whole graph is created in
one commit, and the idea waits for it.`,
		[]cli.Flag{str("graph", "g", "the file; - is standard input"), str("assignee", "a", "who goes on with the idea when its parts have passed"),
			str("reason", "", "why"), hidden(flag("all", "", "")), hidden(str("author", "", "")), hidden(str("tenant", "", ""))},
		func(ctx context.Context, x *call) error {
			a, err := x.args(1, 1, "a task")
			if err != nil {
				return err
			}
			if err := x.unsupported(map[string]string{"all": "say what the parts are: hermes kanban decompose ID --graph FILE",
				"author": "who decomposes is who runs the command; set HERMES_USER"}); err != nil {
				return err
			}
			if x.str("graph") == "" {
				return &usageError{msg: "wants --graph, the parts", hint: "hermes kanban decompose --help shows the form"}
			}
			text, err := x.readFile(x.str("graph"), 1<<20)
			if err != nil {
				return err
			}
			var parts []boards.NewTask
			if err := json.Unmarshal([]byte(text), &parts, json.RejectUnknownMembers(true)); err != nil {
				return usagef("%s: %v", x.str("graph"), err)
			}
			return x.each(ctx, a, func(t events.TaskID) boards.Command {
				return boards.DecomposeTask{Task: t, Assignee: x.str("assignee"), Children: parts, Reason: x.str("reason")}
			}, fmt.Sprintf("decomposed into %s", plural(len(parts), "task", "tasks")))
		})
}
