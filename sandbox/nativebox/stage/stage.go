//go:build linux && (amd64 || arm64)

package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
)

// Arg is the only argument of a stage.
const Arg = "sandbox-stage"

// What a stage finds open beside the standard streams.
const (
	ordersFD  = 3
	reportsFD = 4
)

// Orders are what a stage is told.
type Orders struct {
	Argv, Env  []string
	Dir        string
	Plan       []rootfs.Step
	OwnNetwork bool
	OpenFiles  int
	FileBytes  int64
	Without    []string `json:",omitempty"` // walls that tests take away, see walls
}

// Report is what a stage tells: first that the main process runs, with a pidfd
// of it, or why it does not; then how it ended.
type Report struct {
	Error string             `json:",omitempty"`
	Errno int                `json:",omitempty"` // what the kernel said, 0 if it was not the kernel
	Spec  bool               `json:",omitempty"` // the error is about the spec: the sandbox itself was built
	Exit  *driver.ExitStatus `json:",omitempty"`
}

// specError is an error of a stage that no other host would mend.
type specError struct{ error }

func (e *specError) Unwrap() error { return e.error }

// A process started as a stage takes over here. To initialise all the packages
// of a large program takes longer than a stage does, and this one comes before
// most of them: what it imports is chosen for that.
func init() {
	if len(os.Args) != 2 || os.Args[1] != Arg {
		return
	}
	// Privileges belong to threads. The program is started from the only one
	// that has given them up in full.
	runtime.LockOSThread()
	err := stage()
	var about *specError
	r := Report{Error: err.Error(), Spec: errors.As(err, &about)}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		r.Errno = int(errno)
	}
	if send(r, -1) != nil {
		fmt.Fprintln(os.Stderr, "hermes: this is part of the native sandbox and not a command:", err)
	}
	os.Exit(1)
}

// stage does not return when the main process was started.
func stage() error {
	// From here on nothing that is open gets into another program by accident.
	if err := unix.CloseRange(ordersFD, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("mark descriptors close-on-exec: %w", err)
	}
	o, err := readOrders()
	if err != nil {
		return err
	}
	umask := unix.Umask(0)
	if err := buildRoot(o); err != nil {
		return err
	}
	unix.Umask(umask)
	if err := unix.Sethostname([]byte(rootfs.Hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if o.OwnNetwork {
		if err := loopbackUp(); err != nil {
			return err
		}
	}
	if err := limit(o.OpenFiles, o.FileBytes); err != nil {
		return err
	}
	if err := unix.Chdir(o.Dir); err != nil {
		return &specError{&os.PathError{Op: "chdir", Path: o.Dir, Err: err}}
	}
	path, err := lookPath(o.Argv[0], o.Env)
	if err != nil {
		return &specError{err}
	}
	if err := confine(o); err != nil {
		return err
	}
	return runMain(path, o)
}

func readOrders() (*Orders, error) {
	f := os.NewFile(ordersFD, "orders")
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	var o Orders
	if err := json.Unmarshal(content, &o); err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	if len(o.Argv) == 0 || len(o.Plan) == 0 {
		return nil, errors.New("read orders: nothing to do")
	}
	return &o, nil
}

// send reports to the supervisor, with a descriptor if fd is one.
func send(r Report, fd int) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
	}
	return unix.Sendmsg(reportsFD, data, rights, nil, unix.MSG_NOSIGNAL)
}

// loopbackUp lets programs of the sandbox reach each other at 127.0.0.1.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err == nil {
		request.SetUint16(unix.IFF_UP)
		err = unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
	}
	if err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	return nil
}

// limit sets resource limits, never above what the host allows.
func limit(openFiles int, fileBytes int64) error {
	for _, l := range []struct {
		name     string
		resource int
		value    uint64
	}{
		{"open files", unix.RLIMIT_NOFILE, uint64(openFiles)},
		{"file size", unix.RLIMIT_FSIZE, uint64(fileBytes)},
	} {
		if l.value == 0 {
			continue
		}
		var old unix.Rlimit
		err := unix.Getrlimit(l.resource, &old)
		if err == nil {
			value := min(l.value, old.Max)
			err = unix.Setrlimit(l.resource, &unix.Rlimit{Cur: value, Max: value})
		}
		if err != nil {
			return fmt.Errorf("limit %s: %w", l.name, err)
		}
	}
	return nil
}
