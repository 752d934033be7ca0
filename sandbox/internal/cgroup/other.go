//go:build !linux

package cgroup

import (
	"errors"
	"os/exec"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// ErrPath is matched by errors about a path that is no group of ours.
var ErrPath = errors.New("not a cgroup of a sandbox")

// Host is what this machine offers, which is nothing on this system.
type Host struct{}

// Detect returns a host without groups.
func Detect() *Host { return &Host{} }

// Available is false.
func (*Host) Available() bool { return false }

// Capabilities are none.
func (*Host) Capabilities() driver.Capabilities { return 0 }

// Problems says that the system has no cgroups.
func (*Host) Problems() []string { return []string{"only Linux has cgroups"} }

// Path is empty.
func (*Host) Path(string) string { return "" }

// Make returns nil: no group.
func (*Host) Make(string, driver.Limits) (*Group, error) { return nil, nil }

// Alive is not supported.
func (*Host) Alive(string) (bool, error) { return false, errors.ErrUnsupported }

// Kill is not supported.
func (*Host) Kill(string) error { return errors.ErrUnsupported }

// Sweep finds nothing.
func (*Host) Sweep() (int, error) { return 0, nil }

// StartSupervisor starts cmd in no group.
func (*Host) StartSupervisor(cmd *exec.Cmd) (*Supervisor, error) { return nil, cmd.Start() }

// Supervisor is no group: only nil is ever made.
type Supervisor struct{}

// Path is empty.
func (*Supervisor) Path() string { return "" }

// Remove does nothing.
func (*Supervisor) Remove() error { return nil }

// Group is no group: only nil is ever made.
type Group struct{}

// Alive is false.
func (*Group) Alive() (bool, error) { return false, nil }

// Kill does nothing.
func (*Group) Kill() error { return nil }

// Remove does nothing.
func (*Group) Remove() error { return nil }
