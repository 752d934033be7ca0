package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/hermesboard/hermes/sandbox/internal/first"
)

// Exit codes of Init for a program that it could not start, as of shells.
const (
	exitCannotRun = 126
	exitNotFound  = 127
)

// Init is the first program of a sandbox with a proxy: it relays connections
// to listen on to the unix socket, runs argv with its own environment and
// streams, passes signals on to it, and reaps whatever becomes its child. It
// returns when argv has ended, with its exit code, or 128 plus the number of
// the signal that ended it. An error means that it did not run; the code is
// then 127 if there is no such program, or 126.
//
// It may be called once, by a program that starts nothing else.
func Init(listen, socket string, argv []string) (code int, err error) {
	relay, err := NewRelay(listen, socket)
	if err != nil {
		return exitCannotRun, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	relayed := make(chan struct{})
	go func() {
		defer close(relayed)
		relay.Run(ctx)
	}()
	defer func() {
		cancel()
		<-relayed
	}()

	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	defer func() {
		signal.Stop(signals)
		close(signals)
	}()
	// The program dies with the thread that started it, which is this one
	// until it has ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, err := start(argv)
	if err != nil {
		code = exitCannotRun
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			code = exitNotFound
		}
		return code, err
	}
	go first.Pass(pid, signals) // ends with this function
	status, err := first.Reap(pid)
	if err != nil {
		return exitCannotRun, fmt.Errorf("wait for the program: %w", err)
	}
	return first.Code(status), nil
}

func start(argv []string) (pid int, err error) {
	path, err := exec.LookPath(argv[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return 0, err
	}
	pid, err = syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return 0, &fs.PathError{Op: "run", Path: path, Err: err}
	}
	return pid, nil
}
