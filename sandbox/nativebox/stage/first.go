//go:build linux && (amd64 || arm64)

package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/first"
)

// runMain starts the main process and is the first process of the sandbox
// until that has ended. It returns only when it could not start it.
func runMain(path string, o *Orders) error {
	if orphaned() {
		return errors.New("the supervisor is gone")
	}
	if err := first.ResetSignals(); err != nil {
		return err
	}
	main, err := syscall.ForkExec(path, o.Argv, &syscall.ProcAttr{
		Env: o.Env, Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return &specError{&os.PathError{Op: "exec", Path: o.Argv[0], Err: err}}
	}
	// The streams are the program's alone: they end with it.
	if err := leaveStreams(); err != nil {
		return err
	}
	fd, err := unix.PidfdOpen(main, 0)
	if err != nil {
		return fmt.Errorf("open the main process: %w", err)
	}
	if err := send(Report{}, fd); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	status, err := first.Reap(main)
	if err != nil {
		return err
	}
	exit := driver.ExitStatus{Code: first.Code(status)}
	if status.Signaled() {
		exit.Signal = status.Signal()
	}
	send(Report{Exit: &exit}, -1) // nobody is left to tell of an error
	os.Exit(exit.Code)
	return nil
}

// orphaned reports whether the supervisor ended before it was asked for that
// this process ends with it.
func orphaned() bool {
	fds := []unix.PollFd{{Fd: reportsFD}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
}

// leaveStreams puts the null device in the place of the standard streams.
func leaveStreams() error {
	null, err := unix.Open(nullDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for fd := range 3 {
		if err := unix.Dup3(null, fd, unix.O_CLOEXEC); err != nil {
			return fmt.Errorf("leave stream %d: %w", fd, err)
		}
	}
	return unix.Close(null)
}

// lookPath finds a program without a slash in the PATH of env.
func lookPath(program string, env []string) (string, error) {
	if strings.Contains(program, "/") {
		return program, nil
	}
	for _, entry := range env {
		path, ok := strings.CutPrefix(entry, "PATH=")
		if !ok {
			continue
		}
		for dir := range strings.SplitSeq(path, ":") {
			candidate := dir + "/" + program
			info, err := os.Stat(candidate)
			if strings.HasPrefix(dir, "/") && err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
				return candidate, nil
			}
		}
		return "", fmt.Errorf("%s: %w", program, exec.ErrNotFound)
	}
	return "", fmt.Errorf("%s: no PATH is given: %w", program, fs.ErrNotExist)
}
