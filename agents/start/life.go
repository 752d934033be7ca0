package start

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/sandbox"
)

// reportTime is how long a supervisor may take, beyond the grace of its agent,
// to report the end.
var reportTime = 10 * time.Second

// Alive reports whether anything of a run lives: its supervisor, or a process
// that carries its mark. started may be zero: the run was claimed but its
// start never recorded.
//
// A process that a supervisor was about to start when it was killed carries no
// mark yet, but is of no account: it was made to be killed with its parent, and
// never comes to execute its program.
func Alive(board events.BoardID, run events.RunID, started events.RunStarted) (bool, error) {
	if Same(started) {
		return true, nil
	}
	boot, err := bootID()
	if err != nil {
		return false, err
	}
	if started.Boot != "" && started.Boot != boot {
		return false, nil
	}
	if alive, err := groupAlive(started); alive || err != nil {
		return alive, err
	}
	pids, err := sandbox.Marked(Mark(board, run))
	return len(pids) > 0, err
}

// groupAlive looks into the control group of a run. A group that this process
// cannot judge says nothing: the run's marks are left to tell.
func groupAlive(started events.RunStarted) (bool, error) {
	if started.Cgroup == "" {
		return false, nil
	}
	alive, err := sandbox.CgroupAlive(started.Cgroup)
	if errors.Is(err, sandbox.ErrCgroupPath) || errors.Is(err, errors.ErrUnsupported) {
		return false, nil
	}
	return alive, err
}

// killGroup ends what is in the control group of a run, as far as this process may.
func killGroup(started events.RunStarted) error {
	if started.Cgroup == "" {
		return nil
	}
	err := sandbox.KillCgroup(started.Cgroup)
	if errors.Is(err, sandbox.ErrCgroupPath) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// Nudge makes the supervisor of that identity look at its board.
func Nudge(started events.RunStarted) { tell(started, syscall.SIGUSR1) }

// tell reaches the very process of that identity or none.
func tell(id events.RunStarted, sig syscall.Signal) {
	// The process is held on to before its identity is checked, so that the
	// pid cannot become another's in between.
	p, err := os.FindProcess(int(id.PID))
	if err != nil {
		return
	}
	defer p.Release()
	if Same(id) {
		p.Signal(sig)
	}
}

// Kill ends the processes that a dead supervisor left of a run: what is in its
// control group, and what carries its mark. It does not wait for them.
func Kill(board events.BoardID, run events.RunID, started events.RunStarted) error {
	if err := killGroup(started); err != nil {
		return fmt.Errorf("control group of %s: %w", run, err)
	}
	return sandbox.KillMarked(Mark(board, run))
}

// Stop ends a run's processes. A supervisor that lives is asked first: it stops
// its agent and reports the end. What is left after the grace and some time to
// report, or without a supervisor, is killed. It returns an error if something
// survives that too.
func Stop(ctx context.Context, board events.BoardID, run events.RunID, started events.RunStarted, grace time.Duration) error {
	if Same(started) {
		Nudge(started)
		if gone, err := awaitGone(ctx, board, run, started, grace+reportTime); gone || err != nil {
			return err
		}
		tell(started, syscall.SIGKILL)
	}
	for range 5 {
		if err := Kill(board, run, started); err != nil {
			return err
		}
		if gone, err := awaitGone(ctx, board, run, started, 2*time.Second); gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("processes of %s survive being killed", run)
}

func awaitGone(ctx context.Context, board events.BoardID, run events.RunID, started events.RunStarted, most time.Duration) (bool, error) {
	deadline := time.Now().Add(most)
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		alive, err := Alive(board, run, started)
		if err != nil || !alive {
			return err == nil, err
		}
		if time.Now().After(deadline) {
			return false, nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}
