package main

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/profile"
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
	verbs = append(verbs, notifyVerbs(env)...)
	verbs = append(verbs, compatibilityVerbs(env)...)
	return noun(env, "kanban,task", "tasks of a board", verbs...)
}

// taskIDs reads ids; one written as acme/t7 also names the board, for all of
// them. A person may write 7 or T7 for t7.
func (x *call) taskIDs(args []string) ([]events.TaskID, error) {
	out := make([]events.TaskID, len(args))
	for i, a := range args {
		slug, name := splitID(a)
		id, err := events.ParseTaskID("t" + strings.TrimPrefix(strings.ToLower(name), "t"))
		if err != nil {
			return nil, usagef("%q is not a task id (want for example t42)", name)
		}
		if err := x.sameBoard(slug, a); err != nil {
			return nil, err
		}
		out[i] = id
	}
	return out, nil
}

// sameBoard takes note of the board of an id. An id without a board among
// others with one may mean either board, which is no thing to guess.
func (x *call) sameBoard(slug, id string) error {
	switch other := x.str("board"); {
	case slug == "" && x.slug == "":
		x.bare = id
	case slug == "":
		return usagef("%s may be of another board than %s: name the board of each, or once with --board", id, x.slug)
	case x.bare != "":
		return usagef("%s may be of another board than %s: name the board of each, or once with --board", x.bare, id)
	case x.slug != "" && x.slug != slug:
		return usagef("%s and %s are on different boards", x.slug, id)
	case other != "" && !strings.EqualFold(other, slug):
		return usagef("--board %s and %s are different boards", other, id)
	default:
		x.slug = slug
	}
	return nil
}

// splitID takes acme/t7 apart; an id alone names no board.
func splitID(s string) (slug, id string) {
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		return s[:i], s[i+1:]
	}
	return "", s
}

// isTask reports whether a word is the id of a task, with or without its board.
func isTask(s string) bool {
	_, id := splitID(s)
	_, err := events.ParseTaskID(id)
	return err == nil
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

// onBoard adds to a command for pasting what this invocation was told about
// the board, the profile and the home, so that it means the same ones. A gateway
// is that of the board's own profile.
func (x *call) onBoard(command, slug string) string {
	verb, ok := strings.CutPrefix(command, "hermes ")
	if !ok {
		return command
	}
	name := x.str("profile")
	if strings.HasPrefix(verb, "gateway ") {
		name = x.gatewayProfileOf(slug)
	}
	if name != "" && name != profile.Default {
		verb = "-p " + name + " " + verb
	}
	if strings.HasPrefix(command, "hermes kanban ") && (x.slug != "" || x.str("board") != "") {
		verb += " --board " + slug
	}
	if home := x.str("home"); home != "" {
		verb += " --home " + home
	}
	return "hermes " + verb
}

// ids lists tasks as they are typed.
func ids(tasks []events.TaskID) string {
	words := make([]string, len(tasks))
	for i, t := range tasks {
		words[i] = t.String()
	}
	return strings.Join(words, ", ")
}
