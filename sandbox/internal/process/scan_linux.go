package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const markPrefix = "HERMES_MARK="

// Flags of a task, from the kernel's include/linux/sched.h.
const (
	flagExiting      = 0x4
	flagKernelThread = 0x200000
)

// Stat is what is read of /proc/PID/stat.
type Stat struct {
	PID, Parent, Session int
	Start                uint64 // in ticks since boot
	Zombie               bool
	bare                 bool // a thread of the kernel, or one that is ending: it has no memory of its own
	given                bool // its program has been given its environment, be it empty or gone since
}

// ReadStat reads one process. The error matches fs.ErrNotExist or ESRCH when
// there is none.
func ReadStat(pid int) (Stat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Stat{}, err
	}
	return parseStat(pid, data)
}

// parseStat skips the command name, which may hold any bytes, by looking for
// the last closing parenthesis.
func parseStat(pid int, data []byte) (Stat, error) {
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 20 {
		return Stat{}, fmt.Errorf("process %d: short stat", pid)
	}
	parent, err1 := strconv.Atoi(string(fields[1]))
	session, err2 := strconv.Atoi(string(fields[3]))
	start, err3 := strconv.ParseUint(string(fields[19]), 10, 64)
	flags, err4 := strconv.ParseUint(string(fields[6]), 10, 64)
	given := len(fields) > 48 && string(fields[48]) != "0" // where the environment ends
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return Stat{}, fmt.Errorf("process %d: %w", pid, err)
	}
	state := fields[0][0]
	return Stat{
		PID: pid, Parent: parent, Session: session, Start: start,
		Zombie: state == 'Z' || state == 'X',
		bare:   flags&(flagExiting|flagKernelThread) != 0,
		given:  given,
	}, nil
}

// Scan reads every process that is visible. Those that end meanwhile are left
// out, and one may be missed that is born while its parent dies.
func Scan() ([]Stat, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var all []Stat
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := ReadStat(pid)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, stat)
	}
	return all, nil
}

func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// MarkOf returns the value of HERMES_MARK in a process's environment, empty
// where there is none or it cannot be read.
func MarkOf(pid int) string {
	mark, _ := readMark(pid)
	return mark
}

// readMark also reports whether the process is between two programs: it has
// begun to execute one that was not yet given its arguments and environment,
// so that its mark cannot be told at this moment.
func readMark(pid int) (mark string, between bool) {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return "", false
	}
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if mark, ok := bytes.CutPrefix(entry, []byte(markPrefix)); ok {
			return string(mark), false
		}
	}
	if len(env) > 0 {
		return "", false
	}
	stat, err := ReadStat(pid)
	return "", err == nil && !stat.Zombie && !stat.bare && !stat.given
}

// settleTime is how long Marked waits for processes that are between two
// programs. On a loaded machine one may be kept from running for some time.
const settleTime = time.Second

// Marked returns the processes whose environment carries mark, sorted. None is
// left out for being about to execute a program: if any process of the host
// is, Marked looks again, for a second at most.
func Marked(mark string) ([]int, error) {
	for deadline := time.Now().Add(settleTime); ; time.Sleep(time.Millisecond) {
		pids, between, err := marked(mark)
		if err != nil || !between || time.Now().After(deadline) {
			return pids, err
		}
	}
}

func marked(mark string) (pids []int, between bool, err error) {
	all, err := Scan()
	if err != nil {
		return nil, false, err
	}
	for _, stat := range all {
		if stat.Zombie || stat.bare {
			continue
		}
		got, unsettled := readMark(stat.PID)
		if got == mark {
			pids = append(pids, stat.PID)
		}
		between = between || unsettled
	}
	slices.Sort(pids)
	return pids, between, nil
}

// Handle holds on to one process: what is sent through it never reaches
// another process that got the same id.
type Handle struct {
	Stat Stat
	fd   int
}

// Open returns a handle of the process that stat was read of. The error
// matches fs.ErrNotExist or ESRCH when it is gone.
func Open(stat Stat) (*Handle, error) {
	fd, err := unix.PidfdOpen(stat.PID, 0)
	if err != nil {
		return nil, err
	}
	// Now the id cannot move on unnoticed; see whether it had before.
	now, err := ReadStat(stat.PID)
	if err == nil && now.Start != stat.Start {
		err = unix.ESRCH
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &Handle{Stat: now, fd: fd}, nil
}

// Signal sends sig. It returns ESRCH when the process has ended.
func (h *Handle) Signal(sig unix.Signal) error { return unix.PidfdSendSignal(h.fd, sig, nil, 0) }

// WaitEnded blocks until the process has ended, at most for millis, and
// reports whether it has.
func (h *Handle) WaitEnded(millis int) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}}
	n, err := retryEINTR(func() (int, error) { return unix.Poll(fds, millis) })
	return n > 0, err
}

// Close gives up the handle.
func (h *Handle) Close() { unix.Close(h.fd) }

// Signal sends sig to the process that stat was read of, if it still exists.
func Signal(stat Stat, sig unix.Signal) error {
	h, err := Open(stat)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.Close()
	if err := h.Signal(sig); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// Reap removes the zombie of a process that became a child of this one, and
// reports whether it did.
func (h *Handle) Reap() bool {
	_, err := retryEINTR(func() (int, error) {
		return 0, unix.Waitid(unix.P_PIDFD, h.fd, nil, unix.WEXITED|unix.WNOHANG, nil)
	})
	return err == nil
}

// ReapOrphan is Reap for the process that stat was read of. It reports whether
// the process is gone.
func ReapOrphan(stat Stat) bool {
	h, err := Open(stat)
	if err != nil {
		return gone(err)
	}
	defer h.Close()
	h.Reap()
	_, err = ReadStat(stat.PID)
	return gone(err)
}

// ReapThreads reaps dead threads of a process that made this one their tracer:
// until a tracer does so, the process does not end.
func ReapThreads(pid int) {
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		return
	}
	for _, name := range names {
		if tid, err := strconv.Atoi(filepath.Base(name)); err == nil && tid != pid {
			retryEINTR(func() (int, error) { return unix.Wait4(tid, nil, unix.WNOHANG|unix.WALL, nil) })
		}
	}
}
