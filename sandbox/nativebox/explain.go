//go:build linux && (amd64 || arm64)

package nativebox

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/nativebox/stage"
)

// switches turn user name spaces off for users other than root.
var switches = []struct{ name, off, remedy string }{
	{"user.max_user_namespaces", "0", "set it to a few thousand"},
	{"kernel.unprivileged_userns_clone", "0", "set it to 1"},
	{"kernel.apparmor_restrict_unprivileged_userns", "1", "give this program an AppArmor profile with the rule userns (SECURITY.md shows it), or set it to 0"},
}

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
	for _, s := range switches {
		value, readErr := os.ReadFile("/proc/sys/" + strings.ReplaceAll(s.name, ".", "/"))
		if readErr == nil && strings.TrimSpace(string(value)) == s.off {
			return fmt.Errorf("%w: the kernel setting %s is %s: %s", err, s.name, s.off, s.remedy)
		}
	}
	return err
}
