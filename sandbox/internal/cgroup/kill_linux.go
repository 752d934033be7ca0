package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// killTime bounds one Host.Kill.
const killTime = 10 * time.Second

// ErrPath is matched by errors about a path that is no group of ours.
var ErrPath = errors.New("not a cgroup of a sandbox")

// gone reports whether the error says that a cgroup or process is no more.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ESRCH)
}

// alive reports whether a process is in the group dir or below.
func (h *hierarchy) alive(dir string) (bool, error) {
	if h.unified() {
		data, err := os.ReadFile(filepath.Join(dir, "cgroup.events"))
		if gone(err) {
			return false, nil
		}
		return err != nil || !strings.Contains("\n"+string(data), "\npopulated 0\n"), err
	}
	pids, err := h.members(dir)
	return err != nil || len(pids) > 0, err
}

// members lists the processes in the group dir of version 1 and below.
func (h *hierarchy) members(dir string) ([]int, error) {
	var pids []int
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if gone(err) {
			return nil
		}
		if err != nil || entry.Name() != "cgroup.procs" {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil && !gone(err) {
			return err
		}
		for field := range strings.FieldsSeq(string(data)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				return err
			}
			pids = append(pids, pid)
		}
		return nil
	})
	slices.Sort(pids)
	return slices.Compact(pids), err
}

// signal sends a kill to every process in the group.
func (h *hierarchy) signal(mark string) error {
	if at, ok := h.below("/proc/self/cgroup"); ok && (at == mark || strings.HasPrefix(at, mark+"/")) {
		return fmt.Errorf("kill cgroup %s/%s: this process is in it", h.path, mark)
	}
	dir := filepath.Join(h.folder, mark)
	var err error
	if h.unified() {
		err = put(filepath.Join(dir, "cgroup.kill"), "1")
	} else {
		err = h.signalFrozen(dir, mark)
	}
	if gone(err) {
		return nil
	}
	return err
}

// signalFrozen stops the processes, so that none is born meanwhile, signals
// them and lets them go, to their end.
func (h *hierarchy) signalFrozen(dir, mark string) error {
	state := filepath.Join(dir, "freezer.state")
	if err := put(state, "FROZEN"); err != nil {
		return err
	}
	pids, err := h.members(dir)
	for _, pid := range pids {
		err = errors.Join(err, h.signalMember(pid, mark))
	}
	return errors.Join(err, put(state, "THAWED"))
}

// signalMember kills a process if it is in the group. It is held on to before
// that is checked, so that the id cannot become another's in between.
func (h *hierarchy) signalMember(pid int, mark string) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		if gone(err) {
			return nil
		}
		return fmt.Errorf("hold process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	at, ok := h.below(fmt.Sprintf("/proc/%d/cgroup", pid))
	if !ok || at != mark && !strings.HasPrefix(at, mark+"/") {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !gone(err) {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	return nil
}

// isMark reports whether a name can be a session's mark: letters and digits.
func isMark(name string) bool {
	return name != "" && name != leaf && !strings.ContainsFunc(name, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	})
}

// split checks that path is that of a group of ours and returns its mark.
func (h *Host) split(path string) (mark string, err error) {
	if !h.Available() {
		return "", fmt.Errorf("cgroups: %w: %s", errors.ErrUnsupported, strings.Join(h.Problems(), "; "))
	}
	mark, ok := strings.CutPrefix(path, h.kill.path+"/")
	if !ok || !isMark(mark) {
		return "", fmt.Errorf("%w: %q is not directly in %s", ErrPath, path, h.kill.path)
	}
	return mark, nil
}

// Alive reports whether a process is in the group at path, as told by Path. It
// need not exist.
func (h *Host) Alive(path string) (bool, error) {
	mark, err := h.split(path)
	if err != nil {
		return false, err
	}
	return h.kill.alive(filepath.Join(h.kill.folder, mark))
}

// Kill ends every process in the group at path, whoever made it, and removes
// it. It returns nil when nobody is left, and a *driver.TreeAliveError when
// that is not so after ten seconds.
func (h *Host) Kill(path string) error {
	mark, err := h.split(path)
	if err != nil {
		return err
	}
	dir := filepath.Join(h.kill.folder, mark)
	deadline := time.Now().Add(killTime)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		alive, err := h.kill.alive(dir)
		if err != nil {
			return err
		}
		if !alive {
			return h.remove(mark)
		}
		if err := h.kill.signal(mark); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			pids, _ := h.kill.members(dir) // none are named if they cannot be read
			return &driver.TreeAliveError{PIDs: pids, Reason: "left in cgroup " + path}
		}
		time.Sleep(pause)
	}
}

// remove removes an empty group, last where it is locked, and what the sessions
// of a supervisor had in hierarchies that only limit.
func (h *Host) remove(mark string) error {
	sessions, err := h.kill.sessions(mark)
	if err != nil {
		return err
	}
	for _, in := range h.limits {
		for _, name := range append(sessions, mark) {
			if err := removeTree(filepath.Join(in.folder, name)); err != nil {
				return err
			}
		}
	}
	return removeTree(filepath.Join(h.kill.folder, mark))
}

var errInUse = errors.New("it is in use")

// removeDead removes a group that is empty and whose supervisor is gone. The
// error matches errInUse when it is not so.
func (h *Host) removeDead(mark string) (removed bool, err error) {
	dir := filepath.Join(h.kill.folder, mark)
	lock, err := lockFolder(dir, unix.LOCK_NB)
	if gone(err) {
		return false, nil
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, errInUse
	}
	if err != nil {
		return false, err
	}
	defer lock.Close()
	if alive, err := h.kill.alive(dir); err != nil || alive {
		return false, errors.Join(err, errInUse)
	}
	return true, h.remove(mark)
}

// Sweep removes the groups that are empty and whose supervisors are gone, and
// returns how many there were.
func (h *Host) Sweep() (removed int, err error) {
	if !h.Available() {
		return 0, nil
	}
	entries, err := os.ReadDir(h.kill.folder)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if !e.IsDir() || !isMark(e.Name()) {
			continue
		}
		done, removeErr := h.removeDead(e.Name())
		if done && removeErr == nil {
			removed++
		}
		if removeErr != nil && !errors.Is(removeErr, errInUse) && !errors.Is(removeErr, unix.EBUSY) {
			err = errors.Join(err, removeErr)
		}
	}
	return removed, err
}
