package supervise

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/agents/workspace"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/sandbox"
)

// bundleTime bounds the making of a bundle.
const bundleTime = 2 * time.Minute

// clone makes the private clone of a repository, unless the run took one over.
func (r *run) clone(ctx context.Context, dir string) (err error) {
	a := r.spec.Assignment
	if r.checkout, err = workspace.Open(dir); errors.Is(err, fs.ErrNotExist) {
		r.checkout, err = workspace.Clone(ctx, dir, workspace.Source{
			Repo: a.Workspace.Path, Base: a.Workspace.Base, Branch: workspace.Branch(a.Workspace, a.Run.Task), Agent: a.Agent,
		}, workspace.Limits{})
	}
	if err != nil {
		return fmt.Errorf("workspace: %w", err)
	}
	return nil
}

// send gives a verdict. Where it hands work over and the workspace is a
// repository, the agent's commits go with it: a verdict whose commits could
// not be stored is refused, and the run goes on.
func (r *run) send(ctx context.Context, id events.CommandID, c boards.Command) (boards.Result, error) {
	if r.checkout != nil {
		with, err := r.bundle.add(ctx, id, c)
		if err != nil {
			r.deps.Warn(fmt.Errorf("hand back the commits: %w", err))
			return boards.Result{}, &worker.Error{Code: "hand_back_failed", Message: "the commits of your branch could not be stored", Retry: true,
				Hint: "look whether git works in the workspace, then give the verdict again"}
		}
		c = with
	}
	res, err := r.verdict.send(ctx, id, c)
	if err == nil && passes(c) {
		r.passed.Store(true)
	}
	return res, err
}

// passes reports whether a verdict ends a task well.
func passes(c boards.Command) bool {
	switch c := c.(type) {
	case boards.CompleteTask:
		return c.Verdict == 0 || c.Verdict == events.Pass
	case boards.ApproveTask:
		return true
	}
	return false
}

// bundler stores the commits of a run's branch. It is safe for concurrent use.
type bundler struct {
	run     *run
	box     *sandbox.Sandbox
	spec    *sandbox.Spec // the agent's own
	outputs string

	mu   sync.Mutex
	sent map[events.CommandID]boards.Command // guarded by mu: the same verdict twice has the same files
}

// add returns the verdict with the bundle among its files; one that hands
// nothing over is returned as it is.
func (b *bundler) add(ctx context.Context, id events.CommandID, c boards.Command) (boards.Command, error) {
	switch c.(type) {
	case boards.CompleteTask, boards.RequestReview:
	default:
		return c, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if with, ok := b.sent[id]; ok {
		return with, nil
	}
	file, name, err := b.make(ctx)
	if err != nil {
		return nil, err
	}
	if name != "" {
		switch v := c.(type) {
		case boards.CompleteTask:
			v.Artifacts, v.Names = append(v.Artifacts, file), append(v.Names, name)
			c = v
		case boards.RequestReview:
			v.Artifacts, v.Names = append(v.Artifacts, file), append(v.Names, name)
			c = v
		}
	}
	if b.sent == nil {
		b.sent = make(map[events.CommandID]boards.Command)
	}
	b.sent[id] = c
	return c, nil
}

// make bundles in a second sandbox over the same workspace: git never runs on
// it outside. An empty name means that there is nothing to hand back.
func (b *bundler) make(ctx context.Context) (file events.Artifact, name string, err error) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), bundleTime, fmt.Errorf("git took longer than %v", bundleTime))
	defer cancel()
	s, err := b.box.Start(ctx, b.run.checkout.Bundle(b.spec, b.box))
	if err != nil {
		return file, "", err
	}
	status, err := s.Wait()
	if err := errors.Join(err, s.Close()); err != nil {
		return file, "", err
	}
	if status.Code != 0 {
		return file, "", fmt.Errorf("git ended with exit code %d", status.Code)
	}
	name = workspace.BundleName(b.run.checkout.Branch)
	f, _, err := sandbox.OpenArtifact(b.outputs, name, worker.MaxArtifactBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return file, "", nil
	} else if err != nil {
		return file, "", err
	}
	defer f.Close()
	file, err = b.run.deps.Store.Put(ctx, f, worker.MaxArtifactBytes)
	return file, name, err
}
