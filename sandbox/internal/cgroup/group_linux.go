package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// Group holds one session's processes. Nil is no group: its methods do
// nothing and report it empty. Enter and Leave are called by one thread; the
// others are not safe for concurrent use with Remove.
type Group struct {
	host *Host
	mark string
	used []hierarchy // the limiting ones, then that for killing
	lock *os.File    // the group's folder
}

// Make makes the group of a session, empty and locked, with its limits, all of
// which are in Capabilities. Nil is returned where there are no groups. An
// earlier group of that mark must be empty and its supervisor gone.
func (h *Host) Make(mark string, limits driver.Limits) (*Group, error) {
	if !h.Available() {
		return nil, nil
	}
	g := &Group{host: h, mark: mark}
	err := g.claim()
	if err == nil {
		err = g.limit(limits)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make cgroup %s: %w", h.Path(mark), err), g.Remove())
	}
	return g, nil
}

func (g *Group) dir(h hierarchy) string { return filepath.Join(h.folder, g.mark) }

// claim makes and locks the folder in the hierarchy for killing. A sweep may
// lock and remove it in between: then it is made again.
func (g *Group) claim() error {
	dir := g.dir(g.host.kill)
	for range 8 {
		err := os.Mkdir(dir, 0o755)
		if errors.Is(err, fs.ErrExist) {
			_, err = g.host.removeDead(g.mark)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		lock, err := lockFolder(dir, 0)
		if err == nil {
			g.lock, g.used = lock, []hierarchy{g.host.kill}
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return errors.New("it is removed again and again")
}

// lockFolder opens and locks a group's folder. The error matches
// fs.ErrNotExist when it was removed, and EWOULDBLOCK when flags has LOCK_NB
// and somebody else holds it.
func lockFolder(dir string, flags int) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = retryEINTR(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|flags) })
	if err == nil {
		var now, held os.FileInfo
		if now, err = os.Lstat(dir); err == nil {
			held, err = f.Stat()
		}
		if err == nil && !os.SameFile(now, held) {
			err = fs.ErrNotExist
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// limit makes the group in the hierarchies that are needed and sets limits.
func (g *Group) limit(l driver.Limits) error {
	if l.MemoryBytes > 0 {
		v1 := []setting{{"memory.limit_in_bytes", l.MemoryBytes, false}, {"memory.memsw.limit_in_bytes", l.MemoryBytes, true}}
		v2 := []setting{{"memory.max", l.MemoryBytes, false}, {"memory.swap.max", 0, true}}
		if err := g.set("memory", v1, v2); err != nil {
			return err
		}
	}
	if l.MilliCPUs > 0 {
		quota, period := cpuQuota(l.MilliCPUs)
		v1 := []setting{{"cpu.cfs_period_us", period, false}, {"cpu.cfs_quota_us", quota, false}}
		v2 := []setting{{"cpu.max", fmt.Sprintf("%d %d", quota, period), false}}
		if err := g.set("cpu", v1, v2); err != nil {
			return err
		}
	}
	if l.Processes > 0 {
		s := []setting{{"pids.max", l.Processes, false}}
		return g.set("pids", s, s)
	}
	return nil
}

// cpuQuota returns microseconds of processor time per period. The kernel's
// least quota is a millisecond, so little time needs a long period.
func cpuQuota(milli int) (quota, period int64) {
	period = 100_000
	if milli < 10 {
		period = 1_000_000
	}
	return int64(milli) * period / 1000, period
}

type setting struct {
	file     string
	value    any
	optional bool // not every kernel has the file
}

// set writes to the version 1 hierarchy of the controller, or to the unified one.
func (g *Group) set(controller string, v1, v2 []setting) error {
	settings, in := v2, g.host.kill
	for _, h := range g.host.all() {
		if slices.Contains(h.controllers, controller) {
			settings, in = v1, h
		}
	}
	dir := g.dir(in)
	if !slices.ContainsFunc(g.used, func(h hierarchy) bool { return h.folder == in.folder }) {
		// One without a locked group of that name was left behind.
		if err := removeTree(dir); err != nil {
			return err
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		g.used = slices.Insert(g.used, 0, in)
	}
	for _, s := range settings {
		err := put(filepath.Join(dir, s.file), fmt.Sprint(s.value))
		if err != nil && !(s.optional && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

// FD is the descriptor that the kernel forks into, -1 if there is none.
func (g *Group) FD() int {
	if g == nil || !g.host.kill.unified() {
		return -1
	}
	return int(g.lock.Fd())
}

// Enter moves the calling thread, which is locked to its goroutine, into the
// group where FD does not do it, so that a child it forks is born there. Leave
// follows in any case.
func (g *Group) Enter() error { return g.move(g.dir) }

// Leave moves the calling thread back to where this process is.
func (g *Group) Leave() error { return g.move(func(h hierarchy) string { return h.own }) }

func (g *Group) move(to func(hierarchy) string) error {
	if g == nil {
		return nil
	}
	var errs []error
	for _, h := range g.used {
		if !h.unified() {
			// 0 is the calling thread. It is much cheaper to move than any other.
			errs = append(errs, put(filepath.Join(to(h), "tasks"), strconv.Itoa(0)))
		}
	}
	return errors.Join(errs...)
}

// MarkOf returns the mark of the group that a process is in, empty for none.
func (g *Group) MarkOf(pid int) string {
	if g == nil {
		return ""
	}
	return g.host.MarkOf(pid)
}

// Alive reports whether a process is in the group.
func (g *Group) Alive() (bool, error) {
	if g == nil || g.lock == nil {
		return false, nil
	}
	return g.host.kill.alive(g.dir(g.host.kill))
}

// Kill sends a kill to every process in the group, also to those being born.
// It does not wait for them to end.
func (g *Group) Kill() error {
	if g == nil || g.lock == nil {
		return nil
	}
	return g.host.kill.signal(g.mark)
}

// Empty ends what is in the group and removes it, within about limit. The
// error matches driver.ErrTreeAlive when something is left.
func (g *Group) Empty(limit time.Duration) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		alive, err := g.Alive()
		if err != nil {
			return err
		}
		if !alive {
			return g.Remove()
		}
		if err := g.Kill(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return &driver.TreeAliveError{Reason: "left in the session's cgroup"}
		}
	}
}

// Remove removes the group, which must be empty. It may be called again.
func (g *Group) Remove() error {
	if g == nil || g.lock == nil {
		return nil
	}
	for _, h := range g.used {
		if err := removeTree(g.dir(h)); err != nil {
			return err
		}
	}
	err := g.lock.Close()
	g.lock = nil
	return err
}

// removeTree removes a cgroup and those that were made in it. It only ever
// removes folders without processes.
func removeTree(dir string) error {
	err := unix.Rmdir(dir)
	if err == unix.ENOENT {
		return nil
	}
	if err == nil || err != unix.EBUSY && err != unix.ENOTEMPTY {
		return wrapPath("remove", dir, err)
	}
	entries, readErr := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() && readErr == nil {
			readErr = removeTree(filepath.Join(dir, e.Name()))
		}
	}
	if readErr != nil {
		return readErr
	}
	if err = unix.Rmdir(dir); err == unix.ENOENT {
		return nil
	}
	return wrapPath("remove", dir, err)
}

func wrapPath(op, dir string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: dir, Err: err}
}

func retryEINTR(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}
