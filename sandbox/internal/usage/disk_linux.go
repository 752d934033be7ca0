package usage

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/internal/process"
)

// Supported reports whether disks can be watched here.
const Supported = true

// The free space is looked at before a program could have used up what it has
// left, at the speed given, but within these bounds.
const (
	speed    = 16 << 30 // bytes in a second
	minPause = 5 * time.Millisecond
	maxPause = 100 * time.Millisecond
)

// Where nothing calls for one, a walk takes at most a fiftieth of the time. One
// that takes longer than measureTime has failed.
const (
	idleShare   = 50
	idlePause   = 2 * time.Second
	measureTime = 30 * time.Second
)

// A false alarm widens what may go before the next one, within these bounds or
// up to an eighth of the limit; it is as before when calm has lasted.
const (
	minSlack = 1 << 20
	maxSlack = 64 << 20
	calm     = 5 * time.Second
)

// What is on its way through a socket is given some time to arrive: that often,
// a session is found with something that may be too much.
const (
	landings    = 2
	landingTime = 3 * time.Millisecond
)

// grace is what may go while processes come to rest that are in a system call.
const grace = 16 << 20

// Disk is what a session has taken of places since NewDisk. It is not safe for
// concurrent use.
type Disk struct {
	places  []string
	limit   int64
	before  int64 // what was there at first
	largest int64 // and the size of the largest file

	used   int64 // when it was last measured with the session held still
	free   int64 // the most that has been free since then
	slack  int64
	judged time.Time

	walked time.Time
	took   time.Duration

	started uint64 // when the session's outermost process was, to know it again
}

// NewDisk measures what is there. The places are folders and files, none of
// which lies in another.
func NewDisk(ctx context.Context, places []string, limit int64) (*Disk, error) {
	d := &Disk{places: places, limit: limit}
	free, err := d.freeBytes() // before the walk, so that nothing is missed that comes meanwhile
	if err != nil {
		return nil, err
	}
	w, err := d.walk(ctx, nil)
	if err != nil {
		return nil, err
	}
	d.before, d.largest, d.free, d.judged = w.bytes, w.most, free, d.walked
	return d, nil
}

// FileBytes is the size beyond which no file need get: what the session may
// take is not in one alone, unless that was large before.
func (d *Disk) FileBytes() int64 { return d.limit + d.largest }

// Watch returns what the session took as soon as that is more than the limit,
// or why it cannot be told any more. It returns the error of ctx when that
// ends. pid is the session's outermost process, 0 for none. The calling
// goroutine has the thread to itself from then on: it should end soon after.
func (d *Disk) Watch(ctx context.Context, pid int) (used int64, err error) {
	// A busy machine must not keep it from looking. Who may not have precedence
	// goes on without.
	runtime.LockOSThread()
	unix.Setpriority(unix.PRIO_PROCESS, 0, -20)
	d.started = math.MaxUint64 // as none
	if outer, err := process.ReadStat(pid); err == nil {
		d.started = outer.Start
	}
	ended, end, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer ended.Close()
	defer end.Close()
	defer context.AfterFunc(ctx, func() { end.Close() })()
	for {
		pause, err := d.look(ctx, pid)
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err != nil || d.used > d.limit {
			return d.used, err
		}
		// The runtime's own clock would hand over from a thread without precedence.
		unix.Poll([]unix.PollFd{{Fd: int32(ended.Fd()), Events: unix.POLLIN}}, int(pause.Milliseconds()))
	}
}

// look measures if it is time to, and returns when to look again.
func (d *Disk) look(ctx context.Context, pid int) (pause time.Duration, err error) {
	free, err := d.freeBytes()
	if err != nil {
		return 0, err
	}
	d.free = max(d.free, free)
	suspect := d.limit-d.used+d.slack < d.free-free
	if !suspect && time.Since(d.walked) > max(idlePause, idleShare*d.took) {
		// What is moved during a walk counts twice, or not at all: it can only
		// raise suspicion. It finds what others made up for meanwhile, and what
		// a file system tells late.
		w, err := d.walk(ctx, d.tree(pid))
		if err != nil {
			return 0, err
		}
		suspect = w.bytes-d.before > d.limit
	}
	if suspect {
		if err := d.judge(ctx, pid); err != nil {
			return 0, err
		}
	}
	return d.pause(d.free - free), nil
}

