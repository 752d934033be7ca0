package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
)

// The verbs that move a task. All take several ids where that makes sense.

func claimVerb(env Env) *cli.Command {
	return verb(env, "claim", "ID", "take a task yourself", `
Example:
  hermes kanban claim t7 --ttl 2h

The claim ends by itself when its time has passed. End it with complete, block
or stop.`, []cli.Flag{str("ttl", "", "how long the claim holds (default: the board's policy, 15m)")},
		func(ctx context.Context, x *call) error {
			a, err := x.args(1, -1, "a task")
			if err != nil {
				return err
			}
			var term time.Duration
			if s := x.str("ttl"); s != "" {
				if term, err = parseDuration(s); err != nil {
					return err
				}
			}
			return x.each(ctx, a, func(t events.TaskID) boards.Command {
				return boards.ClaimTask{Task: t, Agent: x.User, Role: events.RoleWorker, TermMS: term.Milliseconds()}
			}, "claimed by "+x.User)
		})
}

func heartbeatVerb(env Env) *cli.Command {
	return verb(env, "heartbeat", "ID", "give a sign of life on a task you claimed", "",
		[]cli.Flag{str("note", "", "what is being done")}, func(ctx context.Context, x *call) error {
			a, err := x.args(1, 1, "a task")
			if err != nil {
				return err
			}
			return x.each(ctx, a, func(t events.TaskID) boards.Command { return boards.Heartbeat{Task: t, Note: x.str("note")} }, "is alive")
		})
}

func completeVerb(env Env) *cli.Command {
	return verb(env, "complete,done", "ID…", "end tasks with a verdict", `
Examples:
  hermes kanban complete t7 --summary "prices of 20 shops"
  hermes kanban complete t8 --fail --summary "the source is gone"`,
		[]cli.Flag{flag("fail", "", "the verdict is fail"), str("summary", "", "one line for whoever goes on"), str("result", "", "the result as text"),
			str("metadata", "", "JSON for whoever goes on"), flag("force", "", "a running task: stop its run and complete it then")},
		runComplete)
}

func runComplete(ctx context.Context, x *call) error {
	a, err := x.args(1, -1, "at least one task")
	if err != nil {
		return err
	}
	if len(a) > 1 && (x.isSet("summary") || x.isSet("result") || x.isSet("metadata")) {
		return usagef("--summary, --result and --metadata are for one task at a time")
	}
	meta, err := x.metadata()
	if err != nil {
		return err
	}
	verdict := events.Pass
	if x.flag("fail") {
		verdict = events.Fail
	}
	if x.flag("force") {
		return x.stop(ctx, a, func(t events.TaskID) boards.StopRun {
			return boards.StopRun{Task: t, Then: events.ThenComplete, Verdict: verdict, Reason: x.str("summary")}
		}, "is being stopped and completed")
	}
	return x.each(ctx, a, func(t events.TaskID) boards.Command {
		return boards.CompleteTask{Task: t, Verdict: verdict, Summary: x.str("summary"), Result: x.str("result"), Metadata: meta}
	}, "completed: "+verdict.String())
}

// metadata reads the flag of that name; nil if it is not given.
func (x *call) metadata() (jsontext.Value, error) {
	meta := jsontext.Value(x.str("metadata"))
	if len(meta) == 0 {
		return nil, nil
	}
	if err := meta.Compact(); err != nil {
		return nil, usagef("--metadata is not JSON: %v", err)
	}
	return meta, nil
}

func cancelVerb(env Env) *cli.Command {
	return verb(env, "cancel", "ID…", "end tasks that are no longer wanted; stops a run", "",
		[]cli.Flag{str("reason", "", "why")}, func(ctx context.Context, x *call) error {
			a, err := x.args(1, -1, "at least one task")
			if err != nil {
				return err
			}
			return x.stopOr(ctx, a, events.ThenCancel, func(t events.TaskID) boards.Command {
				return boards.CompleteTask{Task: t, Verdict: events.Cancelled, Summary: x.str("reason")}
			}, "cancelled")
		})
}

