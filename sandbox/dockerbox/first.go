//go:build linux && (amd64 || arm64)

package dockerbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/internal/filter"
	"github.com/hermesboard/hermes/sandbox/internal/first"
)

// Main is called first thing by a program that uses this package. In a copy of
// the program that was started as the first process of a container it does
// what there is to do there and does not return. Elsewhere it does nothing.
func Main() {
	if len(os.Args) == 0 || os.Args[0] != firstPath {
		return
	}
	if os.Getpid() == 1 {
		runFirst()
	}
	look()
	os.Exit(0)
}

// firstProcess is that of the container. When it ends, the kernel kills
// every other process in it. It is behind the same system call filter as the
// program, which has the same user and could otherwise make it its tool.
type firstProcess struct {
	conn *net.UnixConn
	main int // the program's process id
}

func runFirst() {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: doorPath + "/" + socketName, Net: "unix"})
	if err != nil {
		os.Exit(1) // the supervisor has gone
	}
	f := &firstProcess{conn: conn}
	if err := f.start(); err != nil {
		f.tell(notice{Failed: err.Error()})
		os.Exit(1)
	}
	f.tell(notice{Started: true})
	go f.obey()    // ends with the process
	go f.forward() // so does this
	f.reap()
}

func (f *firstProcess) tell(n notice) { json.NewEncoder(f.conn).Encode(n) }

// start runs the program of the order that arrives.
func (f *firstProcess) start() error {
	o, pipes, err := receiveOrder(f.conn)
	if err != nil {
		return fmt.Errorf("receive order: %w", err)
	}
	var std []uintptr
	for _, piped := range o.Pipes {
		var fd int
		if piped && len(pipes) > 0 {
			fd, pipes = pipes[0], pipes[1:]
		} else if fd, err = unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			return err
		}
		unix.CloseOnExec(fd)
		std = append(std, uintptr(fd))
	}
	argv, env := toStrings(o.Argv), toStrings(o.Env)
	path, err := lookPath(argv[0], o.Dir, env)
	if err != nil {
		return err
	}
	for resource, value := range map[int]uint64{unix.RLIMIT_NOFILE: uint64(o.OpenFiles), unix.RLIMIT_FSIZE: uint64(o.FileBytes)} {
		if err := limit(resource, value); err != nil {
			return err
		}
	}
	if err := installFilter(); err != nil {
		return err
	}
	f.main, err = syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Dir: o.Dir, Env: env, Files: std, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	for _, fd := range std {
		unix.Close(int(fd))
	}
	if err != nil {
		return &os.PathError{Op: "execute", Path: argv[0], Err: err}
	}
	return nil
}

// lookPath finds a program as seen from inside.
func lookPath(program, dir string, env []string) (string, error) {
	if strings.ContainsRune(program, '/') {
		path := program
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if _, err := os.Stat(path); err != nil {
			return "", &os.PathError{Op: "execute", Path: program, Err: errors.Unwrap(err)}
		}
		return path, nil
	}
	for _, entry := range env {
		list, ok := strings.CutPrefix(entry, "PATH=")
		if !ok {
			continue
		}
		for _, folder := range filepath.SplitList(list) {
			path := filepath.Join(folder, program)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && filepath.IsAbs(path) {
				return path, nil
			}
		}
	}
	return "", &os.PathError{Op: "find in PATH", Path: program, Err: fs.ErrNotExist}
}

// limit lowers a resource limit of this process and what it starts.
func limit(resource int, value uint64) error {
	if value == 0 {
		return nil
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(resource, &old); err != nil {
		return err
	}
	value = min(value, old.Max)
	if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
		return fmt.Errorf("set resource limit %d: %w", resource, err)
	}
	return nil
}

// installFilter is a variable so that tests can leave it out.
var installFilter = closeFilter

// closeFilter puts every thread of this process behind the filter, on top of
// the engine's own.
func closeFilter() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	program := filter.Program()
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return fmt.Errorf("install system call filter: %w", errno)
	}
	return nil
}

// obey sends the host's signals to the program, and ends everything when the
// host has gone.
func (f *firstProcess) obey() {
	var sig [1]byte
	for {
		if _, err := f.conn.Read(sig[:]); err != nil {
			os.Exit(1)
		}
		unix.Kill(f.main, syscall.Signal(sig[0]))
	}
}

// forward passes on what somebody sends by way of the engine.
func (f *firstProcess) forward() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2)
	first.Pass(f.main, signals)
}

// reap takes in orphans until the program itself has ended.
func (f *firstProcess) reap() {
	status, err := first.Reap(f.main)
	if err != nil {
		os.Exit(1)
	}
	end := ended{Code: first.Code(status)}
	if status.Signaled() {
		end.Signal = int(status.Signal())
	}
	f.tell(notice{Ended: &end})
	os.Exit(0)
}
