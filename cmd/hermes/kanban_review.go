package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

func requestReviewVerb(env Env) *cli.Command {
	return moveVerb(env, "request-review", "ID", "hand a task you claimed to a reviewer", "Example:\n  hermes kanban request-review t7 --summary \"login fixed\" --reviewer qa",
		[]cli.Flag{str("summary", "", "what was done"), str("reviewer", "", "which agent"), str("metadata", "", "JSON for the reviewer"), hidden(flag("force", "", ""))},
		func(x *call) (move, error) {
			if err := x.unsupported(map[string]string{"force": "a run is not talked over: stop it first with hermes kanban stop ID, or claim the task yourself"}); err != nil {
				return move{}, err
			}
			a, err := x.args(1, 1, "a task")
			if err != nil {
				return move{}, err
			}
			meta, err := x.metadata()
			return move{tasks: a, done: "waits for review", command: func(t events.TaskID) boards.Command {
				return boards.RequestReview{Task: t, Summary: x.str("summary"), Reviewer: x.str("reviewer"), Metadata: meta}
			}}, err
		})
}

func requestChangesVerb(env Env) *cli.Command {
	return moveVerb(env, "request-changes", "ID REASON…", "send reviewed work back with findings", "Example:\n  hermes kanban request-changes t7 \"row 3 has no source\"", nil,
		func(x *call) (move, error) {
			a, err := x.args(2, -1, "a task and what is to be changed")
			if err != nil {
				return move{}, err
			}
			return sendBack(a[:1], strings.Join(a[1:], " ")), nil
		})
}

func reopenReviewVerb(env Env) *cli.Command {
	return moveVerb(env, "reopen-review", "ID…", "take tasks out of review; the same as request-changes with a reason", "", []cli.Flag{reasonFlag()},
		func(x *call) (move, error) {
			a, err := x.args(1, -1, "at least one task")
			if x.str("reason") == "" {
				return sendBack(a, "taken out of review"), err
			}
			return sendBack(a, x.str("reason")), err
		})
}

func sendBack(tasks []string, findings string) move {
	return move{tasks: tasks, done: "goes back", command: func(t events.TaskID) boards.Command {
		return boards.RequestChanges{Task: t, Reason: findings}
	}}
}

func approveVerb(env Env) *cli.Command {
	return moveVerb(env, "approve", "ID…", "end a review well: the task is done", "", []cli.Flag{str("summary", "", "a word for the record")},
		func(x *call) (move, error) {
			a, err := x.args(1, -1, "at least one task")
			return move{tasks: a, done: "approved", command: func(t events.TaskID) boards.Command {
				return boards.ApproveTask{Task: t, Summary: x.str("summary")}
			}}, err
		})
}
