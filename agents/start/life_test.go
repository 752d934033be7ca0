//go:build linux

package start

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/agents/supervise"
	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/localbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest/executable"
)

// inSandbox runs the program of its home in a sandbox, as a supervisor does.
func inSandbox(spec supervise.Spec) error {
	if err := sandbox.Supervise(); err != nil {
		return err
	}
	s, err := localbox.New().Start(context.Background(), &sandbox.Spec{
		Argv: []string{filepath.Join(spec.Home, "program"), "60"}, Workspace: spec.Home, Mark: spec.Mark, Network: sandbox.FullNetwork,
	})
	if err != nil {
		return err
	}
	_, err = s.Wait()
	return err
}

// TestHelperLeftBehind: what a supervisor started outside its sandbox carries no
// mark, and is found and ended all the same by the supervisor's control group.
func TestHelperLeftBehind(t *testing.T) {
	if groups := sandbox.DetectCgroups(); !groups.Available() {
		if os.Getenv("CI") == "true" {
			t.Fatal(groups.Problems())
		}
		t.Skip(groups.Problems())
	}
	boxes, err := sandbox.NewRegistry(localbox.New())
	if err != nil {
		t.Fatal(err)
	}
	s := newStarter(t, "helper")
	s.Sandboxes = boxes
	a := assignment(21)
	p := s.released(t, a)
	s.said(t, a.Run, "released")
	p.cmd.Process.Kill()
	awaitEnd(t, p)
	if alive, err := Alive(a.Board, a.Run, p.Process()); !alive || err != nil {
		t.Errorf("got alive %v, %v, want the helper found", alive, err)
	}
	if err := Stop(t.Context(), a.Board, a.Run, p.Process(), 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if alive, err := Alive(a.Board, a.Run, p.Process()); alive || err != nil {
		t.Errorf("after the stop: got alive %v, %v", alive, err)
	}
	pid, err := strconv.Atoi(s.said(t, a.Run, "released"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := startTime(pid); err == nil {
		t.Errorf("helper %d lives", pid)
	}
}

// TestKilledWhileStarting: a program that is being started has, until it is
// executed, its supervisor's environment and no mark. If the supervisor is
// killed just then it must not come up after the run was taken for gone. The
// moment is made long by a lease on the program's file, which the kernel has to
// get back before it executes it.
func TestKilledWhileStarting(t *testing.T) {
	s := newStarter(t, "sandbox")
	program := filepath.Join(s.Home, "program")
	executable.Copy(t, "/bin/sleep", program)
	lease, err := os.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	wanted := make(chan os.Signal, 1)
	signal.Notify(wanted, syscall.SIGIO)
	defer signal.Stop(wanted)
	if _, err := unix.FcntlInt(lease.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skipf("no leases on files here: %v", err)
	}

	a := assignment(1)
	p := s.released(t, a)
	select {
	case <-wanted: // its child executes the program, and waits
	case <-time.After(20 * time.Second):
		t.Fatal("the program is not started")
	}
	if marked, err := sandbox.Marked(Mark(a.Board, a.Run)); err != nil || len(marked) > 0 {
		t.Errorf("got processes %v, %v marked; want none yet", marked, err)
	}
	syscall.Kill(int(p.started.PID), syscall.SIGKILL)
	awaitEnd(t, p)
	if gone, err := awaitGone(t.Context(), a.Board, a.Run, p.started, 20*time.Second); err != nil || !gone {
		t.Fatalf("got gone %v, %v", gone, err)
	}
	lease.Close() // now nothing keeps the program from being executed
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
		if left, err := sandbox.Marked(Mark(a.Board, a.Run)); err != nil || len(left) > 0 {
			t.Fatalf("processes %v, %v came up after the run was gone", left, err)
		}
	}
}
