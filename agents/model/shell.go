package model

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Bounds of a shell command.
const (
	shellTime    = 2 * time.Minute
	maxShellTime = 20 * time.Minute
	maxShown     = 32 << 10
)

type shellArgs struct {
	Command string `json:"command"`
	Seconds int    `json:"timeout_seconds"`
}

// shell runs a command in a process group of its own, which is killed when its
// time is up. What daemonises out of it ends with the sandbox.
func (b *bench) shell(ctx context.Context, a shellArgs) (string, error) {
	limit := time.Duration(a.Seconds) * time.Second
	switch {
	case a.Command == "" || strings.ContainsRune(a.Command, 0):
		return "", errors.New("shell wants a command, without NUL bytes")
	case a.Seconds == 0:
		limit = shellTime
	case a.Seconds < 0 || a.Seconds > int(maxShellTime.Seconds()):
		return "", fmt.Errorf("timeout_seconds is between 1 and %d", int(maxShellTime.Seconds()))
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var out ends
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", a.Command)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = b.Workspace, b.env, &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // a child that keeps the output open is not waited for
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		return fmt.Sprintf("killed after %s\n%s", limit, out.String()), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return "exit status 0\n" + out.String(), nil
	case errors.As(err, &exit):
		return exit.String() + "\n" + out.String(), nil
	}
	return "", err
}

// ends keeps the beginning and the end of what is written.
type ends struct {
	mu      sync.Mutex
	first   []byte // guarded by mu
	last    []byte // guarded by mu
	dropped int64  // guarded by mu: between them
}

func (e *ends) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(p)
	room := min(maxShown/2-len(e.first), n)
	e.first = append(e.first, p[:room]...)
	e.last = append(e.last, p[room:]...)
	if over := len(e.last) - maxShown/2; over > 0 {
		e.last = append(e.last[:0], e.last[over:]...)
		e.dropped += int64(over)
	}
	return n, nil
}

func (e *ends) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	middle := ""
	if e.dropped > 0 {
		middle = fmt.Sprintf("\n… %d bytes left out …\n", e.dropped)
	}
	return strings.ToValidUTF8(string(e.first)+middle+string(e.last), "?")
}
