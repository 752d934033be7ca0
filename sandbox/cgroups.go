package sandbox

import (
	"os/exec"

	"github.com/hermesboard/hermes/sandbox/internal/cgroup"
)

// Cgroups is what this host offers to keep sessions in control groups of their
// own, which no descendant leaves by becoming a daemon, and to limit their
// memory, processor time and processes. It is handed to the constructors of
// backends, which then enforce these limits. It is safe for concurrent use; nil
// offers nothing.
//
// Available reports whether there is anything, Capabilities which limits can be
// enforced, and Problems says in plain words what cannot be had and why.
type Cgroups = cgroup.Host

// ErrCgroupPath is matched by errors about a path that is not that of a
// session's control group.
var ErrCgroupPath = cgroup.ErrPath

// DetectCgroups looks at what this host offers. Where it may, it makes the
// folder that the groups of sessions are in. It never fails: ask Problems.
func DetectCgroups() *Cgroups { return cgroup.Detect() }

// KillCgroup ends every process in a session's control group and removes the
// group. It is for what a dead supervisor left behind: path is what
// Sandbox.Cgroup told. It returns nil when nobody is left, also when the group
// is gone already, an error matching ErrTreeAlive when some survive for ten
// seconds, one matching ErrCgroupPath for any path that is not directly in this
// program's own folder, and one matching errors.ErrUnsupported where this host
// has no control groups for sessions.
func KillCgroup(path string) error { return cgroup.Detect().Kill(path) }

// CgroupAlive reports whether any process is in a session's control group. A
// group that is gone has none. Its errors are those of KillCgroup, of which it
// changes nothing.
func CgroupAlive(path string) (bool, error) { return cgroup.Detect().Alive(path) }

// SupervisorCgroup is the control group of a process that opens sessions, as
// [StartSupervisor] made it. Its Path is for [CgroupAlive] and [KillCgroup], which
// then are about that process, what it started and all its sessions. Remove
// removes it once nobody is in it, and does nothing otherwise. Nil is none: its
// Path is empty.
type SupervisorCgroup = cgroup.Supervisor

// StartSupervisor starts a command that is to open sessions in a control group
// of its own, in which it makes those of its sessions. Where this host has no
// control groups it starts the command all the same and returns nil.
func StartSupervisor(cmd *exec.Cmd) (*SupervisorCgroup, error) {
	return cgroup.Detect().StartSupervisor(cmd)
}

// SweepCgroups removes the control groups that are empty and whose supervisors
// are dead, and returns how many there were. It kills nobody.
func SweepCgroups() (removed int, err error) { return cgroup.Detect().Sweep() }
