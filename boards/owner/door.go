package owner

import (
	"cmp"
	"context"
	"crypto/sha256"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// door is what the supervisor of one run may ask for.
type door struct {
	o      *Owner
	by     boards.Principal
	tenant string
}

// Door returns the door of the run that has this token. The token is looked up
// by its SHA-256, so that nothing is learned from how long it takes. A run
// that has ended keeps its door for a while, so that a lost answer can be
// asked for again. The error is an *api.Error with code forbidden.
func (o *Owner) Door(token string) (api.Door, error) {
	digest := events.Digest(sha256.Sum256([]byte(token)))
	o.rlock()
	defer o.mu.RUnlock()
	if r := o.view.RunByToken(digest); r != nil {
		return &door{o, principalOf(r), r.Tenant}, nil
	}
	if e, ok := o.ended.byToken[digest]; ok {
		return &door{o, e.by, e.tenant}, nil
	}
	return nil, &api.Error{Code: api.CodeForbidden, Message: "no run has this token, or it has ended"}
}

func principalOf(r *projections.Run) boards.Principal {
	return boards.Principal{Actor: events.Actor{Kind: events.Worker, Name: r.Agent}, Run: r.ID, Fence: r.Fence, Role: r.Role}
}

// isWorkers reports whether a run's supervisor may send a command; what its
// role allows is for the rules to say.
func isWorkers(c boards.Command) bool {
	switch c.(type) {
	case boards.Heartbeat, boards.CompleteTask, boards.RequestReview, boards.ApproveTask, boards.RequestChanges, boards.BlockTask,
		boards.CommentTask, boards.AttachFile, boards.CreateTasks, boards.LinkTasks, boards.UnlinkTasks, boards.UnblockTask,
		boards.EndRun, boards.RefuseCalls, boards.ReportBudget:
		return true
	}
	return false
}

// Do implements [api.Door].
func (d *door) Do(ctx context.Context, id events.CommandID, c boards.Command) (boards.Result, error) {
	if c == nil || !isWorkers(c) {
		return boards.Result{}, &api.Error{Code: api.CodeForbidden, Message: "a run may not send this command"}
	}
	return d.o.Do(ctx, d.by, id, c)
}

// Show implements [api.Door]: tasks of another tenant are not there.
func (d *door) Show(ctx context.Context, task events.TaskID) (projections.Detail, error) {
	detail, err := d.o.Show(ctx, task)
	if err == nil && detail.Tenant != d.tenant && task != d.by.Run.Task {
		return projections.Detail{}, noTask(task)
	}
	return detail, err
}

// List implements [api.Door]: only tasks of the run's tenant.
func (d *door) List(ctx context.Context, q projections.ListQuery) ([]projections.Card, error) {
	q.Tenant = &d.tenant
	return d.o.List(ctx, q)
}

// Renew implements [api.Door].
func (d *door) Renew(context.Context) (api.RunState, error) {
	d.o.rlock()
	s := api.RunState{Head: d.o.head.Seq}
	if r := d.o.view.Run(d.by.Run); r != nil && r.Fence == d.by.Fence {
		s.Open, s.Verdict, s.Stopping, s.Then = true, r.Verdict != "", r.Stopping, r.Then
	}
	d.o.mu.RUnlock()
	if s.Open && d.o.opts.Renewed != nil {
		d.o.opts.Renewed(d.by.Run)
	}
	return s, nil
}

// Close implements [api.Door].
func (d *door) Close() error { return nil }

// Assignment returns what whoever starts a claimed run must know.
func (o *Owner) Assignment(run events.RunID) (boards.Assignment, error) {
	o.rlock()
	defer o.mu.RUnlock()
	r, t := o.view.Run(run), o.view.Task(run.Task)
	if r == nil || t == nil {
		return boards.Assignment{}, &boards.Rejection{Code: boards.CodeNotFound, Task: run.Task, Detail: "no open run " + run.String()}
	}
	policy, _ := o.view.Policy()
	policy.TermMS = cmp.Or(r.ExpiresMS, policy.TermMS) // the run was claimed under that term
	longest := t.MaxRuntimeMS
	if longest == 0 {
		longest = policy.MaxRuntimeMS
	}
	return boards.Assignment{
		Board: o.store.Board(), Slug: o.store.Slug(),
		Run: r.ID, Fence: r.Fence, Agent: r.Agent, Role: r.Role, Tenant: r.Tenant, Phase: r.Phase,
		Workspace: t.Workspace, Continues: r.Continues, Backend: r.Backend, Runtime: r.Runtime, Model: r.Model,
		Policy: policy, MaxRunMS: longest,
	}, nil
}

// endedRuns remembers who held the tokens of the runs that ended last.
type endedRuns struct {
	byToken map[events.Digest]endedRun
	order   []events.Digest // a ring
	next    int
}

type endedRun struct {
	by     boards.Principal
	tenant string
}

const endedRunsKept = 1024

// note keeps a run that r ends; to be called before r is folded into the view.
func (e *endedRuns) note(v *projections.View, r *events.Record) {
	if _, ends := r.Data.(events.RunEnded); !ends {
		return
	}
	run := v.Run(r.Run)
	if run == nil || run.Token == (events.Digest{}) {
		return
	}
	if e.byToken == nil {
		e.byToken = make(map[events.Digest]endedRun)
	}
	if len(e.order) < endedRunsKept {
		e.order = append(e.order, run.Token)
	} else {
		delete(e.byToken, e.order[e.next])
		e.order[e.next] = run.Token
		e.next = (e.next + 1) % endedRunsKept
	}
	e.byToken[run.Token] = endedRun{principalOf(run), run.Tenant}
}
