package mcp

import (
	"context"
	"slices"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/hermesboard/hermes/events"
)

// tool is one tool as the model sees it.
type tool struct {
	name   string
	what   string
	reads  bool // changes nothing
	repeat bool // the same call again, also without a key, has no second effect
	who    func(self) bool
	args   []arg
	call   func(r *run, ctx context.Context, a arguments) (*reply, error)
}

func (t *tool) offered(me self) bool { return me.role == 0 || t.who == nil || t.who(me) }

// Who is offered what. The rules behind the socket decide; this only spares
// a model what would be refused.
func notReviewing(me self) bool { return me.phase != events.Review }
func reviewing(me self) bool    { return me.phase == events.Review }
func lister(me self) bool       { return me.role != events.RoleWorker }
func orchestrator(me self) bool { return me.role == events.RoleOrchestrator }

// definition is the tool as it is listed. Some clients refuse a tool, run
// unattended, unless it says in so many words that it is harmless; some hide
// tools behind a search unless told not to.
func (t *tool) definition() *sdk.Tool {
	no := false
	return &sdk.Tool{
		Meta: sdk.Meta{"anthropic/alwaysLoad": true},
		Name: t.name, Description: t.what, InputSchema: schema(t.args),
		Annotations: &sdk.ToolAnnotations{ReadOnlyHint: t.reads, IdempotentHint: t.reads || t.repeat, DestructiveHint: &no, OpenWorldHint: &no},
	}
}

// Arguments that several tools have.
var (
	key       = arg{name: "idempotency_key", what: "any text of yours; the same key has one effect however often the call is made"}
	ownTask   = arg{name: "task_id", kind: task, what: "leave out: only this run's own task is possible"}
	anyTask   = arg{name: "task_id", kind: task, what: "a task, for example t42; this run's own if left out"}
	summary   = arg{name: "summary", what: "one to three sentences for whoever goes on: what was done and found"}
	metadata  = arg{name: "metadata", kind: object, what: "facts for machines: ids, counts, URLs"}
	artifacts = arg{name: "artifacts", kind: texts, what: "files to hand over: absolute paths, or relative to $HERMES_OUTPUTS; each must exist"}
)

func with(common []arg, own ...arg) []arg { return append(slices.Clip(own), common...) }

