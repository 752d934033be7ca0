package sandbox_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest/executable"
)

// TestMarkedFindsTheNewborn: a process is found from the moment it was started
// on, also while the kernel is still reading its program from the disk and has
// not yet given it an environment.
func TestMarkedFindsTheNewborn(t *testing.T) {
	program := coldProgram(t)
	for i := range 50 {
		mark := "newborn" + strconv.Itoa(os.Getpid()) + "n" + strconv.Itoa(i)
		cmd := exec.Command(program.Name(), "-test.run=^TestSleeps$")
		cmd.Env = []string{sandbox.MarkVariable + "=" + mark, "HERMES_TEST_SLEEPS=1"}
		unix.Fadvise(int(program.Fd()), 0, 0, unix.FADV_DONTNEED)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pids, err := sandbox.Marked(mark)
		cmd.Process.Kill()
		cmd.Wait()
		if err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
			t.Fatalf("start %d: got %v, %v, want %d", i, pids, err, cmd.Process.Pid)
		}
	}
}

// TestMarkedFindsTheHeadless: a process whose first thread has ended looks dead
// and has no environment of its own any more, but its other threads live.
func TestMarkedFindsTheHeadless(t *testing.T) {
	mark := "headless" + strconv.Itoa(os.Getpid())
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{sandbox.MarkVariable + "=" + mark, "HERMES_TEST_HEADLESS=1"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for deadline := time.Now().Add(30 * time.Second); !headless(t, cmd.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("its first thread does not end")
		}
	}
	if pids, err := sandbox.Marked(mark); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
		t.Errorf("got %v, %v, want %d", pids, err, cmd.Process.Pid)
	}
	if err := sandbox.KillMarked(mark); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("got %v, want it killed", err)
	}
	if pids, err := sandbox.Marked(mark); err != nil || len(pids) > 0 {
		t.Errorf("afterwards: got %v, %v, want none", pids, err)
	}
}

func headless(t *testing.T, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	return stat[bytes.LastIndexByte(stat, ')')+2] == 'Z'
}

// init runs on the first thread, which the process of TestMarkedFindsTheHeadless ends.
func init() {
	if os.Getenv("HERMES_TEST_HEADLESS") != "" {
		go time.Sleep(10 * time.Minute)
		runtime.LockOSThread()
		syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0) // of the thread, not of the process
	}
}

// TestSleeps is what the processes of TestMarkedFindsTheNewborn do.
func TestSleeps(t *testing.T) {
	if os.Getenv("HERMES_TEST_SLEEPS") != "" {
		time.Sleep(10 * time.Minute) // an empty select would be taken for a deadlock
	}
}

// coldProgram is a copy of this program that the system can forget.
func coldProgram(t *testing.T) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	executable.CopySelf(t, path)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	return f
}
