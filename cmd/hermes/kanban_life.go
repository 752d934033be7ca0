package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// The verbs that move a task between columns. All take several ids where that
// makes sense.

func reasonFlag() cli.Flag { return str("reason", "", "why") }

func claimVerb(env Env) *cli.Command {
	return moveVerb(env, "claim", "ID…", "take tasks yourself", `
Example:
  hermes kanban claim t7 --ttl 2h

The claim ends by itself when its time has passed. End it with complete, block
or stop.`, []cli.Flag{str("ttl", "", "how long the claim holds (default: the board's policy, 15m)")},
		func(x *call) (move, error) {
			a, err := x.args(1, -1, "at least one task")
			if err != nil {
				return move{}, err
			}
			term, err := x.duration("ttl")
			return move{tasks: a, done: "claimed by " + x.User, command: func(t events.TaskID) boards.Command {
				return boards.ClaimTask{Task: t, Agent: x.User, Role: events.RoleWorker, TermMS: term.Milliseconds()}
			}}, err
		})
}

func heartbeatVerb(env Env) *cli.Command {
	return moveVerb(env, "heartbeat", "ID", "give a sign of life on a task you claimed", "", []cli.Flag{str("note", "", "what is being done")},
		func(x *call) (move, error) {
			a, err := x.args(1, 1, "a task")
			return move{tasks: a, done: "is alive", command: func(t events.TaskID) boards.Command {
				return boards.Heartbeat{Task: t, Note: x.str("note")}
			}}, err
		})
}

func completeVerb(env Env) *cli.Command {
	return moveVerb(env, "complete,done", "ID…", "end tasks with a verdict", `
Examples:
  hermes kanban complete t7 --summary "prices of 20 shops"
  hermes kanban complete t8 --fail --summary "the source is gone"`,
		[]cli.Flag{flag("fail", "", "the verdict is fail"), str("summary", "", "one line for whoever goes on"), str("result", "", "the result as text"),
			str("metadata", "", "JSON for whoever goes on"), flag("force", "", "a running task: stop its run and complete it then")}, planComplete)
}

func planComplete(x *call) (move, error) {
	a, err := x.args(1, -1, "at least one task")
	if err != nil {
		return move{}, err
	}
	if len(a) > 1 && (x.isSet("summary") || x.isSet("result") || x.isSet("metadata")) {
		return move{}, usagef("--summary, --result and --metadata are for one task at a time")
	}
	meta, err := x.metadata()
	if err != nil {
		return move{}, err
	}
	verdict := events.Pass
	if x.flag("fail") {
		verdict = events.Fail
	}
	if x.flag("force") {
		return move{tasks: a, done: "is being stopped and completed", command: func(t events.TaskID) boards.Command {
			return boards.StopRun{Task: t, Then: events.ThenComplete, Verdict: verdict, Reason: x.str("summary")}
		}}, nil
	}
	return move{tasks: a, done: "completed: " + verdict.String(), command: func(t events.TaskID) boards.Command {
		return boards.CompleteTask{Task: t, Verdict: verdict, Summary: x.str("summary"), Result: x.str("result"), Metadata: meta}
	}}, nil
}

// metadata reads the flag of that name; nil if it is not given.
func (x *call) metadata() (jsontext.Value, error) {
	if !x.isSet("metadata") {
		return nil, nil
	}
	meta := jsontext.Value(x.str("metadata"))
	const example = `for example --metadata '{"rows":20}'`
	var any any
	if err := json.Unmarshal(meta, &any); err != nil {
		return nil, &usageError{msg: fmt.Sprintf("--metadata is not JSON: %v", err), hint: example}
	}
	if meta.Kind() != '{' {
		return nil, &usageError{msg: "--metadata wants a JSON object", hint: example}
	}
	return meta, meta.Compact()
}

func cancelVerb(env Env) *cli.Command {
	return moveVerb(env, "cancel", "ID…", "end tasks that are no longer wanted; stops a run", "", []cli.Flag{reasonFlag()},
		func(x *call) (move, error) {
			a, err := x.args(1, -1, "at least one task")
			return move{tasks: a, done: "cancelled", running: events.ThenCancel, command: func(t events.TaskID) boards.Command {
				return boards.CompleteTask{Task: t, Verdict: events.Cancelled, Summary: x.str("reason")}
			}}, err
		})
}

