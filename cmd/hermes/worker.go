package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/builtin/act"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// workerCommand is what an agent types: every call goes through the socket of
// its run and can do no more than that run may.
func workerCommand(env Env) *cli.Command {
	key := func(flags ...cli.Flag) []cli.Flag {
		return append(flags, str("key", "", "the same key has one effect, however often it is sent"), str("socket", "", "the worker socket (default $HERMES_WORKER_SOCKET)"))
	}
	artifacts := list("artifact", "", "a file to hand over; again for several")
	return noun(env, "worker", "what an agent may do from inside its run",
		verb(env, "show", "[ID]", "show the run's task, or another", "", key(flag("context", "", "only the text to start from")), workerShow),
		verb(env, "list", "", "list tasks of the run's tenant", "", key(str("assignee", "a", "only of this agent"), str("status", "s", "only this status"), num("limit", "n", "at most so many"), flag("archived", "", "also archived ones")), workerList),
		verb(env, "create", "TITLE", "create a follow-up task", "", key(str("body", "", "what is to be done"), str("assignee", "a", "the agent"), list("parent", "", "wait for this task"), num("priority", "", "higher goes first"), flag("triage", "", "a rough idea")), workerCreate),
		verb(env, "link", "PARENT CHILD", "make a task wait for another", "", key(str("needs", "", "pass or any")), workerLink),
		verb(env, "comment", "[ID] TEXT", "comment on the run's task, or another", "", key(), workerComment),
		verb(env, "heartbeat", "[NOTE]", "give a sign of life", "", key(num("done", "", "progress"), num("total", "", "of how many")), workerHeartbeat),
		verb(env, "attach", "PATH", "attach a file to the run's task", "", key(str("name", "", "another name for it")), workerAttach),
		verb(env, "complete", "[SUMMARY]", "end the task with a verdict", "", key(flag("fail", "", "the verdict is fail"), str("summary", "", "one line for whoever goes on"), str("result", "", "the result as text"), str("metadata", "", "JSON"), artifacts, list("created", "", "a task this run created")), workerComplete),
		verb(env, "block", "REASON", "ask a person", "", key(str("kind", "", "needs_input, capability, transient or dependency"), list("option", "", "an answer to offer")), workerBlock),
		verb(env, "unblock", "ID [ANSWER]", "answer a blocked task (orchestrators)", "", key(), workerUnblock),
		verb(env, "request-review", "[SUMMARY]", "hand the work to a reviewer", "", key(str("summary", "", "what was done"), str("reviewer", "", "which agent"), artifacts), workerReview),
		verb(env, "request-changes", "REASON", "send reviewed work back (reviewers)", "", key(), workerChanges),
		verb(env, "approve", "[SUMMARY]", "end a review well (reviewers)", "", key(), workerApprove),
		mcpVerb(env), modelVerb(env), builtinVerb(env), workerInitVerb(env),
	)
}

func builtinVerb(env Env) *cli.Command {
	c := verb(env, "builtin", "NAME", "play a builtin agent", "", nil, func(ctx context.Context, x *call) error {
		a, err := x.args(1, 1, "orchestrator, researcher or writer")
		if err != nil {
			return err
		}
		client, err := x.workerClient()
		if err != nil {
			return err
		}
		defer client.Close()
		return act.Run(ctx, a[0], act.Env{
			Client: client, Sources: x.Getenv("HERMES_SOURCES"), Inputs: x.Getenv("HERMES_INPUTS"), Outputs: x.Getenv("HERMES_OUTPUTS"),
			Warn: func(s string) { x.say("%s", s) },
		})
	})
	c.Hidden = true
	return c
}

func (x *call) workerClient() (*worker.Client, error) {
	socket := x.str("socket")
	if socket == "" {
		socket = x.Getenv("HERMES_WORKER_SOCKET")
	}
	if socket == "" {
		return nil, &usageError{msg: "this is not inside a run: HERMES_WORKER_SOCKET is not set", hint: "people use hermes kanban"}
	}
	return worker.Dial(socket), nil
}

