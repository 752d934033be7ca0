//go:build linux && (amd64 || arm64)

package nativebox

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

// stageArg is the only argument of a stage.
const stageArg = "sandbox-stage"

// What a stage finds open beside the standard streams.
const (
	ordersFD  = 3
	reportsFD = 4
)

// orders are what a stage is told.
type orders struct {
	Argv, Env  []string
	Dir        string
	Plan       []rootfs.Step
	OwnNetwork bool
	OpenFiles  int
	FileBytes  int64
}

// report is what a stage tells: first that the main process runs, with a pidfd
// of it, or why it does not; then how it ended.
type report struct {
	Error string             `json:",omitempty"`
	Errno int                `json:",omitempty"` // what the kernel said, 0 if it was not the kernel
	Spec  bool               `json:",omitempty"` // the error is about the spec: the sandbox itself was built
	Exit  *driver.ExitStatus `json:",omitempty"`
}

// problem is the error of a report. It matches what the kernel said.
func (r report) problem() error {
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

// specError is an error of a stage that no other host would mend.
type specError struct{ error }

func (e *specError) Unwrap() error { return e.error }

// Main is the first thing that the main function of a program calls which is
// to be the stage of a sandbox. In a stage it does not return; otherwise it
// does nothing.
func Main() {
	if len(os.Args) != 2 || os.Args[1] != stageArg {
		return
	}
	// Privileges belong to threads. The program is started from the only one
	// that has given them up in full.
	runtime.LockOSThread()
	err := stage()
	var about *specError
	r := report{Error: err.Error(), Spec: errors.As(err, &about)}
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
	if err := buildRoot(o.Plan); err != nil {
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
	if err := confine(o.Plan); err != nil {
		return err
	}
	return runMain(path, o)
}

func readOrders() (*orders, error) {
	f := os.NewFile(ordersFD, "orders")
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	var o orders
	if err := json.Unmarshal(content, &o); err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	if len(o.Argv) == 0 || len(o.Plan) == 0 {
		return nil, errors.New("read orders: nothing to do")
	}
	return &o, nil
}

// send reports to the supervisor, with a descriptor if fd is one.
func send(r report, fd int) error {
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
