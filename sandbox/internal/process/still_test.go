//go:build linux

package process

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asParent has this program be one that is told of its children.
const asParent = "HERMES_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(asParent) != "" {
		parent()
	}
	os.Exit(m.Run())
}

// parent starts a child and says what it is told of it.
func parent() {
	changed := make(chan os.Signal, 100)
	signal.Notify(changed, syscall.SIGCHLD)
	child := exec.Command("sleep", "1000")
	if err := child.Start(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(child.Process.Pid)
	for range changed {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WUNTRACED|syscall.WNOHANG, nil)
		switch {
		case pid == 0 && err == nil:
		case status.Stopped():
			fmt.Println("stopped")
		default:
			fmt.Println("ended")
			os.Exit(0)
		}
	}
}

// started starts a command, which is killed in the end, and returns its output.
func started(t *testing.T, cmd *exec.Cmd) *bufio.Reader {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		cmd.Wait()
	})
	return bufio.NewReader(out)
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	s, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(s)
}

func hold(t *testing.T, pid int) *Still {
	t.Helper()
	s, err := Hold(t.Context(), pid, func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestHold stops a tree that makes processes all the time.
func TestHold(t *testing.T) {
	cmd := exec.Command("sh", "-c", `for i in 1 2 3; do (while :; do (echo up); done) & done; wait`)
	out := started(t, cmd)
	for range 20 {
		line(t, out)
		s := hold(t, cmd.Process.Pid)
		for _, pid := range s.PIDs {
			if stat, err := ReadStat(pid); err == nil && !strings.ContainsRune("TDZX", rune(stat.state)) {
				t.Errorf("got process %d in state %c, want it stopped", pid, stat.state)
			}
		}
		if len(s.PIDs) < 2 {
			t.Errorf("got %v, want its children, too", s.PIDs)
		}
		s.Release()
	}
	line(t, out) // it goes on
}

// TestHoldUnseen does not tell a parent that its child was stopped.
func TestHoldUnseen(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asParent+"=1")
	out := started(t, cmd)
	child, err := strconv.Atoi(line(t, out))
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		hold(t, cmd.Process.Pid).Release()
	}
	if err := unix.Kill(child, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := line(t, out); got != "ended" {
		t.Errorf("got a child that %s, want that it ended", got)
	}
}

// TestHoldLeavesStopped does not wake who was asleep before.
func TestHoldLeavesStopped(t *testing.T) {
	cmd := exec.Command("sh", "-c", "echo up; kill -STOP $$; echo woken")
	out := started(t, cmd)
	line(t, out)
	state := func() byte {
		stat, err := ReadStat(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		return stat.state
	}
	for deadline := time.Now().Add(30 * time.Second); state() != 'T'; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not stop itself")
		}
	}
	hold(t, cmd.Process.Pid).Release()
	if got := state(); got != 'T' {
		t.Errorf("got state %c, want it stopped as before", got)
	}
}

// TestHoldNobody finds nobody of a process that has ended.
func TestHoldNobody(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	hold(t, cmd.Process.Pid).Release()
}

// TestHoldInHurry does not wait for who comes to rest late.
func TestHoldInHurry(t *testing.T) {
	cmd := exec.Command("sh", "-c", "echo up; while :; do :; done")
	line(t, started(t, cmd))
	asked := 0
	s, err := Hold(t.Context(), cmd.Process.Pid, func() bool { asked++; return true })
	if err != nil || asked != 1 {
		t.Errorf("got %v, asked %d times; want it stopped at once", err, asked)
	}
	s.Release()
}
