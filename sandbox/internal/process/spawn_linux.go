package process

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// Main identifies a process for as long as it is not released.
type Main struct {
	PID   int
	Start uint64 // in ticks since boot
	Mark  string
}

// table holds the processes that were started and not yet released. It is a
// fact about this process, like its list of children, hence package-wide.
var table = struct {
	// Mutex is held over forking and registering, and over looking for
	// descendants and killing them, so that a process just forked is never
	// taken for somebody's descendant.
	sync.Mutex
	mains map[int]Main
}{mains: make(map[int]Main)}

// spawner returns the queue of the thread that forks. Its goroutine never
// ends, so that the thread does not, and with it no child that asked to die
// with its parent.
var spawner = sync.OnceValue(func() chan<- func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
})

// Supervise makes this process the reaper of orphaned descendants.
func Supervise() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become child subreaper: %w", err)
	}
	return nil
}

// Supervising reports whether Supervise was called.
func Supervising() bool {
	var on int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&on)), 0, 0, 0)
	return err == nil && on != 0
}

// Locked calls f with the processes not yet released, while none is started.
func Locked(f func(mains map[int]Main)) {
	table.Lock()
	defer table.Unlock()
	f(table.mains)
}

func fork(c *Command, std []*os.File) (main Main, err error) {
	limits := rlimits(c)
	files := make([]uintptr, 0, len(std)+len(c.Files))
	for _, f := range append(append([]*os.File(nil), std...), c.Files...) {
		files = append(files, f.Fd())
	}
	var sys syscall.SysProcAttr
	if c.Attr != nil {
		sys = *c.Attr
	}
	sys.Setsid, sys.Pdeathsig, sys.Ptrace = true, syscall.SIGKILL, len(limits) > 0
	attr := &syscall.ProcAttr{Dir: c.Dir, Env: c.Env, Files: files, Sys: &sys}
	finished := make(chan struct{})
	spawner() <- func() {
		defer close(finished)
		table.Lock()
		defer table.Unlock()
		// Descriptors that this process inherited without the close-on-exec
		// mark would otherwise be handed on.
		if err = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
			err = fmt.Errorf("mark descriptors close-on-exec: %w", err)
			return
		}
		if main, err = forkLocked(c, attr, limits); err == nil {
			table.mains[main.PID] = main
		}
	}
	<-finished
	runtime.KeepAlive(std)
	runtime.KeepAlive(c.Files)
	return main, err
}

// forkLocked runs on the spawner's thread with the table locked. With limits
// the child is started traced, which stops it before its first instruction.
func forkLocked(c *Command, attr *syscall.ProcAttr, limits map[int]uint64) (Main, error) {
	pid, err := forkInto(c, attr)
	if pid == 0 {
		return Main{}, err
	}
	main := Main{PID: pid, Mark: c.Mark}
	if err == nil && attr.Sys.Ptrace {
		err = limit(pid, limits)
	}
	if err == nil {
		var stat Stat
		stat, err = ReadStat(pid)
		main.Start = stat.Start
	}
	if err != nil {
		unix.Kill(pid, unix.SIGKILL)
		wait4(pid)
		return Main{}, err
	}
	return main, nil
}

// forkInto starts the program in its group. A child may have been started also
// when it returns an error; the pid says so.
func forkInto(c *Command, attr *syscall.ProcAttr) (pid int, err error) {
	if fd := c.Group.FD(); fd >= 0 {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, fd
	}
	err = c.Group.Enter()
	if err == nil {
		if pid, err = syscall.ForkExec(c.Path, c.Argv, attr); err != nil {
			pid, err = 0, &os.PathError{Op: "fork/exec", Path: c.Path, Err: err}
		}
	}
	return pid, errors.Join(err, c.Group.Leave())
}

func rlimits(c *Command) map[int]uint64 {
	limits := make(map[int]uint64)
	if c.OpenFiles > 0 {
		limits[unix.RLIMIT_NOFILE] = uint64(c.OpenFiles)
	}
	if c.FileBytes > 0 {
		limits[unix.RLIMIT_FSIZE] = uint64(c.FileBytes)
	}
	return limits
}

// limit sets resource limits on a child stopped by its exec, and lets it go.
func limit(pid int, limits map[int]uint64) error {
	var status unix.WaitStatus
	if _, err := retryEINTR(func() (int, error) { return unix.Wait4(pid, &status, 0, nil) }); err != nil {
		return fmt.Errorf("wait for traced child: %w", err)
	}
	if !status.Stopped() {
		return fmt.Errorf("traced child did not stop: wait status %#x", status)
	}
	for resource, value := range limits {
		var old unix.Rlimit
		if err := unix.Prlimit(pid, resource, nil, &old); err != nil {
			return fmt.Errorf("read resource limit %d: %w", resource, err)
		}
		value = min(value, old.Max) // never above what this host allows
		if err := unix.Prlimit(pid, resource, &unix.Rlimit{Cur: value, Max: value}, nil); err != nil {
			return fmt.Errorf("set resource limit %d: %w", resource, err)
		}
	}
	if err := unix.PtraceDetach(pid); err != nil {
		return fmt.Errorf("let traced child go: %w", err)
	}
	return nil
}

// waitKeeping blocks until the process has ended, and leaves it a zombie.
func waitKeeping(main Main) driver.ExitStatus {
	const exited, killed, dumped = 1, 2, 3 // CLD_EXITED and so on
	for {
		var info unix.Siginfo
		_, err := retryEINTR(func() (int, error) {
			return 0, unix.Waitid(unix.P_PID, main.PID, &info, unix.WEXITED|unix.WNOWAIT, nil)
		})
		if err != nil { // somebody else reaped it: how it ended is not known
			return driver.ExitStatus{Code: -1}
		}
		status := siginfoStatus(&info)
		switch info.Code {
		case exited:
			return driver.ExitStatus{Code: status}
		case killed, dumped:
			return driver.ExitStatus{Code: 128 + status, Signal: syscall.Signal(status)}
		}
		// It made this process its tracer and stopped. It has not ended, and
		// nobody here will ever continue it.
		unix.Kill(main.PID, unix.SIGKILL)
	}
}

// siginfoStatus reads si_status of a SIGCHLD siginfo_t, which x/sys keeps
// unnamed: after three ints, aligned to a pointer, come pid, uid and status.
func siginfoStatus(info *unix.Siginfo) int {
	const word = unsafe.Sizeof(uintptr(0))
	offset := (12+word-1)/word*word + 8
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), offset)))
}

// reap removes an ended process and forgets it.
func reap(main Main) {
	table.Lock()
	defer table.Unlock()
	wait4(main.PID)
	delete(table.mains, main.PID)
}

func wait4(pid int) {
	retryEINTR(func() (int, error) { return unix.Wait4(pid, nil, 0, nil) })
}

func retryEINTR(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
