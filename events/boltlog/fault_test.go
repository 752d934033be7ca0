package boltlog_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/events/logtest"
)

const (
	scriptBatches = 5
	scriptRecords = 20
)

// childScript appends batches to a board and prints how each ended, then how
// closing did. The second argument limits the size of files, if not 0.
func childScript(args []string) {
	runtime.LockOSThread() // strace counts calls for each thread
	l, err := boltlog.Open(args[0], &boltlog.Options{LongLived: true})
	if err != nil {
		fmt.Println("closed", err)
		return
	}
	limit, err := strconv.ParseUint(args[1], 10, 64)
	must(err)
	if limit != 0 {
		signal.Ignore(syscall.SIGXFSZ)
		must(unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: limit, Max: limit}))
	}
	ctx := context.Background()
	for range scriptBatches {
		first := l.Head().Seq + 1
		_, err := l.Append(ctx, first-1, []events.Commit{logtest.Commit(first, scriptRecords)})
		switch {
		case err == nil:
			fmt.Println("ok", first)
		case errors.Is(err, events.ErrFull) && !errors.Is(err, events.ErrUnknownCommit):
			fmt.Println("full", first)
		case errors.Is(err, events.ErrUnknownCommit):
			fmt.Println("unknown", first)
			_, err = l.Append(ctx, first-1, nil)
			_, rerr := l.Read(ctx, 1, 0, false)
			if !errors.Is(err, events.ErrClosed) || !errors.Is(rerr, events.ErrUnknownCommit) {
				fmt.Println("alive", err, rerr)
			}
			must(l.Close())
			return
		default:
			fmt.Println("error", err)
		}
	}
	if err := l.Close(); err != nil {
		fmt.Println("close", err)
	}
}

// tally is how often each thing happened in a sweep.
type tally struct{ runs, ok, full, lost, kept int }

// judge compares what a script said with what is in the board.
func (y *tally) judge(t *testing.T, what, board, said string) {
	t.Helper()
	y.runs++
	verify(t, board)
	l := open(t, board, &boltlog.Options{ReadOnly: true})
	defer l.Close()
	ended := 0
	for line := range strings.Lines(said) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		first, _ := strconv.ParseUint(rest, 10, 64)
		_, found, err := l.Command(logtest.CommandID(first))
		if err != nil {
			t.Fatal(err)
		}
		ended++
		switch {
		case word == "ok" && found:
			y.ok++
		case word == "full":
			// The same command may have been tried again and taken.
			if found && !strings.Contains(said, fmt.Sprintf("ok %d\n", first)) && !strings.Contains(said, fmt.Sprintf("unknown %d\n", first)) {
				t.Errorf("%s: a command that was refused is in the log", what)
			}
			y.full++
		case word == "unknown" && found:
			y.kept++
		case word == "unknown":
			y.lost++
		case word == "close" || word == "closed":
		default:
			t.Errorf("%s: %s (found: %v)", what, line, found)
		}
	}
	if ended < scriptBatches && !strings.Contains(said, "unknown") && !strings.HasPrefix(said, "closed") {
		t.Errorf("%s: the child said only %q", what, said)
	}
}

func runScript(t *testing.T, wrap []string, board string, limit uint64) string {
	t.Helper()
	cmd := child(t, wrap, "script", board, strconv.FormatUint(limit, 10))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return string(out)
}

// Whichever call to the kernel fails while a board is written, nothing that
// was reported as written is missing, nothing that was reported as refused is
// there, and what is unknown is reported as unknown. BOLTLOG_FAULTS=all sweeps
// more errors, and errors that stay.
func TestFaults(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	if out, err := exec.Command(strace, "-o", os.DevNull, strace, "-V").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: %v: %s", err, out)
	}
	sweeps := []string{"fdatasync:error=EIO:when=%d", "pwrite64:error=EIO:when=%d", "pwrite64:error=ENOSPC:when=%d", "ftruncate:error=EFBIG:when=%d", "fsync:error=EIO:when=%d"}
	if os.Getenv("BOLTLOG_FAULTS") == "all" {
		sweeps = nil
		for _, call := range []string{"fdatasync", "pwrite64", "ftruncate", "fsync", "mmap"} {
			for _, errno := range []string{"EIO", "ENOSPC", "EDQUOT", "EFBIG", "ENOMEM"} {
				for _, when := range []string{"%d", "%d+"} {
					sweeps = append(sweeps, call+":error="+errno+":when="+when)
				}
			}
		}
	}
	empty := newPath(t)
	create(t, empty, nil).Close()
	image, err := os.ReadFile(empty)
	if err != nil {
		t.Fatal(err)
	}
	total := tally{}
	for _, sweep := range sweeps {
		y := tally{}
		for n := 1; ; n++ {
			dir := t.TempDir()
			board, trace := filepath.Join(dir, "board.db"), filepath.Join(dir, "trace")
			if err := os.WriteFile(board, image, 0o600); err != nil {
				t.Fatal(err)
			}
			fault := fmt.Sprintf(sweep, n)
			call, _, _ := strings.Cut(fault, ":")
			// Only calls that concern the board count.
			said := runScript(t, []string{strace, "-f", "-qq", "-o", trace, "-P", board, "-e", "trace=" + call, "-e", "inject=" + fault}, board, 0)
			log, err := os.ReadFile(trace)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(log), "INJECTED") {
				break
			}
			if n > 100 {
				t.Fatalf("%s: no end of injections", sweep)
			}
			y.judge(t, fault, board, said)
			if strings.HasPrefix(fault, "pwrite64:error=ENOSPC") && strings.Contains(said, "unknown") {
				t.Errorf("%s: a full disk is called unknown: %q", fault, said)
			}
		}
		t.Logf("%-32s %3d faults: %3d ok, %2d full, %2d unknown and absent, %2d unknown and present", sweep, y.runs, y.ok, y.full, y.lost, y.kept)
		if y.runs == 0 {
			t.Errorf("%s: nothing was injected", sweep)
		}
		total.full, total.lost, total.kept = total.full+y.full, total.lost+y.lost, total.kept+y.kept
	}
	if total.full == 0 || total.lost == 0 || total.kept == 0 {
		t.Errorf("got %+v, want each outcome at least once", total)
	}
}

// A limit on the size of files refuses growth in the middle of commits.
func TestFileSizeLimit(t *testing.T) {
	y := tally{}
	for kib := uint64(32); kib <= 160; kib += 12 {
		board := newPath(t)
		create(t, board, nil).Close()
		said := runScript(t, nil, board, kib<<10)
		y.judge(t, fmt.Sprintf("limit %d KiB", kib), board, said)
		if strings.Contains(said, "unknown") {
			t.Errorf("limit %d KiB: got %q, want no unknown commits", kib, said)
		}
	}
	if y.ok == 0 || y.full == 0 {
		t.Errorf("got %+v, want some taken and some refused", y)
	}
}