// stopOr stops the run of a running task with a continuation, and gives any
// other task the command itself.
func (x *call) stopOr(ctx context.Context, args []string, then events.Then, otherwise func(events.TaskID) boards.Command, done string) error {
	b, ids, err := x.on(ctx, args)
	if err != nil {
		return err
	}
	defer b.Close()
	running := make(map[events.TaskID]bool)
	for _, id := range ids {
		if d, err := b.Show(ctx, id); err == nil && d.Status == events.Running {
			running[id] = true
		}
	}
	err = x.eachOn(ctx, b, ids, func(t events.TaskID) boards.Command {
		if running[t] {
			return boards.StopRun{Task: t, Then: then, Reason: x.str("reason")}
		}
		return otherwise(t)
	}, done)
	x.nudge(ctx, b, ids)
	return err
}

// stop stops runs and tells their supervisors at once.
func (x *call) stop(ctx context.Context, args []string, command func(events.TaskID) boards.StopRun, done string) error {
	b, ids, err := x.on(ctx, args)
	if err != nil {
		return err
	}
	defer b.Close()
	err = x.eachOn(ctx, b, ids, func(t events.TaskID) boards.Command { return command(t) }, done)
	x.nudge(ctx, b, ids)
	return err
}

// nudge makes the supervisors of runs look at the board now, in case nobody
// dispatches for it.
func (x *call) nudge(ctx context.Context, b api.Board, tasks []events.TaskID) {
	for _, id := range tasks {
		if d, err := b.Show(ctx, id); err == nil {
			for _, r := range d.Runs {
				if r.Ended == 0 && r.Stopping {
					nudgeRun(ctx, b, r)
				}
			}
		}
	}
}

func stopVerb(env Env) *cli.Command {
	return verb(env, "stop", "ID…", "stop the run of a task and keep the task down", `
Example:
  hermes kanban stop t7 --reason "wrong shops"

The task is blocked then; unblock or retry lets it go on. --force attests that
a tree that cannot be reached is dead, and frees the task at once.`,
		[]cli.Flag{str("reason", "", "why"), flag("force", "", "attest that the run's processes are dead")},
		func(ctx context.Context, x *call) error {
			a, err := x.args(1, -1, "at least one task")
			if err != nil {
				return err
			}
			return x.stop(ctx, a, func(t events.TaskID) boards.StopRun {
				return boards.StopRun{Task: t, Then: events.ThenBlock, Force: x.flag("force"), Reason: x.str("reason")}
			}, "is being stopped")
		})
}

func reclaimVerb(env Env) *cli.Command {
	return verb(env, "reclaim", "ID…", "kill the run of a task; the task starts again", "",
		[]cli.Flag{str("reason", "", "why"), flag("force", "", "attest that the run's processes are dead")},
		func(ctx context.Context, x *call) error {
			a, err := x.args(1, -1, "at least one task")
			if err != nil {
				return err
			}
			return x.stop(ctx, a, func(t events.TaskID) boards.StopRun {
				return boards.StopRun{Task: t, Outcome: events.OutcomeReleased, Then: events.ThenRetry, Force: x.flag("force"), Reason: x.str("reason")}
			}, "is being killed and starts again; to keep it down: hermes kanban stop")
		})
}

func blockVerb(env Env) *cli.Command {
	return verb(env, "block", "ID [REASON…]", "put a task before a person", `
Example:
  hermes kanban block t7 "which currency?" --option EUR --option local`,
		[]cli.Flag{list("ids", "", "further tasks"), str("kind", "", "needs_input, capability, transient or dependency"),
			list("option", "", "an answer to offer; up to six"), str("reason", "", "why")},
		func(ctx context.Context, x *call) error {
			a, err := x.args(1, -1, "a task and a reason")
			if err != nil {
				return err
			}
			var kind events.BlockKind
			if k := x.str("kind"); k != "" {
				if err := kind.UnmarshalText([]byte(k)); err != nil || kind > events.BlockDependency {
					return usagef("--kind %q is none of needs_input, capability, transient, dependency", k)
				}
			}
			reason := strings.Join(append(a[1:], nonEmpty(x.str("reason"))...), " ")
			return x.stopOr(ctx, append(a[:1:1], x.list("ids")...), events.ThenBlock, func(t events.TaskID) boards.Command {
				return boards.BlockTask{Task: t, Kind: kind, Reason: reason, Options: x.list("option")}
			}, "blocked")
		})
}

