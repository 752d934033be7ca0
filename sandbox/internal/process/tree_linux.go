package process

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/cgroup"
)

// Tree is a process of this host and the process name space that it made. It
// is not safe for concurrent use.
type Tree struct {
	Outer *Process
	// First is the first process of the name space: when it has ended, all
	// others have. Nil if Outer ended before it was seen.
	First *Handle
	Group *cgroup.Group // nil if it has none

	dead bool // it was proven empty
}

// Dead reports whether Kill has proven that nothing is left.
func (t *Tree) Dead() bool { return t.dead }

// Alive reports whether any process may be alive.
func (t *Tree) Alive() bool {
	if t.dead {
		return false
	}
	if grouped, err := t.Group.Alive(); err != nil || grouped || !t.Outer.Ended() {
		return true
	}
	if t.First == nil {
		return false
	}
	ended, err := t.First.WaitEnded(0)
	return err != nil || !ended
}

// Kill ends every process, and gives up what it has of them. It returns nil
// only when none is left, and may be called again. limit bounds each of its
// three waits.
func (t *Tree) Kill(limit time.Duration) error {
	if t.dead {
		return nil
	}
	t.Outer.Signal(unix.SIGKILL) // an error means that it has ended
	if t.First != nil {
		t.First.Signal(unix.SIGKILL)
		if ended, err := t.First.WaitEnded(int(limit.Milliseconds())); err != nil || !ended {
			left := &driver.TreeAliveError{PIDs: []int{t.First.Stat.PID}}
			if err != nil {
				left.Reason = err.Error()
			}
			return left
		}
	}
	select {
	case <-t.Outer.Done():
	case <-time.After(limit):
		return &driver.TreeAliveError{PIDs: []int{t.Outer.Main.PID}}
	}
	if err := t.Group.Empty(limit); err != nil {
		return err
	}
	if t.First != nil {
		t.First.Reap() // ours if this process adopts orphans, else the host's
		t.First.Close()
	}
	t.Outer.Release()
	t.dead = true
	return nil
}

// Settled waits for one value of begun, which is sent in any case when the
// process has ended. When ctx ends before, the process is killed.
func (p *Process) Settled(ctx context.Context, begun <-chan error) error {
	select {
	case err := <-begun:
		return err
	case <-ctx.Done():
		p.Signal(unix.SIGKILL) // an error means that it has ended
		<-begun
		return context.Cause(ctx)
	}
}
