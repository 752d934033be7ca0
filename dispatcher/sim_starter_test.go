package dispatcher

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// Start implements Starter.
func (g *gateway) Start(_ context.Context, a boards.Assignment, token string, slot *os.File) (Supervisor, error) {
	s := g.s
	s.mu.Lock()
	defer s.mu.Unlock()
	dead, dies := g.call()
	switch {
	case dead:
		return nil, errDead
	case s.faults && g.rng.IntN(60) == 0:
		s.saw("spawn error")
		return nil, errors.New("fork: no memory")
	}
	fd, err := syscall.Dup(int(slot.Fd()))
	if err != nil {
		return nil, err
	}
	s.pids++
	now := time.Now()
	t := &tree{
		s: s, g: g, a: a, pid: s.pids, super: true, done: make(chan struct{}), since: now, renewed: now, signed: now,
		rng: s.random("tree", uint64(a.Run.Task)<<32|uint64(a.Run.N)), slot: os.NewFile(uintptr(fd), "slot"),
	}
	t.plan()
	if s.mutant.dropsSlot {
		_ = t.slot.Close()
	}
	if old := s.trees[a.Run]; old != nil && !old.gone() {
		s.fail("%v is started twice", a.Run)
	}
	s.trees[a.Run] = t
	if dies {
		g.die()
		return nil, errDead
	}
	if s.faults && t.rng.IntN(50) == 0 {
		s.saw("supervisor that dies before its release")
		t.after(time.Duration(t.rng.IntN(100))*time.Microsecond, "early death", t.supervisorEnds)
	}
	if s.mutant.startsEarly {
		t.begin()
	}
	s.poke()
	return t, nil
}

// Process implements Supervisor.
func (t *tree) Process() events.RunStarted {
	return events.RunStarted{Boot: "boot", PID: t.pid, StartTime: 1}
}

// Done implements Supervisor.
func (t *tree) Done() <-chan struct{} { return t.done }

// Release implements Supervisor.
func (t *tree) Release() error {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	dead, dies := t.g.call()
	if dead {
		return errDead
	}
	if dies {
		defer t.g.die()
	}
	if !t.super {
		return errors.New("broken pipe")
	}
	t.released = true
	if !t.s.mutant.startsEarly {
		t.after(time.Duration(t.rng.IntN(20))*time.Millisecond, "begin", t.begin)
	}
	t.s.poke()
	return nil
}

// Abort implements Supervisor.
func (t *tree) Abort() {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	t.abort()
}

// abort is the end of the pipe, which the supervisor sees a little later.
func (t *tree) abort() {
	t.after(time.Duration(t.rng.IntN(3000))*time.Millisecond, "aborted", func() {
		if !t.released {
			t.s.saw("supervisor whose starter died")
			t.supervisorEnds()
		}
	})
	t.s.poke()
}

// Fits implements Starter.
func (g *gateway) Fits(context.Context, string, events.Workspace) (problem, detail string) {
	return "", ""
}

// Look implements Starter.
func (g *gateway) Look(ctx context.Context, r Ref) (Life, error) {
	s := g.s
	s.mu.Lock()
	defer s.mu.Unlock()
	dead, dies := g.call()
	if dead {
		return 0, errDead
	}
	if dies {
		defer g.die()
	}
	if s.faults && g.rng.IntN(100) == 0 {
		s.saw("look that fails")
		return 0, errors.New("/proc cannot be read")
	}
	if s.mutant.look != nil {
		return s.mutant.look(ctx, s, s.trees[r.Run])
	}
	switch t := s.trees[r.Run]; {
	case t == nil || t.gone():
		return Gone, nil
	case !t.super:
		s.saw("processes without a supervisor")
		return Left, nil
	}
	return Living, nil
}

// Stop implements Starter.
func (g *gateway) Stop(ctx context.Context, r Ref, grace time.Duration) error {
	s := g.s
	s.mu.Lock() // not a call that the gateway may die of: it comes from a goroutine of its own, in no order
	t := s.trees[r.Run]
	if g.dead || t == nil {
		s.mu.Unlock()
		return nil
	}
	w := make(chan error, 1)
	t.waiters = append(t.waiters, w)
	t.stop(g, grace)
	s.mu.Unlock()
	select {
	case err := <-w:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop is what g does to end the tree.
func (t *tree) stop(g *gateway, grace time.Duration) {
	defer t.s.poke()
	if t.gone() {
		t.settle()
		return
	}
	t.s.saw("stop of processes")
	patience := time.Duration(0) // there may be nobody to ask
	if t.super {
		t.after(0, "nudge", t.stopAgent)
		patience = grace + 10*time.Second
	}
	t.after(patience, "kill", func() {
		if !g.dead {
			t.kill(0)
		}
	})
}

// kill kills the supervisor and what it has not killed.
func (t *tree) kill(round int) {
	if t.super && round == 0 {
		t.s.saw("supervisor that had to be killed")
		t.supervisorEnds()
	}
	if t.working() && !time.Now().Before(t.undead) {
		t.agent, t.extra = false, 0
	}
	if t.settle(); t.gone() {
		return
	}
	if round < 5 {
		t.after(2*time.Second, "kill again", func() { t.kill(round + 1) })
		return
	}
	t.s.saw("tree that will not die")
	for _, w := range t.waiters {
		w <- errors.New("processes survive being killed")
	}
	t.waiters = nil
}
