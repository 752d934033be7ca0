//go:build linux && (amd64 || arm64)

package dockerbox

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/process"
)

// killTime is how long a killed process may take to end, and removeTime bounds
// each of the two steps that the engine may be needed for.
const (
	killTime   = time.Second
	removeTime = 5 * time.Second
)

type session struct {
	engine *engine
	door   *door
	id     string // of the container; empty if none was made
	conn   *net.UnixConn
	// first is the container's first process: when it has ended, all others
	// in the container have. Nil if it never came.
	first *process.Handle
	pipes *process.Pipes // nil if the program was never started

	// ended is closed by listen when the program has ended; status is written
	// before.
	ended  chan struct{}
	status driver.ExitStatus

	mu      sync.Mutex // held over a whole Kill, Signal, Alive or Close
	dead    bool       // guarded by mu: the tree was proven empty
	removed bool       // guarded by mu: and so is the container gone
	closed  bool       // guarded by mu
}

// listen waits for the program's end. If the first process does not tell it,
// it was killed, and everything with it.
func (s *session) listen(notices *json.Decoder) {
	defer close(s.ended)
	s.status = driver.ExitStatus{Code: 128 + int(syscall.SIGKILL), Signal: syscall.SIGKILL}
	var n notice
	if notices.Decode(&n) != nil || n.Ended == nil {
		s.first.WaitEnded(-1)
		return
	}
	s.status = driver.ExitStatus{Code: n.Ended.Code & 0xff, Signal: syscall.Signal(n.Ended.Signal & 0x7f)}
}

func (s *session) PID() int { return s.first.Stat.PID }

func (s *session) Wait() (driver.ExitStatus, error) {
	<-s.ended
	s.pipes.Wait()
	return s.status, nil
}

func (s *session) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

func (s *session) Signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead || s.hasEnded() {
		return os.ErrProcessDone
	}
	_, err := s.conn.Write([]byte{byte(sig)})
	if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
		return os.ErrProcessDone
	}
	return err
}

func (s *session) Alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return false
	}
	ended, err := s.first.WaitEnded(0)
	return err != nil || !ended
}

func (s *session) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kill()
}

// kill ends the first process and waits until it has ended, which the kernel
// delays until every other process in the container has. That needs no engine,
// so that a tree can be ended, and its end be proven, while the engine is down.
// Then the engine removes the container.
func (s *session) kill() error {
	if s.dead {
		return nil
	}
	if s.first == nil {
		if err := s.remove(s.engine.discard); err != nil {
			return &driver.TreeAliveError{Reason: "whether container " + s.id + " runs is not known: " + err.Error()}
		}
		s.dead = true
		return nil
	}
	var problems error
	ended := false
	if err := s.first.Signal(unix.SIGKILL); !errors.Is(err, unix.EPERM) {
		ended, problems = s.first.WaitEnded(int(killTime.Milliseconds()))
	}
	if !ended {
		// The engine can end what this process may not, and what it has paused.
		problems = errors.Join(problems, s.remove(s.engine.discard))
		var err error
		if ended, err = s.first.WaitEnded(int(removeTime.Milliseconds())); err != nil || !ended {
			left := &driver.TreeAliveError{PIDs: []int{s.first.Stat.PID}}
			if problems = errors.Join(problems, err); problems != nil {
				left.Reason = problems.Error()
			}
			return left
		}
	}
	s.dead = true
	s.remove(s.engine.discarded) // an engine that is down does it later, or Reap does
	return nil
}

// remove has the container removed by one of the engine's two ways.
func (s *session) remove(how func(context.Context, string) error) error {
	if s.id == "" || s.removed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), removeTime)
	defer cancel()
	err := how(ctx, s.id)
	s.removed = err == nil
	return err
}

func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if err := s.kill(); err != nil {
		return err
	}
	if s.pipes != nil {
		s.pipes.Close()
	}
	if s.conn != nil {
		s.conn.Close()
	}
	<-s.ended
	if s.first != nil {
		s.first.Close()
	}
	var err error
	if s.door != nil {
		err = s.door.close()
	}
	s.engine.Close()
	s.closed = true
	return err
}
