//go:build linux && (amd64 || arm64)

package nativebox

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/internal/canary"
	"github.com/hermesboard/hermes/sandbox/nativebox/stage"
)

// problem is the error of a stage's report. It matches what the kernel said.
func problem(r stage.Report) error {
	err := &stageError{text: r.Error, errno: syscall.Errno(r.Errno)}
	if r.Spec {
		return err
	}
	return explain(err)
}

type stageError struct {
	text  string
	errno syscall.Errno
}

func (e *stageError) Error() string { return e.text }

func (e *stageError) Unwrap() error {
	if e.errno == 0 {
		return nil
	}
	return e.errno
}

// explain adds to an error what on this host is the likely reason, and how to
// change it.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w: this kernel is too old, or a filter around this process hides calls of it; Linux 5.12 is needed", err)
	case !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EUSERS):
		return err
	}
	return fmt.Errorf("%w%s", err, canary.Advice("this program"))
}
