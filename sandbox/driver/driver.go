package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
)

// Driver is one backend. It is safe for concurrent use.
type Driver interface {
	// Name is the backend's name in configuration and messages.
	Name() string

	// Capabilities is what the backend enforces when it works. It depends on
	// what the driver was made with, and on the host no further; Probe does.
	Capabilities() Capabilities

	// Cgroup is the path, as in /proc/PID/cgroup, of the control group that a
	// session with that mark has to itself while it lives; empty if it has none.
	Cgroup(mark string) string

	// Layout says where the folders of spec are found inside. It does no I/O.
	Layout(spec *Spec) Layout

	// Probe runs a trivial sandbox and checks from the host's side that its
	// isolation holds. It may take some milliseconds; callers keep the answer.
	Probe(ctx context.Context) Report

	// Start runs the program. The spec was checked by package sandbox: paths
	// are absolute, Mark is set, everything asked for is in Capabilities. A
	// driver that cannot tell here that the program is missing may say so
	// from Wait. ctx bounds starting only. The driver does not keep spec.
	Start(ctx context.Context, spec *Spec) (Session, error)
}

// Session is one running program and its descendants. All methods are safe
// for concurrent use.
type Session interface {
	// PID is the host's process id of the outermost process, 0 if there is none.
	PID() int

	// Wait blocks until the main process has ended, and until its output was
	// passed on or a short bound passed (a descendant may hold the pipes
	// open). It may be called many times. An error means that the program
	// never ran.
	Wait() (ExitStatus, error)

	// Signal is delivered to the main process alone. It returns
	// os.ErrProcessDone when that has ended.
	Signal(sig syscall.Signal) error

	// Alive reports whether any process of the tree may be alive.
	Alive() bool

	// Kill ends every process of the tree, and returns nil only when none is
	// left. An error that matches ErrTreeAlive means that some survived; Kill
	// may be called again. It returns within about ten seconds.
	Kill() error

	// Close is Kill, then releases what the session holds: when it returns
	// nil no more output arrives and no goroutine is left, except one that is
	// blocked reading Spec.Stdin. It may be called many times.
	Close() error
}

// Spec says what to run and what it may see. Host paths are absolute.
type Spec struct {
	// Argv is the program and its arguments. A program without a slash is
	// looked up in the PATH of Env, as seen from inside.
	Argv []string
	// Env is the whole environment as KEY=value; PWD and HERMES_MARK are set
	// by the sandbox and may not be given.
	Env []string
	// Dir is the working directory, an inside path; empty is the workspace.
	Dir string
	// Mark identifies the run's processes on the host: they carry it in
	// HERMES_MARK. Letters and digits; empty is replaced by a random one.
	Mark string

	// Workspace is the host folder the program works in. Required.
	Workspace string
	// Inputs is a host folder given read-only; empty for none.
	Inputs string
	// Outputs is a host folder for results; empty for none.
	Outputs string
	// SocketDir is the host folder with the worker's unix socket; empty for none.
	SocketDir string
	// Program is the host path of a static binary given read-only and
	// executable; empty for none.
	Program string
	// Mounts are further host paths.
	Mounts []Mount

	Limits  Limits
	Network Network

	// Stdin is copied in; nil is the null device. It must end or fail by the
	// time the session is closed, or one goroutine stays behind in Read.
	Stdin io.Reader
	// Stdout and Stderr get the output as it arrives; nil discards it. They
	// are called from the session's goroutines, one call at a time each (and
	// together, where both are the same writer). They decide how much to keep.
	// One that blocks stops the program when its pipe is full.
	Stdout, Stderr io.Writer
}

// Mount makes a host path visible inside.
type Mount struct {
	// Host is a folder or regular file.
	Host string
	// Inside is where it is found; empty is the same path as on the host.
	Inside string
	// Writable is false for read-only.
	Writable bool
}

// Limits bound a session. Zero asks for no limit, except where said.
type Limits struct {
	MemoryBytes int64 // whole tree
	MilliCPUs   int   // whole tree; 1000 is one core
	Processes   int   // whole tree, threads included; at least 64
	DiskBytes   int64 // what is written into workspace, outputs and writable mounts, each file at least 4 KiB; also bounds FileBytes
	TmpBytes    int64 // each writable place that is no host folder; zero is the backend's default
	OpenFiles   int   // per process
	FileBytes   int64 // size of one written file
}

// Network is how much of the network a session gets. The zero value is none.
type Network string

// The networks a spec can ask for.
const (
	NoNetwork    Network = ""
	ProxyNetwork Network = "proxy"
	FullNetwork  Network = "full"
)

// Layout holds the inside paths of a spec's folders, each empty where the spec
// names none.
type Layout struct {
	Workspace string
	Inputs    string
	Outputs   string
	SocketDir string
	Program   string
}

// ExitStatus is how a main process ended.
type ExitStatus struct {
	// Code is the exit code, or 128 plus the signal's number.
	Code int
	// Signal is the signal that ended it, or 0. A backend that only learns of
	// 128+n reports signal n, also when the program chose that code itself.
	Signal syscall.Signal
}

// Success reports whether the program ended with code 0.
func (s ExitStatus) Success() bool { return s.Code == 0 && s.Signal == 0 }

// String is "exit 3" or "signal killed".
func (s ExitStatus) String() string {
	if s.Signal != 0 {
		return "signal " + s.Signal.String()
	}
	return fmt.Sprintf("exit %d", s.Code)
}

// Report is the outcome of a probe.
type Report struct {
	// Available reports whether the backend works here.
	Available bool
	// Version is the version of the external program, if there is one.
	Version string
	// Reason says in plain words why the backend does not work.
	Reason string
}

// ErrSpec is matched by errors about a spec that makes no sense for any backend.
var ErrSpec = errors.New("bad sandbox spec")

// ErrTreeAlive is matched by the error of Kill and Close when processes are left.
var ErrTreeAlive = errors.New("process tree still alive")

// TreeAliveError names the processes that are left. It matches ErrTreeAlive.
type TreeAliveError struct {
	// PIDs are process ids on the host, sorted.
	PIDs []int
	// Reason says why they could not be ended, if that is known.
	Reason string
}

// Error lists the processes.
func (e *TreeAliveError) Error() string {
	msg := fmt.Sprintf("%v: pids %v", ErrTreeAlive, e.PIDs)
	if e.Reason != "" {
		msg += ": " + e.Reason
	}
	return msg
}

// Is makes the error match ErrTreeAlive.
func (e *TreeAliveError) Is(target error) bool { return target == ErrTreeAlive }
