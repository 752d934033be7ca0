//go:build linux

package first_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/hermesboard/hermes/sandbox/internal/first"
)

// start runs a script of sh.
func start(t *testing.T, script string) (pid int) {
	t.Helper()
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", script}, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestReap: the program ends when the other has been taken in.
func TestReap(t *testing.T) {
	for end, want := range map[string]int{"exit 0": 0, "exit 42": 42, "kill -TERM $$": 128 + 15, "kill -KILL $$": 128 + 9} {
		other := start(t, "exit 7")
		main := start(t, fmt.Sprintf("while kill -0 %d; do :; done 2>/dev/null; %s", other, end))
		status, err := first.Reap(main)
		if got := first.Code(status); got != want || err != nil {
			t.Errorf("%s: got %d, %v; want %d", end, got, err, want)
		}
	}
	if _, err := first.Reap(os.Getpid()); err == nil {
		t.Error("got a child where there is none, want an error")
	}
}

func TestPass(t *testing.T) {
	main := start(t, "while :; do :; done")
	signals := make(chan os.Signal)
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		first.Pass(main, signals)
	}()
	signals <- syscall.SIGPIPE // ours: it would end the program
	signals <- syscall.SIGKILL
	close(signals)
	<-passed
	status, err := first.Reap(main)
	if got := first.Code(status); got != 128+9 || err != nil {
		t.Errorf("got %d, %v; want %d", got, err, 128+9)
	}
}
