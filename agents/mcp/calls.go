package mcp

import (
	"context"
	"fmt"

	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// ask calls the socket. One answer takes not for ever.
func (r *run) ask(ctx context.Context, tool string, args any) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	a, err := r.Client.Call(ctx, tool, args)
	if err != nil {
		return nil, err
	}
	return &reply{Status: a.Status, Tasks: a.Tasks, Cards: a.Cards, Context: a.Context, Notices: a.Notices, detail: a.Task}, nil
}

// mine refuses a call that names another task where only the run's own is
// possible: the socket has no place to say so.
func (r *run) mine(ctx context.Context, task events.TaskID) error {
	if task == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	me, err := r.self(ctx)
	if err != nil {
		return err
	}
	if task != me.task {
		return &worker.Error{Code: string(boards.CodeNotYours), Message: fmt.Sprintf("%s is not this run's task, which is %s", task, me.task), Hint: "leave task_id out"}
	}
	return nil
}

// own is ask for what concerns the run's own task.
func (r *run) own(ctx context.Context, task events.TaskID, tool string, args any) (*reply, error) {
	if err := r.mine(ctx, task); err != nil {
		return nil, err
	}
	return r.ask(ctx, tool, args)
}

func (r *run) show(ctx context.Context, a arguments) (*reply, error) {
	rep, err := r.ask(ctx, "show", worker.Show{Task: a.Task})
	if err == nil && rep.detail != nil {
		rep.Task = facts(rep.detail, rep.Context != "")
	}
	return rep, err
}

func (r *run) attachments(ctx context.Context, a arguments) (*reply, error) {
	rep, err := r.ask(ctx, "show", worker.Show{Task: a.Task})
	if err != nil {
		return nil, err
	}
	out := &reply{Attachments: []file{}, Notices: rep.Notices}
	if rep.detail != nil {
		for _, f := range rep.detail.Artifacts {
			out.Attachments = append(out.Attachments, file{Name: f.Name, Kind: f.Kind, Size: f.Size, SHA256: f.SHA256, By: f.By.Name})
		}
	}
	return out, nil
}

func (r *run) list(ctx context.Context, a arguments) (*reply, error) {
	return r.ask(ctx, "list", worker.List{Assignee: a.Assignee, Status: a.Status, Limit: a.Limit, Archived: a.Archived})
}

func (r *run) create(ctx context.Context, a arguments) (*reply, error) {
	place := a.PlaceKind
	switch {
	case a.PlacePath != "" && (place == "" || place == "scratch"):
		return nil, badCall("workspace_kind: dir or repo", "workspace_path wants a workspace_kind that has a path")
	case a.PlacePath != "":
		place += ":" + a.PlacePath
	}
	task := worker.Task{Title: a.Title, Body: a.Body, Assignee: a.Assignee, Parents: a.Parents, Priority: a.Priority,
		Triage: a.Triage, Workspace: place, MaxRuntimeMS: int64(a.MaxRuntime) * 1000}
	if a.Needs != 0 {
		task.Needs = a.Needs.String()
	}
	return r.ask(ctx, "create", worker.Create{Key: a.Key, Tasks: []worker.Task{task}})
}

func (r *run) link(ctx context.Context, a arguments) (*reply, error) {
	return r.ask(ctx, "link", worker.Link{Key: a.Key, Parent: a.Parent, Child: a.Child, Needs: a.Needs})
}

func (r *run) complete(ctx context.Context, a arguments) (*reply, error) {
	if a.Summary == "" && a.Result == "" {
		return nil, badCall("summary: "+summary.what, "kanban_complete wants a summary or a result")
	}
	return r.handOver(ctx, a, "complete", func(files []worker.Artifact) any {
		return worker.Complete{Key: a.Key, Verdict: a.Verdict, Summary: a.Summary, Result: a.Result, Metadata: a.Metadata, Artifacts: files, Created: a.Created}
	})
}

func (r *run) requestReview(ctx context.Context, a arguments) (*reply, error) {
	return r.handOver(ctx, a, "request_review", func(files []worker.Artifact) any {
		return worker.RequestReview{Key: a.Key, Summary: a.Summary, Reviewer: a.Reviewer, Metadata: a.Metadata, Artifacts: files}
	})
}

// handOver gives a verdict with files, which are handed over before.
func (r *run) handOver(ctx context.Context, a arguments, tool string, args func([]worker.Artifact) any) (*reply, error) {
	if err := r.mine(ctx, a.Task); err != nil {
		return nil, err
	}
	files, err := r.putAll(ctx, a.Artifacts)
	if err != nil {
		return nil, err
	}
	rep, err := r.ask(ctx, tool, args(files))
	if err == nil {
		rep.Artifacts = files
	}
	return rep, err
}

func (r *run) requestChanges(ctx context.Context, a arguments) (*reply, error) {
	return r.own(ctx, a.Task, "request_changes", worker.RequestChanges{Key: a.Key, Reason: a.Reason})
}

func (r *run) approve(ctx context.Context, a arguments) (*reply, error) {
	return r.own(ctx, a.Task, "approve", worker.Approve{Key: a.Key, Summary: a.Summary})
}

func (r *run) block(ctx context.Context, a arguments) (*reply, error) {
	return r.own(ctx, a.Task, "block", worker.Block{Key: a.Key, Kind: a.Block, Reason: a.Reason, Options: a.Options})
}

func (r *run) unblock(ctx context.Context, a arguments) (*reply, error) {
	return r.ask(ctx, "unblock", worker.Unblock{Key: a.Key, Task: a.Task, Answer: a.Answer})
}

// heartbeat has no use for its key: a second one has no second effect.
func (r *run) heartbeat(ctx context.Context, a arguments) (*reply, error) {
	return r.own(ctx, a.Task, "heartbeat", worker.Heartbeat{Note: a.Note, Done: a.Done, Total: a.Total})
}

func (r *run) comment(ctx context.Context, a arguments) (*reply, error) {
	return r.ask(ctx, "comment", worker.Comment{Key: a.Key, Task: a.Task, Body: a.Body})
}

func (r *run) attach(ctx context.Context, a arguments) (*reply, error) {
	if err := r.mine(ctx, a.Task); err != nil {
		return nil, err
	}
	f, err := r.putOne(ctx, a)
	if err != nil {
		return nil, err
	}
	rep, err := r.ask(ctx, "attach", worker.Attach{Key: a.Key, Artifact: f})
	if err == nil {
		rep.Artifacts = []worker.Artifact{f}
	}
	return rep, err
}
