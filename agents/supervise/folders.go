package supervise

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/workspace"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// folders are the host's folders of a run.
type folders struct {
	workspace, inputs, outputs, state string
}

// folders makes the folders of a run. A run that continues another takes over
// its workspace; the agent's state folder is one per task and agent.
func (r *run) folders(ctx context.Context) (folders, error) {
	dir, a := r.spec.Dir(), r.spec.Assignment
	f := folders{
		workspace: filepath.Join(dir, "workspace"),
		inputs:    filepath.Join(dir, "inputs"),
		outputs:   filepath.Join(dir, "outputs"),
		state:     filepath.Join(r.spec.BoardDir, "state", a.Run.Task.String(), a.Agent),
	}
	if a.Workspace.Path != "" {
		if err := r.outside(a.Workspace.Path); err != nil {
			return f, fmt.Errorf("workspace: %w", err)
		}
	}
	if a.Workspace.Kind == events.Dir {
		f.workspace = a.Workspace.Path
	}
	if a.Continues != (events.RunID{}) {
		if err := workspace.TakeOver(filepath.Dir(dir), a.Continues, a.Run); err != nil {
			return f, fmt.Errorf("take over from %s: %w", a.Continues, err)
		}
	}
	if a.Workspace.Kind == events.Repo {
		if err := r.clone(ctx, dir); err != nil {
			return f, err
		}
	}
	for _, p := range []string{f.workspace, f.inputs, f.outputs, f.state} {
		if err := os.MkdirAll(p, 0o700); err != nil {
			return f, fmt.Errorf("folders of the run: %w", err)
		}
	}
	return f, nil
}

// earlier puts what the attempt before left among the inputs of a run that
// starts clean. Only one of its own phase counts: a reviewer leaves alone what
// the work was done in, for the work may go on there.
func (r *run) earlier(ctx context.Context, runs []projections.RunRow) {
	a := r.spec.Assignment
	if a.Continues != (events.RunID{}) {
		return
	}
	var last events.RunID
	for _, row := range runs {
		if row.Phase == a.Phase && row.Run.N < a.Run.N {
			last = row.Run
		}
	}
	if last == (events.RunID{}) {
		return
	}
	if _, err := workspace.Earlier(ctx, filepath.Dir(r.spec.Dir()), last, a.Run); err != nil {
		r.deps.Warn(fmt.Errorf("what attempt %d left: %w", last.N, err))
	}
}

// outside refuses a folder of the host that would show an agent the boards and
// their keys, or what is another profile's, or is shown by them.
func (r *run) outside(path string) error {
	for _, own := range []string{r.spec.BoardDir, filepath.Join(r.spec.Home, "boards"), filepath.Join(r.spec.Home, "anchors")} {
		for _, p := range []string{path, resolved(path)} {
			if within(p, own) || within(own, p) || within(p, resolved(own)) || within(resolved(own), p) {
				return fmt.Errorf("%s lies in, or around, the folder of the boards (%s)", path, own)
			}
		}
	}
	profiles, own := filepath.Join(r.spec.Home, "profiles"), filepath.Dir(filepath.Dir(r.spec.Agent.Dir)) // <profile>/agents/<name>
	for _, p := range []string{path, resolved(path)} {
		for _, all := range []string{profiles, resolved(profiles)} {
			if within(all, p) || within(p, all) && !within(p, own) && !within(p, resolved(own)) {
				return fmt.Errorf("%s lies in, or around, the folder of another profile (%s)", path, profiles)
			}
		}
	}
	return nil
}

// resolved follows the symbolic links of as much of a path as exists.
func resolved(path string) string {
	for dir, rest := path, ""; ; dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest)
		}
		if dir == filepath.Dir(dir) {
			return path
		}
	}
}

// within reports whether path is dir or lies in it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// inputs hands over what the task's parents made, what is attached to it, and
// to a reviewer the work.
func (r *run) inputs(ctx context.Context, f folders, d projections.Detail) error {
	for _, h := range d.Inputs {
		if err := r.handOver(ctx, filepath.Join(f.inputs, h.Task.String()), h.Artifacts); err != nil {
			return fmt.Errorf("inputs from %s: %w", h.Task, err)
		}
	}
	if h := d.Handoff; h != nil && r.spec.Assignment.Phase == events.Review {
		if err := r.handOver(ctx, filepath.Join(f.inputs, d.ID.String()), h.Artifacts); err != nil {
			return fmt.Errorf("the work to review: %w", err)
		}
	}
	if err := r.handOver(ctx, filepath.Join(f.inputs, agents.AttachedDir), agents.Attachments(d)); err != nil {
		return fmt.Errorf("attachments: %w", err)
	}
	return nil
}

// handOver copies stored files, read-only.
func (r *run) handOver(ctx context.Context, dir string, files []projections.ArtifactRow) error {
	if len(files) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for i, name := range agents.InputNames(files) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.copyIn(root, filepath.FromSlash(name), files[i].SHA256); err != nil {
			return fmt.Errorf("%q: %w", files[i].Name, err)
		}
	}
	return nil
}

// copyIn copies a stored file. It is a copy because an agent may be able to
// write to its inputs, and is checked because others may have written to the store.
func (r *run) copyIn(root *os.Root, name string, digest events.Digest) error {
	src, err := r.deps.Open(digest)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	dst, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o444)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(dst, sum), src)
	if err = errors.Join(err, dst.Close()); err == nil && events.Digest(sum.Sum(nil)) != digest {
		err = fmt.Errorf("what is stored is not %s", digest)
	}
	return err
}
