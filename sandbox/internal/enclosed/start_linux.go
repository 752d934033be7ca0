//go:build linux

package enclosed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/cgroup"
	"github.com/hermesboard/hermes/sandbox/internal/process"
)

// Errors of Command.Signal, which is then tried again for a while.
var (
	ErrNotYet = errors.New("the program has not been started yet")
	// ErrUnsure is of a signal that was sent, perhaps: of a program that it ended
	// at once the runtime may say that there is none.
	ErrUnsure = errors.New("the container program did not send the signal")
)

var errNothing = errors.New("unshare ended before it made a process name space")

// Command is what is run for a spec.
type Command struct {
	// Argv is the container program, by its path, and its arguments.
	Argv []string
	// Env is its environment; the mark is added.
	Env  []string
	Spec *driver.Spec
	// Group is the session's, which removes it; nil for none.
	Group *cgroup.Group
	// Complaint begins the line on standard error that says why there was no
	// program; each of Speakers begins one of somebody else who may say so.
	Complaint string
	Speakers  []string
	// Failure is why the container program says there was no program, empty if
	// it says nothing. Nil for one that never does.
	Failure func() string
	// Signal sends one to the program; first is the container program.
	Signal func(first int, sig syscall.Signal) error
	// Cleanup removes what the session leaves; it may be called again. It is
	// called when Start fails, too.
	Cleanup func() error
	// Limited sets the spec's limits of single processes on the container
	// program, which hands them on.
	Limited bool
}

// Unshare is the path of the program that is needed.
func Unshare() (string, error) {
	path, err := exec.LookPath("unshare")
	if err != nil {
		return "", fmt.Errorf("unshare of util-linux is not installed: %w", err)
	}
	return path, nil
}

// Start runs the command. ctx bounds starting.
func Start(ctx context.Context, c *Command) (driver.Session, error) {
	s := &session{c: c, said: &process.Head{To: c.Spec.Stderr}}
	unshare, err := Unshare()
	if err == nil {
		command := &process.Command{
			Path: unshare, Argv: append(isolate(), c.Argv...), Dir: "/", Mark: c.Spec.Mark, Group: c.Group,
			Env: append([]string{sandbox.MarkVariable + "=" + c.Spec.Mark}, c.Env...),
			IO:  pipes(c.Spec, s.said),
		}
		if c.Limited {
			command.OpenFiles, command.FileBytes = c.Spec.Limits.OpenFiles, c.Spec.Limits.FileBytes
		}
		s.tree.Group = c.Group
		s.tree.Outer, err = process.Start(command)
	}
	if err != nil {
		return nil, errors.Join(err, c.Group.Remove(), c.Cleanup())
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// pipes are never the null device: some runtimes give what they get to the
// container's user, and that would be the host's own.
func pipes(spec *driver.Spec, stderr io.Writer) process.Streams {
	s := process.Streams{Stdin: spec.Stdin, Stdout: spec.Stdout, Stderr: stderr}
	if s.Stdin == nil {
		s.Stdin = strings.NewReader("")
	}
	switch {
	case s.Stdout == nil:
		s.Stdout = io.Discard
	case process.SameWriter(spec.Stdout, spec.Stderr):
		s.Stdout = stderr // still one pipe, so that writes do not overlap
	}
	return s
}

// isolate is the command that makes the container program the first process of a process
// namespace, which the kernel ends with the command.
func isolate() []string {
	argv := []string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc"}
	if os.Geteuid() != 0 {
		argv = append(argv, "--user", "--map-root-user")
	}
	return append(argv, "--")
}