func unblockVerb(env Env) *cli.Command {
	return verb(env, "unblock,answer", "ID… [ANSWER]", "answer a blocked task and let it go on", `
Examples:
  hermes kanban unblock t7 "EUR"
  hermes kanban answer t7 --choice 2
  hermes kanban unblock t7 t8`,
		[]cli.Flag{num("choice", "", "take the n-th offered answer"), str("reason", "", "the answer, as the Python system has it"), str("note", "", "a remark for the record"),
			flag("fresh", "", "start clean instead of going on from the last attempt")}, runUnblock)
}

func runUnblock(ctx context.Context, x *call) error {
	a, err := x.args(1, -1, "a task and perhaps an answer")
	if err != nil {
		return err
	}
	tasks, answer := splitAnswer(a)
	if answer == "" {
		answer = x.str("reason")
	}
	return x.each(ctx, tasks, func(t events.TaskID) boards.Command {
		return boards.UnblockTask{Task: t, Answer: answer, Choice: uint8(max(0, min(x.num("choice"), 255))), Note: x.str("note"), Fresh: x.flag("fresh")}
	}, "unblocked")
}

// splitAnswer tells the ids at the start from the answer behind them.
func splitAnswer(a []string) (tasks []string, answer string) {
	for i, s := range a {
		_, id, ok := strings.Cut(s, "/")
		if !ok {
			id = s
		}
		if _, err := events.ParseTaskID(id); err != nil && i > 0 {
			return a[:i], strings.Join(a[i:], " ")
		}
	}
	return a, ""
}

func retryVerb(env Env) *cli.Command {
	return verb(env, "retry", "ID…", "let a blocked task try again", "Example:\n  hermes kanban retry t7 --note \"the site is back\" --fresh",
		[]cli.Flag{str("model", "m", "another model"), str("note", "", "a word for the next attempt"), flag("fresh", "", "start clean")},
		func(ctx context.Context, x *call) error {
			a, err := x.args(1, -1, "at least one task")
			if err != nil {
				return err
			}
			return x.each(ctx, a, func(t events.TaskID) boards.Command {
				return boards.UnblockTask{Task: t, Note: x.str("note"), Model: x.str("model"), Fresh: x.flag("fresh")}
			}, "tries again")
		})
}

func scheduleVerb(env Env) *cli.Command {
	return verb(env, "schedule", "ID [REASON…]", "park a task until a time, or until promoted", "Example:\n  hermes kanban schedule t7 --at 22:00",
		[]cli.Flag{str("at", "", "when it goes on"), list("ids", "", "further tasks"), str("reason", "", "why")},
		func(ctx context.Context, x *call) error {
			a, err := x.args(1, -1, "a task")
			if err != nil {
				return err
			}
			var at events.Time
			if s := x.str("at"); s != "" {
				if at, err = parseWhen(s, time.Now(), 1); err != nil {
					return err
				}
			}
			reason := strings.Join(append(a[1:], nonEmpty(x.str("reason"))...), " ")
			return x.each(ctx, append(a[:1:1], x.list("ids")...), func(t events.TaskID) boards.Command {
				return boards.ScheduleTask{Task: t, At: at, Reason: reason}
			}, "scheduled")
		})
}

func promoteVerb(env Env) *cli.Command {
	return verb(env, "promote", "ID [REASON…]", "move a waiting task on, waiving what it waits for", "",
		[]cli.Flag{list("ids", "", "further tasks"), str("reason", "", "why"), flag("dry-run", "", "only say what would happen"), hidden(flag("force", "", ""))},
		func(ctx context.Context, x *call) error {
			a, err := x.args(1, -1, "a task")
			if err != nil {
				return err
			}
			tasks := append(a[:1:1], x.list("ids")...)
			if x.flag("dry-run") {
				return x.dryPromote(ctx, tasks)
			}
			reason := strings.Join(append(a[1:], nonEmpty(x.str("reason"))...), " ")
			return x.each(ctx, tasks, func(t events.TaskID) boards.Command { return boards.PromoteTask{Task: t, Reason: reason} }, "promoted")
		})
}

