package usage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Supported reports whether disks can be watched here.
const Supported = true

// fileBytes is the least that a file counts for.
const fileBytes = 4 << 10

// A poll of the free space comes before a program could have used up what it
// has left, at the speed given, but within these bounds.
const (
	speed    = 2 << 30 // bytes in a second
	minPause = 5 * time.Millisecond
	maxPause = 500 * time.Millisecond
)

// Walks take at most a quarter of the time, and where nothing calls for one, a
// fiftieth. One that takes longer than measureTime has failed.
const (
	share       = 3
	idleShare   = 50
	idlePause   = 2 * time.Second
	measureTime = 30 * time.Second
)

// Disk is what a session has taken of places since NewDisk. It is not safe for
// concurrent use.
type Disk struct {
	places []string
	limit  int64
	before int64 // what was there at first

	used   int64 // as of the last walk
	free   int64 // and what was free then
	walked time.Time
	took   time.Duration
}

// NewDisk measures what is there. The places are folders and files, none of
// which lies in another.
func NewDisk(ctx context.Context, places []string, limit int64) (*Disk, error) {
	d := &Disk{places: places, limit: limit}
	if err := d.measure(ctx, 0); err != nil {
		return nil, err
	}
	d.before, d.used = d.used, 0
	return d, nil
}

// Watch returns what the session took as soon as that is more than the limit,
// or why it cannot be told any more. It returns the error of ctx when that
// ends. pid is the session's outermost process, 0 for none.
func (d *Disk) Watch(ctx context.Context, pid int) (used int64, err error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-timer.C:
		}
		due, pause, err := d.due()
		if err == nil && due {
			err = d.confirm(ctx, pid)
			pause = d.pause(0)
		}
		if err != nil || d.used > d.limit {
			return d.used, err
		}
		timer.Reset(pause)
	}
}

// confirm measures, and again before it says that it is too much: what is
// moved or deleted during a walk can count twice.
func (d *Disk) confirm(ctx context.Context, pid int) error {
	err := d.measure(ctx, pid)
	if err == nil && d.used > d.limit {
		err = d.measure(ctx, pid)
	}
	return err
}

// due reports whether it is time for a walk, and otherwise when to look again.
func (d *Disk) due() (bool, time.Duration, error) {
	free, err := d.freeBytes()
	if err != nil {
		return false, 0, err
	}
	gone, ago := d.free-free, time.Since(d.walked)
	if rest := share*d.took - ago; rest > 0 {
		return false, max(rest, minPause), nil
	}
	if d.used+gone > d.limit || ago > max(idlePause, idleShare*d.took) {
		return true, 0, nil
	}
	return false, d.pause(gone), nil
}

// pause is how long nothing can happen, where so much space has gone.
func (d *Disk) pause(gone int64) time.Duration {
	left := max(d.limit-d.used-gone, 0)
	return min(max(time.Duration(float64(left)/speed*float64(time.Second)), minPause), maxPause)
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

// measure walks all places, and looks at what the processes have open.
func (d *Disk) measure(ctx context.Context, pid int) error {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, measureTime, errSlow)
	defer cancel()
	free, err := d.freeBytes() // before the walk, so that nothing is missed that comes meanwhile
	if err != nil {
		return err
	}
	w := walk{ctx: ctx, seen: make(map[file]bool)}
	for _, place := range d.places {
		if err := w.place(place); err != nil {
			return fmt.Errorf("measure %s: %w", place, err)
		}
	}
	if err := w.deleted(pid); err != nil {
		return err
	}
	d.used, d.free, d.walked = w.bytes-d.before, free, time.Now()
	d.took = d.walked.Sub(began)
	return nil
}

// maxDepth bounds the folders within folders, each of which is held open.
const maxDepth = 200

// Errors of a walk that mean that a program hides something.
var (
	errDeep = fmt.Errorf("folders lie more than %d deep", maxDepth)
	errSlow = fmt.Errorf("it takes more than %v", measureTime)
)

// file is the identity of a file.
type file struct{ dev, ino uint64 }

// walk adds up files, until its context ends.
type walk struct {
	ctx   context.Context
	bytes int64
	seen  map[file]bool // those that have several names, or none
	devs  []uint64      // where the places lie
}

// place adds a folder with all that lies in it, or a file.
func (w *walk) place(path string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	w.devs = append(w.devs, st.Dev)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return w.folder(unix.AT_FDCWD, path, 0)
	}
	w.file(&st)
	return nil
}

// folder adds all that lies in a folder. No link is followed, and what goes
// away meanwhile is left out.
func (w *walk) folder(dir int, name string, depth int) error {
	if depth > maxDepth {
		return errDeep
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if depth > 0 && passed(err) {
		return nil
	} else if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	for {
		names, err := f.Readdirnames(1000)
		for _, name := range names {
			if err := w.add(fd, name, depth); err != nil {
				return err
			}
		}
		if len(names) == 0 || err != nil {
			return nil // the end, or the folder was removed
		}
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
	}
}

// add adds a file or a folder.
func (w *walk) add(dir int, name string, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); passed(err) {
		return nil
	} else if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		w.bytes += size(&st)
		return w.folder(dir, name, depth+1)
	}
	w.file(&st)
	return nil
}

// file adds a file once.
func (w *walk) file(st *unix.Stat_t) {
	if st.Nlink != 1 {
		id := file{st.Dev, st.Ino}
		if w.seen[id] {
			return
		}
		w.seen[id] = true
	}
	w.bytes += size(st)
}

func size(st *unix.Stat_t) int64 { return max(st.Blocks*512, fileBytes) }

// passed reports whether something went away while it was looked at.
func passed(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}
