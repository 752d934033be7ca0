//go:build unix

package localbox

import (
	"sync"
	"syscall"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/cgroup"
	"github.com/hermesboard/hermes/sandbox/internal/process"
)

type session struct {
	proc  *process.Process
	group *cgroup.Group // nil if it has none

	mu   sync.Mutex // held over a whole Kill or Close, so that they do not mix
	dead bool       // guarded by mu: the tree was proven empty
}

func (s *session) PID() int { return s.proc.Main.PID }

func (s *session) Wait() (driver.ExitStatus, error) { return s.proc.Wait(), nil }

func (s *session) Signal(sig syscall.Signal) error { return s.proc.Signal(sig) }

func (s *session) Alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.dead && alive(s.proc, s.group)
}

func (s *session) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kill()
}

func (s *session) kill() error {
	if s.dead {
		return nil
	}
	if err := killTree(s.proc, s.group); err != nil {
		return err
	}
	if err := s.group.Remove(); err != nil {
		return err
	}
	s.proc.Release()
	s.dead = true
	return nil
}

func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.kill(); err != nil {
		return err
	}
	s.proc.CloseStreams()
	return nil
}