func stopVerb(env Env) *cli.Command {
	return moveVerb(env, "stop", "ID…", "stop the run of a task and keep the task down", `
Example:
  hermes kanban stop t7 --reason "wrong shops"

The task is blocked then; unblock or retry lets it go on. Where the processes do
not end, --force, given a second time, attests that they are dead, and frees the
task at once.`,
		[]cli.Flag{reasonFlag(), flag("force", "", "attest that the run's processes are dead")},
		func(x *call) (move, error) {
			a, err := x.args(1, -1, "at least one task")
			return move{tasks: a, done: x.stopped("is being stopped"), command: func(t events.TaskID) boards.Command {
				return boards.StopRun{Task: t, Then: events.ThenBlock, Force: x.flag("force"), Reason: x.str("reason")}
			}}, err
		})
}

func reclaimVerb(env Env) *cli.Command {
	return moveVerb(env, "reclaim", "ID…", "kill the run of a task; the task starts again", `
Example:
  hermes kanban reclaim t7 --reason "hangs"

To keep the task down: hermes kanban stop. Where the processes do not end,
--force, given a second time, attests that they are dead.`,
		[]cli.Flag{reasonFlag(), flag("force", "", "attest that the run's processes are dead")},
		func(x *call) (move, error) {
			a, err := x.args(1, -1, "at least one task")
			return move{tasks: a, done: x.stopped("is being killed and starts again"), command: func(t events.TaskID) boards.Command {
				return boards.StopRun{Task: t, Outcome: events.OutcomeReleased, Then: events.ThenRetry, Force: x.flag("force"), Reason: x.str("reason")}
			}}, err
		})
}

// stopped is the word for a stop that --force makes immediate.
func (x *call) stopped(otherwise string) string {
	if x.flag("force") {
		return "freed"
	}
	return otherwise
}

func blockVerb(env Env) *cli.Command {
	return moveVerb(env, "block", "ID [REASON…]", "put a task before a person", `
Example:
  hermes kanban block t7 "which currency?" --option EUR --option local`,
		[]cli.Flag{list(severalIDs, "", "further tasks"), str("kind", "", "needs_input, capability, transient or dependency"),
			list("option", "", "an answer to offer; up to six"), reasonFlag()},
		func(x *call) (move, error) {
			tasks, reason, err := x.tasksAndReason()
			if err != nil {
				return move{}, err
			}
			var kind events.BlockKind
			if k := x.str("kind"); k != "" {
				if err := kind.UnmarshalText([]byte(k)); err != nil || kind > events.BlockDependency {
					return move{}, usagef("--kind %q is none of needs_input, capability, transient, dependency", k)
				}
			}
			return move{tasks: tasks, done: "blocked", reason: reason, running: events.ThenBlock, command: func(t events.TaskID) boards.Command {
				return boards.BlockTask{Task: t, Kind: kind, Reason: reason, Options: x.list("option")}
			}}, nil
		})
}

// tasksAndReason reads a task, further ones behind --ids, and the words that follow.
func (x *call) tasksAndReason() (tasks []string, reason string, err error) {
	a, err := x.args(0, -1, "")
	if err != nil {
		return nil, "", err
	}
	var more []string
	for _, s := range x.list(severalIDs) {
		more = append(more, strings.Split(s, ",")...)
	}
	if len(a) > 0 && (len(more) == 0 || isTask(a[0])) {
		tasks, a = a[:1:1], a[1:]
	}
	if tasks = append(tasks, more...); len(tasks) == 0 {
		_, err := x.args(1, -1, "a task")
		return nil, "", err
	}
	return tasks, strings.Join(append(a, nonEmpty(x.str("reason"))...), " "), nil
}

func unblockVerb(env Env) *cli.Command {
	return moveVerb(env, "unblock,answer", "ID… [ANSWER]", "answer a blocked task and let it go on", `
Examples:
  hermes kanban unblock t7 "EUR"
  hermes kanban answer t7 --choice 2
  hermes kanban unblock t7 t8`,
		[]cli.Flag{num("choice", "", "take the n-th offered answer"), str("reason", "", "the answer, as the Python system has it"), str("note", "", "a remark for the record"),
			flag("fresh", "", "start clean instead of going on from the last attempt")}, planUnblock)
}

func planUnblock(x *call) (move, error) {
	a, err := x.args(1, -1, "a task and perhaps an answer")
	if err != nil {
		return move{}, err
	}
	tasks, answer := splitAnswer(a)
	if answer == "" {
		answer = x.str("reason")
	}
	choice := x.num("choice")
	switch {
	case x.isSet("choice") && (choice < 1 || choice > boards.MaxOptions):
		return move{}, usagef("--choice counts the offered answers from 1 to at most %d, not %d", boards.MaxOptions, choice)
	case choice > 0 && answer != "":
		return move{}, usagef("an answer and --choice exclude each other")
	}
	return move{tasks: tasks, done: "unblocked", command: func(t events.TaskID) boards.Command {
		return boards.UnblockTask{Task: t, Answer: answer, Choice: uint8(choice), Note: x.str("note"), Fresh: x.flag("fresh")}
	}}, nil
}

