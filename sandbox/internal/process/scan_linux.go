package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Flags of a task, from the kernel's include/linux/sched.h.
const (
	flagExiting      = 0x4
	flagKernelThread = 0x200000
)

// Stat is what is read of /proc/PID/stat.
type Stat struct {
	PID, Parent, Session int
	Start                uint64 // in ticks since boot
	Zombie               bool   // its first thread has ended; others may live
	kernel               bool   // a thread of the kernel
	exiting              bool   // the first thread is ending, or has
	state                byte   // of the first thread, as in proc_pid_stat(5)
	threads              int
	image                image
}

// image tells one execution of a program from the next, as the kernel puts them
// at other addresses. All are 0 where they may not be read.
type image struct{ codeEnd, stack, envStart, envEnd int64 }

// loaded reports whether the program was given its arguments and environment,
// for the end of its code is set after them.
func (i image) loaded() bool { return i.codeEnd != 0 }

// ReadStat reads one process. The error matches fs.ErrNotExist or ESRCH when
// there is none.
func ReadStat(pid int) (Stat, error) { return readStat(pid, fmt.Sprintf("/proc/%d", pid)) }

// readStat reads the process or thread whose folder is dir.
func readStat(pid int, dir string) (Stat, error) {
	data, err := os.ReadFile(dir + "/stat")
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
	var failed error
	number := func(i int) int64 { // in proc_pid_stat(5) this is field i+3
		if i >= len(fields) {
			return 0
		}
		n, err := strconv.ParseInt(string(fields[i]), 10, 64)
		failed = errors.Join(failed, err)
		return n
	}
	ended := fields[0][0] == 'Z' || fields[0][0] == 'X'
	flags := number(6)
	stat := Stat{
		PID: pid, Parent: int(number(1)), Session: int(number(3)), Start: uint64(number(19)),
		Zombie:  ended,
		state:   fields[0][0],
		kernel:  flags&flagKernelThread != 0,
		exiting: ended || flags&flagExiting != 0,
		threads: int(number(17)),
		image:   image{codeEnd: number(24), stack: number(25), envStart: number(47), envEnd: number(48)},
	}
	if failed != nil {
		return Stat{}, fmt.Errorf("process %d: %w", pid, failed)
	}
	return stat, nil
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
