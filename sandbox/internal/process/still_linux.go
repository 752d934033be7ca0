package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// holdTime bounds one Hold.
const holdTime = 2 * time.Second

// ErrRestless is of a tree that makes processes faster than they can be
// stopped.
var ErrRestless = errors.New("its processes cannot be stopped")

// Still is a tree of processes that does nothing. SIGKILL ends it all the same.
type Still struct {
	PIDs []int // parents before their children

	stopped []Stat         // by us, in that order
	ours    map[int]uint64 // the same: when each was started
}

// Hold stops a process and all that came of it until Release is called. A
// system call under way is carried to its end first: when hurry returns true,
// that is not waited for. The error matches ErrRestless where the tree does not
// come to rest. Those that this process may not signal run on; they are among
// PIDs.
//
// Parents are stopped before their children and go on after them, so that none
// is told of a child that was stopped.
func Hold(ctx context.Context, pid int, hurry func() bool) (*Still, error) {
	s := &Still{ours: make(map[int]uint64)}
	deadline := time.Now().Add(holdTime)
	for quiet := 0; quiet < 2; {
		s.PIDs = Descendants(pid)
		if s.stop() {
			quiet++
			continue
		}
		quiet = 0
		if ctx.Err() != nil || time.Now().After(deadline) {
			s.Release()
			return nil, cmp.Or(context.Cause(ctx), ErrRestless)
		}
		if hurry() {
			break
		}
		unix.Nanosleep(&unix.Timespec{Nsec: 100_000}, nil) // of this thread, which may have precedence
	}
	return s, nil
}

// stop signals all that are not at rest, and reports whether there were none.
func (s *Still) stop() (quiet bool) {
	quiet = true
	for _, pid := range s.PIDs {
		stat, err := ReadStat(pid)
		if err != nil || stat.Zombie && stat.threads <= 1 {
			continue // it has ended
		}
		known := s.ours[pid] == stat.Start
		switch stat.state {
		case 'T', 't':
			continue
		case 'D', 'Z': // it rests when it comes back, and its other threads do
			if known {
				continue
			}
		}
		if Signal(stat, unix.SIGSTOP) != nil { // once more, where it has not noticed or was told to go on
			continue
		}
		quiet = false
		if !known {
			s.ours[pid], s.stopped = stat.Start, append(s.stopped, stat)
		}
	}
	return quiet
}

// Release lets those go on that Hold has stopped. Of nil it does nothing.
func (s *Still) Release() {
	if s == nil {
		return
	}
	for _, stat := range slices.Backward(s.stopped) {
		Signal(stat, unix.SIGCONT) // an error means that it has ended
	}
	s.stopped = nil
}

// Descendants returns a process and all that came of it and live, parents
// before their children. One may be missed that is born while its parent dies.
func Descendants(pid int) []int {
	tree := []int{pid}
	for i := 0; i < len(tree); i++ {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", tree[i]))
		for _, name := range threads {
			list, err := os.ReadFile(name)
			if err != nil {
				continue // it has ended
			}
			for field := range strings.FieldsSeq(string(list)) {
				if child, err := strconv.Atoi(field); err == nil {
					tree = append(tree, child)
				}
			}
		}
	}
	return tree
}