// splitAnswer tells the ids at the start from the answer behind them.
func splitAnswer(a []string) (tasks []string, answer string) {
	for i, s := range a {
		if i > 0 && !isTask(s) {
			return a[:i], strings.Join(a[i:], " ")
		}
	}
	return a, ""
}

func retryVerb(env Env) *cli.Command {
	return moveVerb(env, "retry", "ID…", "let a blocked task try again", "Example:\n  hermes kanban retry t7 --note \"the site is back\" --fresh",
		[]cli.Flag{str("model", "m", "another model"), str("note", "", "a word for the next attempt"), flag("fresh", "", "start clean")},
		func(x *call) (move, error) {
			a, err := x.args(1, -1, "at least one task")
			return move{tasks: a, done: "tries again", command: func(t events.TaskID) boards.Command {
				return boards.UnblockTask{Task: t, Note: x.str("note"), Model: x.str("model"), Fresh: x.flag("fresh")}
			}}, err
		})
}

func scheduleVerb(env Env) *cli.Command {
	return moveVerb(env, "schedule", "ID [REASON…]", "park a task until a time, or until promoted", "Example:\n  hermes kanban schedule t7 --at 22:00",
		[]cli.Flag{str("at", "", "when it goes on"), list(severalIDs, "", "further tasks"), reasonFlag()},
		func(x *call) (move, error) {
			tasks, reason, err := x.tasksAndReason()
			if err != nil {
				return move{}, err
			}
			var at events.Time
			if s := x.str("at"); s != "" {
				if at, err = parseWhen(s, x.asked(), 1); err != nil {
					return move{}, err
				}
			}
			return move{tasks: tasks, done: "scheduled", command: func(t events.TaskID) boards.Command {
				return boards.ScheduleTask{Task: t, At: at, Reason: reason}
			}}, nil
		})
}

func promoteVerb(env Env) *cli.Command {
	promote := moveVerb(env, "promote", "ID [REASON…]", "move a waiting task on, waiving what it waits for", "Example:\n  hermes kanban promote t8 \"the report does not need t9\"",
		[]cli.Flag{list(severalIDs, "", "further tasks"), reasonFlag(), flag("dry-run", "", "only say what each waits for"), hidden(flag("force", "", ""))},
		func(x *call) (move, error) {
			tasks, reason, err := x.tasksAndReason()
			return move{tasks: tasks, done: "promoted", command: func(t events.TaskID) boards.Command {
				return boards.PromoteTask{Task: t, Reason: reason}
			}}, err
		})
	really := promote.Action
	promote.Action = func(c *cli.Context) error {
		if c.Bool("dry-run") {
			return (&call{Env: env, c: c}).dryPromote(c.Context)
		}
		return really(c)
	}
	return promote
}

func (x *call) dryPromote(ctx context.Context) error {
	tasks, _, err := x.tasksAndReason()
	if err != nil {
		return err
	}
	ids, err := x.taskIDs(tasks)
	if err != nil {
		return err
	}
	b, err := x.board(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	var all []any
	for _, id := range ids {
		w, err := b.Why(ctx, id)
		if err != nil {
			return err
		}
		all = append(all, w)
		if !x.json() {
			fmt.Fprintln(x.Stdout, line(w.Detail))
		}
	}
	if x.json() {
		return x.emit(all)
	}
	return nil
}

func reopenVerb(env Env) *cli.Command {
	return moveVerb(env, "reopen", "ID…", "take back tasks that are done or archived", "", []cli.Flag{reasonFlag()},
		func(x *call) (move, error) {
			a, err := x.args(1, -1, "at least one task")
			return move{tasks: a, done: "reopened", command: func(t events.TaskID) boards.Command {
				return boards.ReopenTask{Task: t, Reason: x.str("reason")}
			}}, err
		})
}

func archiveVerb(env Env) *cli.Command {
	return moveVerb(env, "archive", "ID…", "take tasks off the board; stops a run", "", []cli.Flag{reasonFlag(), hidden(flag("rm", "", ""))},
		func(x *call) (move, error) {
			if err := x.unsupported(map[string]string{"rm": "history is never removed; archive hides the task: hermes kanban archive ID"}); err != nil {
				return move{}, err
			}
			a, err := x.args(1, -1, "at least one task")
			return move{tasks: a, done: "archived", running: events.ThenArchive, command: func(t events.TaskID) boards.Command {
				return boards.ArchiveTask{Task: t, Reason: x.str("reason")}
			}}, err
		})
}
