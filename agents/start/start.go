package start

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/supervise"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/sandbox"
)

// Starter starts supervisors for the runs of one board. It is safe for
// concurrent use. Close ends the idle supervisor; running ones go on.
type Starter struct {
	Home     string                                   // the folder of all boards and profiles
	Profile  string                                   // folder of the profile whose agents are started
	Load     func(name string) (*agents.Agent, error) // reads an agent; nil = as it stands in Profile
	BoardDir string                                   // boards/<slug>
	RunDir   string                                   // where worker sockets may lie; 0700
	Program  string                                   // the hermes binary
	Getenv   func(string) string
	Warn     func(error)

	// Sandboxes tells in which control group a run will be, unless its supervisor
	// has one, where this host has any; nil = in none.
	Sandboxes *sandbox.Registry

	sweep   sync.Once  // of what was left when nobody was there to remove it
	growing sync.Mutex // held while the folder of the next run is made

	mu        sync.Mutex
	spare     *Process       // guarded by mu
	keeps     bool           // guarded by mu: an idle supervisor is wanted
	closed    bool           // guarded by mu
	preparing sync.WaitGroup // goroutines that make the next idle supervisor
	later     *time.Timer    // guarded by mu: makes the next idle supervisor
}

// Start prepares a run's folder and hands the run to a supervisor. Until
// Release nothing of the agent runs. slot is passed on and may be closed here
// afterwards; nil = none. An error means that no process is left.
func (s *Starter) Start(ctx context.Context, a boards.Assignment, token string, slot *os.File) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	agent, err := load(s.Load, s.Profile, a.Agent)
	if err != nil {
		return nil, err
	}
	mark := Mark(a.Board, a.Run)
	spec := supervise.Spec{
		Assignment: a, Agent: *agent, Token: token, Home: s.Home, BoardDir: s.BoardDir, Program: s.Program, Mark: mark,
		SocketDir: filepath.Join(s.RunDir, "w-"+mark[:10]), // with the socket as long as a board's own socket
	}
	for _, name := range agent.Terminal.Env {
		if v := s.Getenv(name); v != "" {
			spec.Env = append(spec.Env, name+"="+v)
		}
	}
	if err := spec.Write(); err != nil {
		return nil, err
	}
	p, err := s.give(spec.Dir(), slot)
	if err != nil {
		return nil, fmt.Errorf("hand run %s to a supervisor: %w", a.Run, err)
	}
	if s.Sandboxes != nil && p.started.Cgroup == "" {
		if box, err := s.Sandboxes.Get(a.Backend); err == nil {
			p.started.Cgroup = box.Cgroup(mark)
		}
	}
	s.refill()
	return p, nil
}

// give hands a run to the idle supervisor if it lives, and to a new one otherwise.
func (s *Starter) give(dir string, slot *os.File) (*Process, error) {
	s.mu.Lock()
	p := s.spare
	s.spare = nil
	s.mu.Unlock()
	if p != nil {
		if p.alive() && p.assign(dir, slot) == nil {
			return p, nil
		}
		p.Abort()
	}
	p, err := s.spawn()
	if err != nil {
		return nil, err
	}
	if err := p.assign(dir, slot); err != nil {
		p.Abort()
		return nil, err
	}
	return p, nil
}

// Prepare makes sure that an idle supervisor and a folder for its run are
// ready, now and after each start.
func (s *Starter) Prepare() {
	s.mu.Lock()
	s.keeps = true
	wanted := s.spare == nil && !s.closed
	s.mu.Unlock()
	if !wanted {
		return
	}
	s.sweep.Do(func() {
		if _, err := sandbox.SweepCgroups(); err != nil {
			s.Warn(fmt.Errorf("control groups that dead supervisors left: %w", err))
		}
	})
	s.growing.Lock()
	err := supervise.PrepareFolder(s.BoardDir)
	s.growing.Unlock()
	if err != nil {
		s.Warn(fmt.Errorf("folder of the next run: %w", err))
	}
	p, err := s.spawn()
	if err != nil {
		s.Warn(fmt.Errorf("idle supervisor: %w", err))
		return
	}
	s.mu.Lock()
	if s.spare == nil && !s.closed {
		s.spare, p = p, nil
	}
	s.mu.Unlock()
	if p != nil {
		p.Abort()
	}
}

// refillAfter is how long the next idle supervisor is put off: its own start
// would compete with that of the agent for the processor.
const refillAfter = 20 * time.Millisecond

// refill prepares the next idle supervisor, out of the way of this start.
func (s *Starter) refill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.keeps || s.closed || s.spare != nil || s.later != nil {
		return
	}
	s.preparing.Add(1)
	s.later = time.AfterFunc(refillAfter, func() {
		defer s.preparing.Done()
		s.mu.Lock()
		s.later = nil
		s.mu.Unlock()
		s.Prepare()
	})
}

// Close ends the idle supervisor. Nothing may be started after it.
func (s *Starter) Close() {
	s.mu.Lock()
	s.closed = true
	p := s.spare
	s.spare = nil
	if s.later != nil && s.later.Stop() {
		s.preparing.Done() // it will not run any more
	}
	s.mu.Unlock()
	if p != nil {
		p.Abort()
	}
	s.preparing.Wait()
}
