//go:build linux && (amd64 || arm64)

package sandboxtest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/sandbox"
)

// up starts one of the programs that print a line and stay.
func (b *box) up(t *testing.T, program string, args ...string) (*sandbox.Session, *lines) {
	t.Helper()
	out := newLines()
	spec := b.spec(t, append([]string{program}, args...)...)
	spec.Stdout = out
	s := b.start(t, spec)
	await(t, "first line", out.c)
	return s, out
}

func testContext(t *testing.T, b *box) {
	ctx, cancel := canceled(t)
	token := unique("context")
	out := newLines()
	spec := b.spec(t, "deaf", token)
	spec.Stdout, spec.Mark = out, token
	s, err := b.Start(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "first line", out.c)
	if len(hostProcesses(t, token)) == 0 {
		t.Fatal("the running program is not found on the host: this test proves nothing")
	}
	reason := errors.New("enough")
	cancel(reason)
	await(t, "end", s.Done())
	if status, err := s.Wait(); !errors.Is(err, reason) || status.Signal != syscall.SIGKILL {
		t.Errorf("got %v, %v; want a kill and %v", status, err, reason)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wantGone(t, token)
}

func testContextBefore(t *testing.T, b *box) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := b.Start(ctx, b.spec(t, "exit", "0"))
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func testStop(t *testing.T, b *box) {
	s, _ := b.up(t, "polite")
	if err := s.Stop(patience); err != nil {
		t.Error(err)
	}
	if status := b.wait(t, s); status != (sandbox.ExitStatus{Code: 3}) {
		t.Errorf("one that listens: got %+v, want its own exit 3", status)
	}
	s, _ = b.up(t, "deaf")
	if err := s.Stop(50 * time.Millisecond); err != nil {
		t.Error(err)
	}
	if status := b.wait(t, s); status.Signal != syscall.SIGKILL {
		t.Errorf("one that does not: got %+v, want it killed", status)
	}
	if s.Alive() {
		t.Error("got alive after Stop, want not")
	}
}

func testTwoAtOnce(t *testing.T, b *box) {
	one, _ := b.up(t, "deaf")
	two, _ := b.up(t, "polite")
	if one.Mark() == two.Mark() || one.PID() != 0 && one.PID() == two.PID() {
		t.Errorf("got marks %s, %s and pids %d, %d; want them to differ", one.Mark(), two.Mark(), one.PID(), two.PID())
	}
	if err := one.Kill(); err != nil {
		t.Error(err)
	}
	if one.Alive() || !two.Alive() {
		t.Errorf("got alive %v and %v, want only the second", one.Alive(), two.Alive())
	}
	if err := two.Stop(patience); err != nil {
		t.Error(err)
	}
	if status := b.wait(t, two); status.Code != 3 {
		t.Errorf("got %v for the second, want its own exit 3", status)
	}
}

func testClose(t *testing.T, b *box) {
	s, _ := b.up(t, "deaf")
	var group sync.WaitGroup
	for range 4 { // at once and again
		group.Go(func() {
			for range 2 {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	for range 2 {
		if status := b.wait(t, s); status.Signal != syscall.SIGKILL {
			t.Errorf("got %v after Close, want it killed", status)
		}
	}
	if s.Alive() || s.Kill() != nil || s.Signal(syscall.SIGTERM) == nil {
		t.Errorf("got alive %v, Kill %v, Signal %v after Close", s.Alive(), s.Kill(), s.Signal(syscall.SIGTERM))
	}
}

func testMarked(t *testing.T, b *box) {
	s, _ := b.up(t, "deaf")
	pids, err := sandbox.Marked(s.Mark())
	if err != nil || len(pids) == 0 || s.PID() != 0 && !slices.Contains(pids, s.PID()) {
		t.Errorf("got %v, %v; want processes, %d among them", pids, err, s.PID())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if pids, err := sandbox.Marked(s.Mark()); err != nil || len(pids) != 0 {
		t.Errorf("after Close: got %v, %v; want none", pids, err)
	}
}
