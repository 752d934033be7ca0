package sandbox_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
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

// TestSleeps is what the processes of TestMarkedFindsTheNewborn do.
func TestSleeps(t *testing.T) {
	if os.Getenv("HERMES_TEST_SLEEPS") != "" {
		time.Sleep(10 * time.Minute) // an empty select would be taken for a deadlock
	}
}

// coldProgram is a copy of this program that the system can forget.
func coldProgram(t *testing.T) *os.File {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, content, 0o700); err != nil {
		t.Fatal(err)
	}
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