// tool calls a tool and prints its answer.
func (x *call) tool(ctx context.Context, name string, args any) error {
	client, err := x.workerClient()
	if err != nil {
		return err
	}
	defer client.Close()
	a, err := client.Call(ctx, name, args)
	if err != nil {
		return err
	}
	return x.answer(a)
}

func (x *call) answer(a *worker.Answer) error {
	if x.json() {
		return x.emit(a)
	}
	switch {
	case a.Context != "":
		fmt.Fprint(x.Stdout, a.Context)
	case a.Cards != nil:
		rows := [][]string{{"ID", "STATUS", "WHO", "TITLE"}}
		for _, c := range a.Cards {
			rows = append(rows, []string{c.ID.String(), c.Status.String(), dash(c.Assignee), line(c.Title)})
		}
		table(x.Stdout, x.Width, rows)
	case len(a.Tasks) > 0:
		fmt.Fprintln(x.Stdout, ids(a.Tasks))
	case a.Status != 0:
		fmt.Fprintln(x.Stdout, a.Status)
	default:
		fmt.Fprintln(x.Stdout, "ok")
	}
	for _, n := range a.Notices {
		from := ""
		if n.By != "" {
			from = " by " + line(n.By)
		}
		x.say("notice: %s%s: %s", n.What, from, line(n.Text))
	}
	return nil
}

func workerShow(ctx context.Context, x *call) error {
	a, err := x.args(0, 1, "at most one task")
	if err != nil {
		return err
	}
	t, err := x.taskIDs(a)
	if err != nil {
		return err
	}
	var args worker.Show
	if len(t) == 1 {
		args.Task = t[0]
	}
	return x.tool(ctx, "show", args)
}

func workerList(ctx context.Context, x *call) error {
	args := worker.List{Assignee: x.str("assignee"), Limit: x.num("limit"), Archived: x.flag("archived")}
	if s := x.str("status"); s != "" {
		if err := args.Status.UnmarshalText([]byte(s)); err != nil {
			return usagef("%v", err)
		}
	}
	return x.tool(ctx, "list", args)
}

func workerCreate(ctx context.Context, x *call) error {
	a, err := x.args(1, 1, "a title")
	if err != nil {
		return err
	}
	priority, err := x.priority()
	if err != nil {
		return err
	}
	return x.tool(ctx, "create", worker.Create{Key: x.str("key"), Tasks: []worker.Task{{
		Title: a[0], Body: x.str("body"), Assignee: x.str("assignee"), Parents: x.list("parent"), Priority: priority, Triage: x.flag("triage"),
	}}})
}

func workerLink(ctx context.Context, x *call) error {
	a, err := x.args(2, 2, "a parent and a child")
	if err != nil {
		return err
	}
	t, err := x.taskIDs(a)
	if err != nil {
		return err
	}
	args := worker.Link{Key: x.str("key"), Parent: t[0], Child: t[1]}
	if s := x.str("needs"); s != "" {
		if err := args.Needs.UnmarshalText([]byte(s)); err != nil {
			return usagef("%v", err)
		}
	}
	return x.tool(ctx, "link", args)
}

func workerComment(ctx context.Context, x *call) error {
	a, err := x.args(1, -1, "a text")
	if err != nil {
		return err
	}
	args := worker.Comment{Key: x.str("key")}
	if t, err := events.ParseTaskID(a[0]); err == nil && len(a) > 1 {
		args.Task, a = t, a[1:]
	}
	args.Body = strings.Join(a, " ")
	return x.tool(ctx, "comment", args)
}

func workerHeartbeat(ctx context.Context, x *call) error {
	a, err := x.args(0, -1, "a note")
	if err != nil {
		return err
	}
	return x.tool(ctx, "heartbeat", worker.Heartbeat{Note: strings.Join(a, " "), Done: uint32(max(0, x.num("done"))), Total: uint32(max(0, x.num("total")))})
}

