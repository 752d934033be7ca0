//go:build unix && !linux

package process

import (
	"errors"
	"os"
	"syscall"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// Main identifies a process for as long as it is not released.
type Main struct {
	PID  int
	Mark string
	proc *os.Process
}

// Supervise does nothing: only Linux lets a process adopt orphans.
func Supervise() error { return nil }

// Marked is not known on this system.
func Marked(string) ([]int, error) { return nil, errors.ErrUnsupported }

// KillMarked is not known on this system.
func KillMarked(string) error { return errors.ErrUnsupported }

func fork(c *Command, std []*os.File) (Main, error) {
	if c.OpenFiles > 0 || c.FileBytes > 0 {
		return Main{}, errors.ErrUnsupported
	}
	var sys syscall.SysProcAttr
	if c.Attr != nil {
		sys = *c.Attr
	}
	sys.Setsid = true
	proc, err := os.StartProcess(c.Path, c.Argv, &os.ProcAttr{
		Dir: c.Dir, Env: c.Env, Files: append(append([]*os.File(nil), std...), c.Files...),
		Sys: &sys,
	})
	if err != nil {
		return Main{}, err
	}
	return Main{PID: proc.Pid, Mark: c.Mark, proc: proc}, nil
}

func waitKeeping(main Main) driver.ExitStatus {
	state, err := main.proc.Wait()
	if err != nil {
		return driver.ExitStatus{Code: -1}
	}
	status := state.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return driver.ExitStatus{Code: 128 + int(status.Signal()), Signal: status.Signal()}
	}
	return driver.ExitStatus{Code: status.ExitStatus()}
}

func reap(Main) {}