// pause is how long nothing can happen, where so much space has gone.
func (d *Disk) pause(gone int64) time.Duration {
	left := max(d.limit-d.used-gone, 0)
	return min(max(time.Duration(float64(left)/speed*float64(time.Second)), minPause), maxPause)
}

// judge measures what the session has taken while it is held still.
func (d *Disk) judge(ctx context.Context, pid int) error {
	for look := 1; ; look++ {
		used, free, flown, err := d.measure(ctx, pid)
		if err != nil {
			return err
		}
		if flown {
			// What the disk has lost may be in a file that nobody has got.
			used = max(used, d.used+d.free-free)
		}
		if used > d.limit && flown && look < landings {
			unix.Nanosleep(&unix.Timespec{Nsec: landingTime.Nanoseconds()}, nil)
			continue
		}
		d.widen()
		d.used, d.free = used, free
		return nil
	}
}

// widen makes the next alarm come later, where it may be a false one again.
func (d *Disk) widen() {
	now := time.Now()
	if now.Sub(d.judged) < calm {
		d.slack = min(max(2*d.slack, minSlack), max(maxSlack, d.limit/8))
	} else {
		d.slack = 0
	}
	d.judged = now
}

// measure holds the session still and returns what it has taken, what was free
// then, and whether something was on its way through a socket.
func (d *Disk) measure(ctx context.Context, pid int) (used, free int64, flown bool, err error) {
	var tree []int
	if d.lives(pid) {
		still, err := process.Hold(ctx, pid, d.hurry)
		if err != nil {
			return 0, 0, false, err
		}
		defer still.Release()
		tree = still.PIDs
	}
	if free, err = d.freeBytes(); err != nil {
		return 0, 0, false, err
	}
	w, err := d.walk(ctx, tree)
	if err != nil {
		return 0, 0, false, err
	}
	return w.bytes - d.before, free, w.flown, nil
}

// hurry reports whether so much goes that it cannot be waited for the session
// to come to rest. What it holds then is measured as well as it can be.
func (d *Disk) hurry() bool {
	free, err := d.freeBytes()
	return err != nil || d.free-free > d.limit-d.used+d.slack+grace
}

// tree lists the processes of a session that runs.
func (d *Disk) tree(pid int) []int {
	if !d.lives(pid) {
		return nil
	}
	return process.Descendants(pid)
}

// lives reports whether a session's outermost process has not been reaped: its
// id may be another's by then.
func (d *Disk) lives(pid int) bool {
	outer, err := process.ReadStat(pid)
	return err == nil && (d.started == 0 || d.started == outer.Start)
}

// freeBytes is what the file systems of the places have left. A file that
// takes no space of its own counts for what it will count for in a walk.
func (d *Disk) freeBytes() (free int64, err error) {
	var seen []unix.Fsid
	for _, place := range d.places {
		var st unix.Statfs_t
		if err := unix.Statfs(place, &st); err != nil {
			return 0, fmt.Errorf("free space of %s: %w", place, err)
		}
		if slices.Contains(seen, st.Fsid) {
			continue
		}
		seen = append(seen, st.Fsid)
		free += int64(st.Bfree)*st.Bsize + int64(st.Ffree)*fileBytes
	}
	return free, nil
}

// walk goes through all places, and looks at what the processes have open.
func (d *Disk) walk(ctx context.Context, pids []int) (*walk, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, measureTime, errSlow)
	defer cancel()
	w := &walk{ctx: ctx, seen: make(map[file]bool)}
	for _, place := range d.places {
		if err := w.place(place); err != nil {
			return nil, fmt.Errorf("measure %s: %w", place, err)
		}
	}
	if err := w.open(pids); err != nil {
		return nil, err
	}
	d.walked = time.Now()
	d.took = d.walked.Sub(began)
	return w, nil
}
