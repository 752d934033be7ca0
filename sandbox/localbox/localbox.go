//go:build unix

package localbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/process"
)

// Option changes what New makes.
type Option func(*local)

// WithCgroups gives sessions control groups of their own, with the limits that
// they enforce on this host.
func WithCgroups(c *sandbox.Cgroups) Option { return func(l *local) { l.cgroups = c } }

// New returns the backend "local".
func New(options ...Option) *sandbox.Sandbox {
	var l local
	for _, set := range options {
		set(&l)
	}
	return sandbox.New(l)
}

type local struct{ cgroups *sandbox.Cgroups }

func (local) Name() string { return "local" }

func (l local) Capabilities() driver.Capabilities {
	return driver.NetworkFull | driver.Socket | limitCapabilities | l.cgroups.Capabilities()
}

func (l local) Cgroup(mark string) string { return l.cgroups.Path(mark) }

// Layout returns the host's own paths.
func (local) Layout(spec *driver.Spec) driver.Layout {
	return driver.Layout{
		Workspace: spec.Workspace, Inputs: spec.Inputs, Outputs: spec.Outputs,
		SocketDir: spec.SocketDir, Program: spec.Program,
	}
}

func (l local) Start(_ context.Context, spec *driver.Spec) (driver.Session, error) {
	if err := supervised(); err != nil {
		return nil, err
	}
	dir := spec.Dir
	if dir == "" {
		dir = spec.Workspace
	}
	path, err := lookPath(spec.Argv[0], dir, spec.Env)
	if err != nil {
		return nil, err
	}
	env := append([]string(nil), spec.Env...)
	env = append(env, "PWD="+dir, sandbox.MarkVariable+"="+spec.Mark)
	group, err := l.cgroups.Make(spec.Mark, spec.Limits)
	if err != nil {
		return nil, err
	}
	proc, err := process.Start(&process.Command{
		Path: path, Argv: spec.Argv, Env: env, Dir: dir, Mark: spec.Mark, Group: group,
		IO:        process.Streams{Stdin: spec.Stdin, Stdout: spec.Stdout, Stderr: spec.Stderr},
		OpenFiles: spec.Limits.OpenFiles, FileBytes: spec.Limits.FileBytes,
	})
	if err != nil {
		return nil, errors.Join(err, group.Remove())
	}
	return &session{proc: proc, group: group}, nil
}

// lookPath finds a program as execvp would in the session, not as the
// supervisor would.
func lookPath(name, dir string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return name, nil
	}
	path := "/usr/bin:/bin"
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			path = value
		}
	}
	for _, folder := range filepath.SplitList(path) {
		if !filepath.IsAbs(folder) {
			folder = filepath.Join(dir, folder)
		}
		full := filepath.Join(folder, name)
		if info, err := os.Stat(full); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return full, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
}

// Probe runs a program and sees that it ends.
func (l local) Probe(ctx context.Context) driver.Report {
	dir, err := os.MkdirTemp("", "hermes-probe-")
	if err != nil {
		return driver.Report{Reason: err.Error()}
	}
	defer os.RemoveAll(dir)
	run, err := l.Start(ctx, &driver.Spec{
		Argv: []string{"/bin/sh", "-c", "exit 7"}, Workspace: dir, Mark: rand.Text(), Network: driver.FullNetwork,
	})
	if err != nil {
		return driver.Report{Reason: err.Error()}
	}
	status, err := run.Wait()
	if err == nil && status.Code != 7 {
		err = fmt.Errorf("a shell told to exit with 7 ended with %v", status)
	}
	if closeErr := run.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return driver.Report{Reason: err.Error()}
	}
	return driver.Report{Available: true}
}