var tools = []*tool{
	{name: "kanban_show", reads: true, call: (*run).show,
		what: "Read a task: what is to be done, hand-offs of its parents, earlier attempts, comments, answers. Call it first, without arguments, for this run's own task.",
		args: []arg{anyTask}},
	{name: "kanban_list", reads: true, who: lister, call: (*run).list,
		what: "List tasks of this run's tenant.",
		args: []arg{{name: "assignee", what: "only tasks of this agent"},
			{name: "status", what: "only tasks with this status", one: []string{"triage", "todo", "scheduled", "ready", "running", "review", "blocked", "done", "archived"}},
			{name: "include_archived", kind: yesno, what: "also archived tasks"},
			{name: "limit", kind: count, what: "how many; 50 if left out, 200 at most"}}},
	{name: "kanban_create", call: (*run).create,
		what: "Create a task: a follow-up, or a part of this work for another agent. Answers its id.",
		args: with([]arg{key},
			arg{name: "title", what: "what is to be done, in one line", required: true},
			arg{name: "assignee", what: "the agent who shall do it; a person decides if left out"},
			arg{name: "body", what: "everything the agent needs to know; it sees nothing else of this run"},
			arg{name: "parents", kind: tasks, what: "ids of tasks it waits for; their results are given to it"},
			arg{name: "needs", what: "what its parents must end with: pass (default) or any verdict", one: []string{"pass", "any"}},
			arg{name: "priority", kind: integer, what: "higher goes first; 0 is normal"},
			arg{name: "triage", kind: yesno, what: "only a rough idea: somebody has to specify it first"},
			arg{name: "workspace_kind", what: "where it works: a fresh folder (scratch, default), or this run's own dir or repo", one: []string{"scratch", "dir", "repo", "worktree"}},
			arg{name: "workspace_path", what: "absolute path of that dir or repo"},
			arg{name: "max_runtime_seconds", kind: count, what: "how long one attempt may take"})},
	{name: "kanban_link", who: orchestrator, call: (*run).link,
		what: "Make one task wait for another.",
		args: with([]arg{key},
			arg{name: "parent_id", kind: task, what: "the task to wait for", required: true},
			arg{name: "child_id", kind: task, what: "the task that waits", required: true},
			arg{name: "needs", what: "what the parent must end with: pass (default) or any verdict", one: []string{"pass", "any"}})},
	{name: "kanban_complete", repeat: true, who: notReviewing, call: (*run).complete,
		what: "End this run: the work is done. Give a summary or a result. Files named in artifacts are handed over first; if one is missing the call is refused and the run goes on.",
		args: with([]arg{metadata, artifacts, key, ownTask}, summary,
			arg{name: "result", what: "the result itself, as text, if it is not in files"},
			arg{name: "verdict", what: "pass (default), or fail if the task turned out not to be doable or its outcome is negative", one: []string{"pass", "fail"}},
			arg{name: "created_cards", kind: tasks, what: "ids of tasks this run created; each is checked"})},
	{name: "kanban_request_review", repeat: true, who: notReviewing, call: (*run).requestReview,
		what: "End this run: the work is done but somebody shall look at it before it counts.",
		args: with([]arg{metadata, artifacts, key, ownTask},
			arg{name: summary.name, what: summary.what, required: true},
			arg{name: "reviewer", what: "which agent; a person or the default reviewer if left out"})},
	{name: "kanban_request_changes", repeat: true, who: reviewing, call: (*run).requestChanges,
		what: "End this review: the work goes back with findings.",
		args: with([]arg{key, ownTask},
			arg{name: "reason", what: "what is to be changed, so that the author can act on it", required: true})},
	{name: "kanban_approve", repeat: true, who: reviewing, call: (*run).approve,
		what: "End this review: the work is good.",
		args: with([]arg{key, ownTask}, summary)},
	{name: "kanban_block", repeat: true, call: (*run).block,
		what: "End this run with a question to a person. The task goes on, with the answer, in a later run. Use it when you cannot go on; never ask in your text.",
		args: with([]arg{key, ownTask},
			arg{name: "reason", what: "the question, or what is missing, understandable without this conversation", required: true},
			arg{name: "kind", what: "needs_input: a decision or fact; capability: a right, tool or secret is missing; transient: try again later; dependency: another task must come first", one: []string{"needs_input", "capability", "transient", "dependency"}},
			arg{name: "options", kind: texts, what: "answers to choose from"})},
	{name: "kanban_unblock", repeat: true, who: orchestrator, call: (*run).unblock,
		what: "Answer another task that is blocked, so that it goes on.",
		args: with([]arg{key},
			arg{name: "task_id", kind: task, what: "the blocked task", required: true},
			arg{name: "answer", what: "the answer, given to the agent"})},
	{name: "kanban_heartbeat", repeat: true, call: (*run).heartbeat,
		what: "Say that this run is alive, and how far it is. Changes nothing else.",
		args: []arg{{name: "note", what: "what is going on, in one line"},
			{name: "done", kind: count, what: "steps done"}, {name: "total", kind: count, what: "steps in all"}, key, ownTask}},
	{name: "kanban_comment", call: (*run).comment,
		what: "Say something about a task that shall outlive this run.",
		args: with([]arg{key, anyTask}, arg{name: "body", what: "the comment", required: true})},
	{name: "kanban_attach", call: (*run).attach,
		what: "Attach a file to this run's task now, before the run ends. Give a path, of any size; or filename and content_base64 for something small that is in no file.",
		args: with([]arg{key, ownTask},
			arg{name: "path", what: "absolute path, or relative to $HERMES_OUTPUTS"},
			arg{name: "filename", what: "what to call it; the file's own name if left out"},
			arg{name: "content_base64", what: "the bytes, base64, at most 256 KiB of them"})},
	{name: "kanban_attachments", reads: true, call: (*run).attachments,
		what: "List the files of a task, with size and SHA-256.",
		args: []arg{anyTask}},
}
