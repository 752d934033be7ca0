package registry

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/events/logtest"
)

// Some tests need a process that can die. They run this test binary again with
// the name of a child in its environment.
const childEnv = "REGISTRY_TEST_CHILD"

var children = map[string]func(h *Home, args []string){
	"hold":   childHold,
	"create": childCreate,
	"reopen": childReopen,
	"leave":  childLeave,
	"count":  childCount,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		h, err := OpenHome(os.Args[1], &HomeOptions{Version: "child"})
		must(err)
		children[name](h, os.Args[2:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(t *testing.T, name string, h *Home, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, append([]string{h.dir}, args...)...)
	cmd.Env = append(os.Environ(), childEnv+"="+name, "GOTRACEBACK=none")
	cmd.Stderr = os.Stderr
	return cmd
}

// must ends a child that cannot go on.
func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(3)
	}
}

// dieAt makes the process kill itself at a step, as a crash would.
func (h *Home) dieAt(step string) {
	h.fault = func(s string) error {
		if s == step {
			must(syscall.Kill(os.Getpid(), syscall.SIGKILL))
			select {}
		}
		return nil
	}
}

// childHold holds a board, says so, and waits for its end.
func childHold(h *Home, args []string) {
	held, err := h.Hold(context.Background(), args[0], 0, nil)
	must(err)
	must(held.Serving("/somewhere.sock"))
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
	must(held.Release())
}

// childCreate creates a board and dies at a step.
func childCreate(h *Home, args []string) {
	h.dieAt(args[1])
	held, err := h.Create(context.Background(), args[0], genesis(3), nil)
	must(err)
	must(held.Release())
}

// childReopen copies a board forward and dies at a step.
func childReopen(h *Home, args []string) {
	h.dieAt(args[1])
	held, err := h.Hold(context.Background(), args[0], 0, nil)
	must(err)
	_, err = held.Reopen(context.Background(), true)
	must(err)
}

// childLeave archives or deletes a board and dies at a step.
func childLeave(h *Home, args []string) {
	h.dieAt(args[1])
	held, err := h.Hold(context.Background(), args[0], 0, nil)
	must(err)
	if args[2] == "delete" {
		must(held.Delete(context.Background()))
	} else {
		_, err = held.Archive(context.Background())
		must(err)
	}
}

// childCount takes the board again and again to append one record each time.
func childCount(h *Home, args []string) {
	n, err := strconv.Atoi(args[1])
	must(err)
	for range n {
		held, err := h.Hold(context.Background(), args[0], -1, nil)
		must(err)
		must(appendTo(held.Log(), 1))
		must(held.Anchor(held.Log().Head()))
		must(held.Release())
	}
}

// startHolder returns a child that holds the board, and its standard input.
func startHolder(t *testing.T, h *Home, slug string) (*exec.Cmd, io.Closer) {
	t.Helper()
	cmd := child(t, "hold", h, slug)
	in, err := cmd.StdinPipe()
	fatal(t, err)
	out, err := cmd.StdoutPipe()
	fatal(t, err)
	fatal(t, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("got %q, %v from the holder, want held", line, err)
	}
	return cmd, in
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	fatal(t, cmd.Process.Kill())
	wantKilled(t, cmd.Wait())
}

func wantKilled(t *testing.T, err error) {
	t.Helper()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("child ended with %v, want killed", err)
	}
}

func newHome(t testing.TB) *Home {
	t.Helper()
	h, err := OpenHome(filepath.Join(t.TempDir(), "home"), &HomeOptions{Version: "test"})
	fatal(t, err)
	t.Cleanup(func() { h.Close() })
	return h
}

// genesis returns a genesis of n made-up records.
func genesis(n int) Genesis {
	return func(log *boltlog.Log, _ events.BoardID, _ string) error { return appendTo(log, n) }
}

// appendTo appends one command of n made-up records.
func appendTo(log *boltlog.Log, n int) error {
	head := log.Head().Seq
	_, err := log.Append(context.Background(), head, []events.Commit{logtest.Commit(head+1, n)})
	return err
}

// makeBoard creates a board of n events, all of them anchored, and releases it.
func makeBoard(t testing.TB, h *Home, slug string, n int) events.BoardID {
	t.Helper()
	held, err := h.Create(t.Context(), slug, genesis(n), nil)
	fatal(t, err)
	fatal(t, held.Release())
	return held.Board()
}

// extend holds the board, appends n events, anchors and releases.
func extend(t testing.TB, h *Home, slug string, n int) {
	t.Helper()
	held := hold(t, h, slug)
	fatal(t, appendTo(held.Log(), n))
	fatal(t, held.Anchor(held.Log().Head()))
	fatal(t, held.Release())
}

// hold holds a board that must be all right, to the end of the test at latest.
func hold(t testing.TB, h *Home, slug string) *Held {
	t.Helper()
	held, err := h.Hold(t.Context(), slug, 0, nil)
	fatal(t, err)
	t.Cleanup(func() { held.Release() })
	return held
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	fatal(t, err)
	return b
}

func writeFile(t testing.TB, path string, b []byte) {
	t.Helper()
	fatal(t, os.WriteFile(path, b, 0o600))
}
