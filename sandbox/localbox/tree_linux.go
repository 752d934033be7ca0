package localbox

import (
	"errors"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/cgroup"
	"github.com/hermesboard/hermes/sandbox/internal/process"
)

const limitCapabilities = driver.LimitOpenFiles | driver.LimitFileSize

// killTime bounds one Kill.
const killTime = 10 * time.Second

var errNotSupervising = errors.New("this process did not call sandbox.Supervise")

func supervised() error {
	if !process.Supervising() {
		return errNotSupervising
	}
	return nil
}

// A look that finds nobody counts for quiet when it reaped nobody either, and
// otherwise for one: whom it reaped may have had a child that it missed. The
// tree is gone after enough of it in a row.
const (
	quiet  = 3
	enough = 2 * quiet
)

// killTree kills until looks in a row find nobody: one look can miss a process
// that is born while its parent dies. A look is at the group, if there is one,
// and at every process of the host all the same: a program with the rights to
// do so can leave its group.
func killTree(proc *process.Process, group *cgroup.Group) error {
	proc.Signal(unix.SIGKILL) // an error means that it has ended
	deadline := time.Now().Add(killTime)
	pause := time.Millisecond
	for empty := 0; ; {
		left, err := sweep(proc, group, true)
		if err != nil {
			return err
		}
		grouped, err := group.Alive()
		if err == nil && grouped {
			err = group.Kill()
		}
		if err != nil {
			return err
		}
		if left.empty() && !grouped && proc.Ended() {
			if empty++; !left.reaped {
				empty += quiet - 1
			}
			if empty >= enough {
				return nil
			}
			continue
		}
		empty = 0
		if !proc.Ended() {
			process.ReapThreads(proc.Main.PID)
		}
		if time.Now().After(deadline) {
			if grouped && left.empty() {
				return &driver.TreeAliveError{Reason: "left in the session's cgroup"}
			}
			return left.err(proc)
		}
		time.Sleep(pause)
		pause = min(2*pause, 50*time.Millisecond)
	}
}

func alive(proc *process.Process, group *cgroup.Group) bool {
	if !proc.Ended() {
		return true
	}
	if grouped, err := group.Alive(); err != nil || grouped {
		return true
	}
	left, err := sweep(proc, group, false)
	return err != nil || !left.empty()
}

// remains is who a sweep found besides the main process.
type remains struct {
	pids     []int
	doubtful bool  // some may belong to another session
	reaped   bool  // some were dead
	killErr  error // why a process could not be signalled
}

func (r remains) empty() bool { return len(r.pids) == 0 }

func (r remains) err(proc *process.Process) error {
	err := &driver.TreeAliveError{PIDs: r.pids}
	if !proc.Ended() {
		err.PIDs = append(err.PIDs, proc.Main.PID)
	}
	slices.Sort(err.PIDs)
	switch {
	case r.killErr != nil:
		err.Reason = r.killErr.Error()
	case r.doubtful:
		err.Reason = "some left every trace behind and may belong to another session that is still open"
	}
	return err
}

// sweep looks for the descendants of proc once and reaps the dead among them
// that became our children. With kill, the living are killed.
func sweep(proc *process.Process, group *cgroup.Group, kill bool) (left remains, err error) {
	process.Locked(func(mains map[int]process.Main) {
		var all []process.Stat
		if all, err = process.Scan(); err != nil {
			return
		}
		var self process.Stat
		if self, err = process.ReadStat(os.Getpid()); err != nil {
			return
		}
		found := attribute(all, self, mains, func(pid int) (mark string, certain bool) {
			if mark := group.MarkOf(pid); mark != "" {
				return mark, true
			}
			return process.MarkOf(pid), false
		})
		mine := found.members[proc.Main.PID]
		for _, p := range found.strays {
			// Whoever a dead one belonged to (its mark can no longer be read), it
			// is reaped.
			if p.Start < proc.Main.Start {
				continue
			}
			if p.Zombie && process.ReapOrphan(p) {
				left.reaped = true
				continue
			}
			if len(mains) > 1 {
				left.doubtful = true
				left.pids = append(left.pids, p.PID)
				continue
			}
			mine = append(mine, p)
		}
		for _, p := range mine {
			if p.Zombie && p.Parent == self.PID && process.ReapOrphan(p) {
				left.reaped = true
				continue // otherwise a thread of it lives
			}
			left.pids = append(left.pids, p.PID)
			if kill {
				process.ReapThreads(p.PID)
				left.killErr = errors.Join(left.killErr, process.Signal(p, unix.SIGKILL))
			}
		}
	})
	return left, err
}