// putFiles hands files over to the store, by their names relative to the
// outputs folder where they lie in it.
func (x *call) putFiles(ctx context.Context, client *worker.Client, paths []string) ([]worker.Artifact, error) {
	var out []worker.Artifact
	for _, p := range paths {
		if !filepath.IsAbs(p) {
			p = filepath.Join(x.Dir, p)
		}
		name := filepath.Base(p)
		if rel, err := filepath.Rel(x.Getenv("HERMES_OUTPUTS"), p); err == nil && filepath.IsLocal(rel) {
			name = rel
		}
		f, err := os.Open(p)
		if err != nil {
			return nil, &boards.Rejection{Code: boards.CodeNoArtifact, Detail: err.Error(), Hint: "the task goes on; complete it with files that are there"}
		}
		if n := x.str("name"); n != "" && len(paths) == 1 {
			name = n
		}
		a, err := client.Put(ctx, filepath.ToSlash(name), struct{ io.Reader }{f}) // which the client cannot close
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func workerAttach(ctx context.Context, x *call) error {
	a, err := x.args(1, 1, "a path")
	if err != nil {
		return err
	}
	client, err := x.workerClient()
	if err != nil {
		return err
	}
	defer client.Close()
	files, err := x.putFiles(ctx, client, a)
	if err != nil {
		return err
	}
	return x.tool(ctx, "attach", worker.Attach{Key: x.str("key"), Artifact: files[0]})
}

// summary reads the words of a verdict: a flag or the arguments.
func (x *call) summary() (string, error) {
	a, err := x.args(0, -1, "a summary")
	if err != nil {
		return "", err
	}
	if s := x.str("summary"); s != "" {
		return s, nil
	}
	return strings.Join(a, " "), nil
}

func workerComplete(ctx context.Context, x *call) error {
	summary, err := x.summary()
	if err != nil {
		return err
	}
	created, err := x.taskIDs(x.list("created"))
	if err != nil {
		return err
	}
	client, err := x.workerClient()
	if err != nil {
		return err
	}
	defer client.Close()
	files, err := x.putFiles(ctx, client, x.list("artifact"))
	if err != nil {
		return err
	}
	meta, err := x.metadata()
	if err != nil {
		return err
	}
	args := worker.Complete{Key: x.str("key"), Verdict: events.Pass, Summary: summary, Result: x.str("result"),
		Metadata: meta, Artifacts: files, Created: created}
	if x.flag("fail") {
		args.Verdict = events.Fail
	}
	return x.tool(ctx, "complete", args)
}

func workerBlock(ctx context.Context, x *call) error {
	a, err := x.args(1, -1, "a reason")
	if err != nil {
		return err
	}
	args := worker.Block{Key: x.str("key"), Reason: strings.Join(a, " "), Options: x.list("option")}
	if k := x.str("kind"); k != "" {
		if err := args.Kind.UnmarshalText([]byte(k)); err != nil {
			return usagef("%v", err)
		}
	}
	return x.tool(ctx, "block", args)
}

func workerUnblock(ctx context.Context, x *call) error {
	a, err := x.args(1, -1, "a task and an answer")
	if err != nil {
		return err
	}
	t, err := x.taskIDs(a[:1])
	if err != nil {
		return err
	}
	return x.tool(ctx, "unblock", worker.Unblock{Key: x.str("key"), Task: t[0], Answer: strings.Join(a[1:], " ")})
}

func workerReview(ctx context.Context, x *call) error {
	summary, err := x.summary()
	if err != nil {
		return err
	}
	client, err := x.workerClient()
	if err != nil {
		return err
	}
	defer client.Close()
	files, err := x.putFiles(ctx, client, x.list("artifact"))
	if err != nil {
		return err
	}
	return x.tool(ctx, "request_review", worker.RequestReview{Key: x.str("key"), Summary: summary, Reviewer: x.str("reviewer"), Artifacts: files})
}

func workerChanges(ctx context.Context, x *call) error {
	a, err := x.args(1, -1, "what is to be changed")
	if err != nil {
		return err
	}
	return x.tool(ctx, "request_changes", worker.RequestChanges{Key: x.str("key"), Reason: strings.Join(a, " ")})
}

func workerApprove(ctx context.Context, x *call) error {
	summary, err := x.summary()
	if err != nil {
		return err
	}
	return x.tool(ctx, "approve", worker.Approve{Key: x.str("key"), Summary: summary})
}
