package main

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/planner"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

func specifyVerb(env Env) *cli.Command {
	said := func(x *call) bool { return x.isSet("title") || x.isSet("body") || x.isSet("body-file") }
	return planVerb(env, planner.Specify, said, moveVerb(env, "specify", "ID…", "turn a rough idea in triage into a task", `
Examples:
  hermes kanban specify t7 --title "Collect prices, EU" --body-file task.md --assignee researcher
  hermes kanban specify t7
  hermes kanban specify --all

Without words the profile's planner is asked: the program that planner.yaml names.`,
		[]cli.Flag{str("title", "", "the title"), str("body", "", "what is to be done"), str("body-file", "", "read the body from a file; - is standard input"),
			str("assignee", "a", "the agent"), flag("all", "", "every idea in triage, by the planner"), str("tenant", "", "with --all: only this tenant"), hidden(str("author", "", ""))},
		func(x *call) (move, error) {
			if err := x.unsupported(map[string]string{"all": "--all is for a planner (planner.yaml in the profile); say what each task is: hermes kanban specify ID --title … --body …", "tenant": "--tenant goes with --all; name the task",
				"author": "who specifies is who runs the command; set HERMES_USER"}); err != nil {
				return move{}, err
			}
			a, err := x.args(1, 1, "a task")
			if err != nil {
				return move{}, err
			}
			body := x.str("body")
			if x.isSet("body-file") {
				if body, err = x.body(); err != nil {
					return move{}, err
				}
			}
			return move{tasks: a, done: "specified", command: func(t events.TaskID) boards.Command {
				return boards.SpecifyTask{Task: t, Title: x.str("title"), Body: body, Assignee: x.str("assignee")}
			}}, nil
		}))
}

func decomposeVerb(env Env) *cli.Command {
	said := func(x *call) bool { return x.isSet("graph") }
	return planVerb(env, planner.Decompose, said, moveVerb(env, "decompose", "ID…", "turn a rough idea in triage into a graph of tasks", `
Examples:
  hermes kanban decompose t7 --graph graph.json
  hermes kanban decompose t7

Without a graph the profile's planner is asked: the program that planner.yaml names.
The file holds an array of tasks: [{"title":"…","assignee":"…","parents":[{"new":1}]}, …]
where new counts the tasks of the array from 1. The whole graph is created in
one commit, and the idea waits for it.`,
		[]cli.Flag{str("graph", "g", "the file; - is standard input"), str("assignee", "a", "who goes on with the idea when its parts have passed"),
			str("reason", "", "why"), flag("all", "", "every idea in triage, by the planner"), str("tenant", "", "with --all: only this tenant"), hidden(str("author", "", ""))},
		planDecompose))
}

func planDecompose(x *call) (move, error) {
	if err := x.unsupported(map[string]string{"all": "--all is for a planner (planner.yaml in the profile); say what the parts are: hermes kanban decompose ID --graph FILE", "tenant": "--tenant goes with --all; name the task",
		"author": "who decomposes is who runs the command; set HERMES_USER"}); err != nil {
		return move{}, err
	}
	a, err := x.args(1, 1, "a task")
	if err != nil {
		return move{}, err
	}
	file := x.str("graph")
	if file == "" {
		return move{}, &usageError{msg: "wants --graph, the parts: this profile has no planner to ask", hint: "hermes kanban decompose --help shows the form"}
	}
	text, err := x.readFile(file, 1<<20)
	if err != nil {
		return move{}, err
	}
	var parts []boards.NewTask
	if err := json.Unmarshal([]byte(text), &parts, json.RejectUnknownMembers(true)); err != nil {
		return move{}, &usageError{msg: fmt.Sprintf("%s is not a graph of tasks: %v", file, err), hint: "hermes kanban decompose --help shows the form"}
	}
	return move{tasks: a, done: fmt.Sprintf("decomposed into %s", plural(len(parts), "task", "tasks")), command: func(t events.TaskID) boards.Command {
		return boards.DecomposeTask{Task: t, Assignee: x.str("assignee"), Children: parts, Reason: x.str("reason")}
	}}, nil
}
