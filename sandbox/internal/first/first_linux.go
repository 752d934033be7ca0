package first

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Reap waits for children until the one with the id main is among them, and
// returns how that ended.
func Reap(main int) (unix.WaitStatus, error) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, os.NewSyscallError("wait4", err)
		case pid == main:
			return status, nil
		}
	}
}

// Code is the exit code of a program, or 128 plus the number of the signal that
// ended it.
func Code(status unix.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// Pass sends the signals that come to the process main, except for those that
// are about this one, until the channel is closed. One to a process that has
// just ended is lost.
func Pass(main int, signals <-chan os.Signal) {
	for s := range signals {
		switch s {
		case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE: // ours
		default:
			if n, ok := s.(syscall.Signal); ok {
				unix.Kill(main, n)
			}
		}
	}
}

// ResetSignals takes back the handlers of Go's runtime. The kernel keeps
// signals that have none from the first process of a process name space, so
// that the sandbox's programs cannot end this one to have their own end taken
// for a failure of ours. Real faults still end it, and so does the supervisor.
func ResetSignals() error {
	var defaults [4]uint64 // of a kernel's struct sigaction
	for sig := 1; sig <= 64; sig++ {
		if sig == int(unix.SIGKILL) || sig == int(unix.SIGSTOP) {
			continue
		}
		_, _, errno := unix.Syscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&defaults)), 0, 8, 0, 0)
		if errno != 0 {
			return fmt.Errorf("reset signal %d: %w", sig, errno)
		}
	}
	return nil
}
