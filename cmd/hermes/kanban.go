package main

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
)

func kanbanCommand(env Env) *cli.Command {
	verbs := []*cli.Command{
		createVerb(env), listVerb(env), showVerb(env), whyVerb(env),
		editVerb(env), assignVerb(env), reassignVerb(env), prioritizeVerb(env), setModelVerb(env), linkVerb(env), unlinkVerb(env),
		commentVerb(env), attachVerb(env), attachmentsVerb(env), detachVerb(env), getVerb(env),
		claimVerb(env), heartbeatVerb(env), completeVerb(env), cancelVerb(env), blockVerb(env), unblockVerb(env), retryVerb(env), stopVerb(env), reclaimVerb(env),
		scheduleVerb(env), promoteVerb(env), reopenVerb(env), archiveVerb(env),
		requestReviewVerb(env), requestChangesVerb(env), approveVerb(env), reopenReviewVerb(env),
		specifyVerb(env), decomposeVerb(env), swarmVerb(env), recipeCommand(env),
		runsVerb(env), logVerb(env), contextVerb(env), watchVerb(env), tailVerb(env), statsVerb(env), inboxVerb(env), diagnosticsVerb(env), assigneesVerb(env),
		dispatchVerb(env),
	}
	verbs = append(verbs, compatibilityVerbs(env)...)
	return noun(env, "kanban,task", "tasks of a board", verbs...)
}

// taskIDs reads ids; one written as acme/t7 also names the board.
func (x *call) taskIDs(args []string) ([]events.TaskID, error) {
	out := make([]events.TaskID, len(args))
	for i, a := range args {
		if slug, id, ok := strings.Cut(a, "/"); ok {
			if x.slug != "" && x.slug != slug {
				return nil, usagef("%s and %s are on different boards", x.slug, a)
			}
			x.slug, a = slug, id
		}
		id, err := events.ParseTaskID(a)
		if err != nil {
			return nil, usagef("%v", err)
		}
		out[i] = id
	}
	return out, nil
}

// on opens the board for a verb about tasks.
func (x *call) on(ctx context.Context, args []string) (api.Board, []events.TaskID, error) {
	ids, err := x.taskIDs(args)
	if err != nil {
		return nil, nil, err
	}
	b, err := x.boardToChange(ctx)
	return b, ids, err
}

// look opens the board for a verb that only reads one task.
func (x *call) look(ctx context.Context) (api.Board, events.TaskID, error) {
	a, err := x.args(1, 1, "a task")
	if err != nil {
		return nil, 0, err
	}
	ids, err := x.taskIDs(a)
	if err != nil {
		return nil, 0, err
	}
	b, err := x.board(ctx)
	return b, ids[0], err
}

// ids lists tasks as they are typed.
func ids(tasks []events.TaskID) string {
	words := make([]string, len(tasks))
	for i, t := range tasks {
		words[i] = t.String()
	}
	return strings.Join(words, ", ")
}
