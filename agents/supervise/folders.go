package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// folders are the host's folders of a run.
type folders struct {
	workspace, inputs, outputs, state string
}

// prepare makes the folders of a run. A run that continues another takes over
// its workspace; the agent's state folder is one per task and agent.
func (r *run) prepare(ctx context.Context, d projections.Detail) (folders, error) {
	dir, a := r.spec.Dir(), r.spec.Assignment
	f := folders{
		workspace: filepath.Join(dir, "workspace"),
		inputs:    filepath.Join(dir, "inputs"),
		outputs:   filepath.Join(dir, "outputs"),
		state:     filepath.Join(r.spec.BoardDir, "state", a.Run.Task.String(), a.Agent),
	}
	if a.Workspace.Kind == events.Dir {
		f.workspace = a.Workspace.Path
		if err := os.MkdirAll(f.workspace, 0o700); err != nil {
			return f, fmt.Errorf("workspace: %w", err)
		}
	} else if a.Continues != (events.RunID{}) {
		before := RunDir(r.spec.BoardDir, a.Continues)
		for _, part := range []string{"workspace", "outputs"} {
			err := os.Rename(filepath.Join(before, part), filepath.Join(dir, part))
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
				return f, fmt.Errorf("workspace of %s: %w", a.Continues, err)
			}
		}
	}
	for _, p := range []string{f.workspace, f.inputs, f.outputs, f.state} {
		if err := os.MkdirAll(p, 0o700); err != nil {
			return f, fmt.Errorf("folders of the run: %w", err)
		}
	}
	for _, h := range d.Inputs {
		if err := r.handOver(ctx, filepath.Join(f.inputs, h.Task.String()), h.Artifacts); err != nil {
			return f, fmt.Errorf("inputs from %s: %w", h.Task, err)
		}
	}
	if err := r.handOver(ctx, filepath.Join(f.inputs, "attached"), attachments(d)); err != nil {
		return f, fmt.Errorf("attachments: %w", err)
	}
	return f, nil
}

func attachments(d projections.Detail) []projections.ArtifactRow {
	var out []projections.ArtifactRow
	for _, a := range d.Artifacts {
		if a.Kind == "attachment" {
			out = append(out, a)
		}
	}
	return out
}

// handOver copies stored files, read-only, under the names they were given.
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
	for _, a := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.copyIn(root, a); err != nil {
			return fmt.Errorf("%q: %w", a.Name, err)
		}
	}
	return nil
}

func (r *run) copyIn(root *os.Root, a projections.ArtifactRow) error {
	src, err := r.deps.Open(a.SHA256)
	if err != nil {
		return err
	}
	defer src.Close()
	name := filepath.FromSlash(a.Name)
	if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	root.Remove(name) // an earlier life of this run was cut off while copying
	dst, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o444)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}
