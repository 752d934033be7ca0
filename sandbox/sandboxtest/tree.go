//go:build linux && (amd64 || arm64)

package sandboxtest

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// daemonUp starts a program that left a survivor with token behind.
func (b *box) daemonUp(t *testing.T, main, env, token string) *sandbox.Session {
	t.Helper()
	out := newLines()
	spec := b.spec(t, "daemon", main, env, token)
	spec.Stdout, spec.Mark = out, token
	s := b.start(t, spec)
	await(t, "first line", out.c)
	if len(hostProcesses(t, token)) == 0 {
		t.Fatal("no survivor is found on the host: this test proves nothing")
	}
	return s
}

func testKillTree(t *testing.T, b *box) {
	token := unique("tree")
	s := b.daemonUp(t, "stay", "keep", token)
	if err := s.Kill(); err != nil {
		t.Error(err)
	}
	wantGone(t, token)
}

func testKillStray(t *testing.T, b *box) {
	token := unique("stray")
	s := b.daemonUp(t, "stay", "clear", token)
	if err := s.Kill(); err != nil {
		t.Error(err)
	}
	wantGone(t, token)
}

func testMainGone(t *testing.T, b *box) {
	envs := []string{"clear"}
	if All() {
		envs = append(envs, "keep")
	}
	for _, env := range envs {
		token := unique("left" + env)
		out := newLines()
		spec := b.spec(t, "daemon", "leave", env, token)
		spec.Stdout = out
		s := b.start(t, spec)
		await(t, "end of the main process", s.Done())
		// With a process namespace the survivor dies with the main process.
		if !b.has(driver.Processes) {
			await(t, "survivor", out.c)
			if !s.Alive() || len(hostProcesses(t, token)) == 0 {
				t.Errorf("got alive %v, want a survivor after the main process", s.Alive())
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if s.Alive() {
			t.Error("got alive after Close, want not")
		}
		wantGone(t, token)
	}
}

// testTwoTrees kills one of two sessions that both left survivors.
func testTwoTrees(t *testing.T, b *box) {
	tokens := []string{unique("one"), unique("two")}
	one := b.daemonUp(t, "stay", "keep", tokens[0])
	two := b.daemonUp(t, "stay", "keep", tokens[1])
	if err := one.Kill(); err != nil {
		t.Error(err)
	}
	wantGone(t, tokens[0])
	if len(hostProcesses(t, tokens[1])) == 0 {
		t.Error("the other session's survivor was killed, too")
	}
	if err := two.Kill(); err != nil {
		t.Error(err)
	}
	wantGone(t, tokens[1])
}

// testForkStorm kills while processes are being born.
func testForkStorm(t *testing.T, b *box) {
	token := unique("storm")
	s, _ := b.up(t, "storm", fmt.Sprint(stormDepth), token)
	if err := s.Kill(); err != nil {
		var alive *sandbox.TreeAliveError
		t.Errorf("got %v (%v), want nil", err, errors.As(err, &alive))
	}
	wantGone(t, token)
}

// testTraced ends programs that made the supervisor their tracer: the kernel
// keeps such a one from ending until its tracer has looked.
func testTraced(t *testing.T, b *box) {
	for _, thread := range []string{"main", "other"} {
		token := unique("traced")
		s, _ := b.up(t, "traced", thread, token)
		if thread == "main" && !b.has(driver.Syscalls) {
			await(t, "end of a program that its tracer will not continue", s.Done())
		}
		if err := s.Kill(); err != nil {
			t.Errorf("%s thread: %v", thread, err)
		}
		if status := b.wait(t, s); status.Signal != syscall.SIGKILL {
			t.Errorf("%s thread: got %v, want it killed", thread, status)
		}
		wantGone(t, token)
	}
}

// testManyStops stops trees that do not want to end, HERMES_TEST_STOPS times.
func testManyStops(t *testing.T, b *box) {
	stops := 3
	if All() {
		stops = 20
	}
	if n, err := strconv.Atoi(os.Getenv("HERMES_TEST_STOPS")); err == nil {
		stops = n
	}
	for range stops {
		token := unique("stubborn")
		s, _ := b.up(t, "stubborn", token)
		if err := s.Stop(time.Millisecond); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		wantGone(t, token)
		if t.Failed() {
			break
		}
	}
	t.Logf("%d stops", stops)
}
