package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards"
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

// each carries out one command per task, prints one line each, and goes on
// after a refusal; the exit code is that of the first one.
func (x *call) each(ctx context.Context, args []string, command func(events.TaskID) boards.Command, done string) error {
	b, ids, err := x.on(ctx, args)
	if err != nil {
		return err
	}
	defer b.Close()
	return x.eachOn(ctx, b, ids, command, done)
}

func (x *call) eachOn(ctx context.Context, b api.Board, ids []events.TaskID, command func(events.TaskID) boards.Command, done string) error {
	type line struct {
		Task   events.TaskID `json:"task"`
		Status events.Status `json:"status,omitzero"`
		Error  *failure      `json:"error,omitzero"`
	}
	var lines []line
	var first error
	for _, id := range ids {
		res, err := x.do(ctx, b, command(id))
		l := line{Task: id, Status: res.Status}
		var rej *boards.Rejection
		switch {
		case errors.As(err, &rej):
			f := explainError(err)
			l.Error = &f
			if first == nil {
				first = err
			}
			if len(ids) > 1 && !x.json() {
				x.say("%s: %s", id, printable(f.Message))
				if f.Hint != "" {
					x.say("  %s", printable(f.Hint))
				}
			}
		case err != nil:
			return err
		case x.flag("quiet"):
			fmt.Fprintln(x.Stdout, id)
		case !x.json():
			text := id.String() + " " + done
			if res.Status != 0 {
				text += ", now " + res.Status.String()
			}
			fmt.Fprintln(x.Stdout, text)
		}
		lines = append(lines, l)
	}
	if x.json() && (first == nil || len(ids) > 1) {
		if err := x.emit(lines); err != nil {
			return err
		}
	}
	if first != nil && len(ids) > 1 {
		return exitError(explainError(first).exit)
	}
	return first
}

// parseDuration reads 90, 90s, 30m, 2h, 1d; a bare number is seconds.
func parseDuration(s string) (time.Duration, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
		return time.Duration(n) * time.Second, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseInt(days, 10, 32); err == nil && n >= 0 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, usagef("%q is not a duration (want for example 90s, 30m, 2h, 1d)", s)
	}
	return d, nil
}

// parseWhen reads an instant: a time of day, a date, RFC 3339, or a duration
// from now in the direction of sign (8h is eight hours ago with sign -1).
func parseWhen(s string, now time.Time, sign time.Duration) (events.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return events.TimeOf(t), nil
		}
	}
	if t, err := time.ParseInLocation("15:04", s, now.Location()); err == nil {
		at := time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), 0, 0, now.Location())
		if sign < 0 && at.After(now) {
			at = at.AddDate(0, 0, -1)
		} else if sign > 0 && at.Before(now) {
			at = at.AddDate(0, 0, 1)
		}
		return events.TimeOf(at), nil
	}
	if d, err := parseDuration(s); err == nil {
		return events.TimeOf(now.Add(sign * d)), nil
	}
	return 0, usagef("%q is not a time (want for example 8h, 22:00, 2026-11-17 or 2026-11-17T22:00:00Z)", s)
}

func ids(tasks []events.TaskID) string {
	words := make([]string, len(tasks))
	for i, t := range tasks {
		words[i] = t.String()
	}
	return strings.Join(words, ", ")
}