func (x *call) dryPromote(ctx context.Context, tasks []string) error {
	ids, err := x.taskIDs(tasks)
	if err != nil {
		return err
	}
	b, err := x.board(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	for _, id := range ids {
		w, err := b.Why(ctx, id)
		if err != nil {
			return err
		}
		fmt.Fprintf(x.Stdout, "%s is %s: %s\n", id, w.Status, line(w.Detail))
	}
	return nil
}

func reopenVerb(env Env) *cli.Command {
	return verb(env, "reopen", "ID…", "take back tasks that are done", "", []cli.Flag{str("reason", "", "why")},
		func(ctx context.Context, x *call) error {
			a, err := x.args(1, -1, "at least one task")
			if err != nil {
				return err
			}
			return x.each(ctx, a, func(t events.TaskID) boards.Command { return boards.ReopenTask{Task: t, Reason: x.str("reason")} }, "reopened")
		})
}

func archiveVerb(env Env) *cli.Command {
	return verb(env, "archive", "ID…", "take tasks off the board; stops a run", "",
		[]cli.Flag{str("reason", "", "why"), hidden(flag("rm", "", ""))},
		func(ctx context.Context, x *call) error {
			a, err := x.args(1, -1, "at least one task")
			if err != nil {
				return err
			}
			if err := x.unsupported(map[string]string{"rm": "history is never removed; archive hides the task"}); err != nil {
				return err
			}
			return x.stopOr(ctx, a, events.ThenArchive, func(t events.TaskID) boards.Command {
				return boards.ArchiveTask{Task: t, Reason: x.str("reason")}
			}, "archived")
		})
}

func requestReviewVerb(env Env) *cli.Command {
	return verb(env, "request-review", "ID", "hand a task you claimed to a reviewer", "",
		[]cli.Flag{str("summary", "", "what was done"), str("reviewer", "", "which agent"), str("metadata", "", "JSON for the reviewer"), hidden(flag("force", "", ""))},
		func(ctx context.Context, x *call) error {
			a, err := x.args(1, 1, "a task")
			if err != nil {
				return err
			}
			meta, err := x.metadata()
			if err != nil {
				return err
			}
			return x.each(ctx, a, func(t events.TaskID) boards.Command {
				return boards.RequestReview{Task: t, Summary: x.str("summary"), Reviewer: x.str("reviewer"), Metadata: meta}
			}, "waits for review")
		})
}

func requestChangesVerb(env Env) *cli.Command {
	return verb(env, "request-changes", "ID REASON…", "send reviewed work back with findings", "Example:\n  hermes kanban request-changes t7 \"row 3 has no source\"", nil,
		func(ctx context.Context, x *call) error {
			a, err := x.args(2, -1, "a task and what is to be changed")
			if err != nil {
				return err
			}
			return x.each(ctx, a[:1], func(t events.TaskID) boards.Command {
				return boards.RequestChanges{Task: t, Reason: strings.Join(a[1:], " ")}
			}, "goes back")
		})
}

func approveVerb(env Env) *cli.Command {
	return verb(env, "approve", "ID…", "end a review well: the task is done", "", []cli.Flag{str("summary", "", "a word for the record")},
		func(ctx context.Context, x *call) error {
			a, err := x.args(1, -1, "at least one task")
			if err != nil {
				return err
			}
			return x.each(ctx, a, func(t events.TaskID) boards.Command { return boards.ApproveTask{Task: t, Summary: x.str("summary")} }, "approved")
		})
}

func reopenReviewVerb(env Env) *cli.Command {
	return verb(env, "reopen-review", "ID…", "take tasks out of review; the same as request-changes with a reason", "",
		[]cli.Flag{str("reason", "", "why")}, func(ctx context.Context, x *call) error {
			a, err := x.args(1, -1, "at least one task")
			if err != nil {
				return err
			}
			reason := x.str("reason")
			if reason == "" {
				reason = "taken out of review"
			}
			return x.each(ctx, a, func(t events.TaskID) boards.Command { return boards.RequestChanges{Task: t, Reason: reason} }, "goes back")
		})
}
