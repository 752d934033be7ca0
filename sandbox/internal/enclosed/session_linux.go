//go:build linux

package enclosed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/process"
)

// killTime bounds one Kill; findTime bounds the search for a process that is
// about to be started.
const (
	killTime = 10 * time.Second
	findTime = 2 * time.Second
)

type session struct {
	c     *Command
	outer *process.Process // unshare, on the host
	// first is the container program, the first process of the name space: when
	// it has ended, all others have. Nil if unshare ended before it was seen.
	first *process.Handle
	said  *head

	mu   sync.Mutex // held over a whole Kill, Signal, Alive or Close; guards first's life
	dead bool       // guarded by mu: the tree was proven empty
}

// open waits until unshare has made the namespace.
func (s *session) open(ctx context.Context) error {
	deadline := time.Now().Add(killTime)
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 5*time.Millisecond) {
		// Whether it has ended is asked first: then its child is a zombie at most.
		ended := s.outer.Ended()
		stat, err := s.child()
		if stat != nil && err == nil {
			s.first, err = process.Open(*stat)
		}
		switch {
		case err != nil:
			return fmt.Errorf("find the container program: %w", err)
		case s.first != nil:
			return nil
		case ended:
			if err := s.neverRan(); err != nil || s.outer.Wait().Signal != 0 {
				return errors.Join(err, errNothing)
			}
			return nil // all was over before we looked: unshare waits for its child, and complains if it made none
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case time.Now().After(deadline):
			return errors.New("unshare made no process namespace")
		}
		time.Sleep(pause)
	}
}

// child is the process that unshare forked, nil if it has not yet.
func (s *session) child() (*process.Stat, error) {
	pid := s.outer.Main.PID
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, err
	}
	for field := range strings.FieldsSeq(string(list)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			return nil, err
		}
		stat, err := process.ReadStat(child)
		if err == nil && stat.Parent == pid {
			return &stat, nil
		}
	}
	return nil, nil
}

// neverRan says why there was no program, once everything has ended; nil if
// there was one.
func (s *session) neverRan() error {
	s.outer.Wait() // what was said has arrived
	if said, ok := s.said.line(s.c.Complaint); ok {
		return errors.New(said)
	}
	if s.c.Failure != nil {
		if failed := s.c.Failure(); failed != "" {
			return errors.New(failed)
		}
	}
	for _, speaker := range append([]string{"unshare: "}, s.c.Speakers...) {
		if said, ok := s.said.line(speaker); ok {
			return errors.New(speaker + said)
		}
	}
	return nil
}

func (s *session) PID() int { return s.outer.Main.PID }

func (s *session) Wait() (driver.ExitStatus, error) {
	outer := s.outer.Wait()
	if outer.Signal != 0 || outer.Code == 0 {
		return outer, nil
	}
	if err := s.neverRan(); err != nil {
		return driver.ExitStatus{}, err
	}
	if outer.Code > 128 && outer.Code <= 128+64 {
		outer.Signal = syscall.Signal(outer.Code - 128)
	}
	return outer, nil
}

func (s *session) Signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead || s.outer.Ended() {
		return os.ErrProcessDone
	}
	for deadline := time.Now().Add(findTime); ; time.Sleep(time.Millisecond) {
		err := s.c.Signal(s.first.Stat.PID, sig)
		switch {
		case err == nil, errors.Is(err, ErrUnsure) && s.outer.Ended():
			return nil
		case s.outer.Ended():
			return os.ErrProcessDone
		case !errors.Is(err, ErrNotYet) && !errors.Is(err, ErrUnsure) || time.Now().After(deadline):
			return err
		}
	}
}
func (s *session) Alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return false
	}
	if grouped, err := s.c.Group.Alive(); err != nil || grouped || !s.outer.Ended() {
		return true
	}
	if s.first == nil {
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

func (s *session) kill() error {
	if s.dead {
		return nil
	}
	s.outer.Signal(unix.SIGKILL) // an error means that it has ended
	if s.first != nil {
		s.first.Signal(unix.SIGKILL)
		if ended, err := s.first.WaitEnded(int(killTime.Milliseconds())); err != nil || !ended {
			left := &driver.TreeAliveError{PIDs: []int{s.first.Stat.PID}}
			if err != nil {
				left.Reason = err.Error()
			}
			return left
		}
	}
	select {
	case <-s.outer.Done():
	case <-time.After(killTime):
		return &driver.TreeAliveError{PIDs: []int{s.outer.Main.PID}}
	}
	if err := s.c.Group.Empty(killTime); err != nil {
		return err
	}
	if s.first != nil {
		s.first.Reap() // ours if this process adopts orphans, else the host's
		s.first.Close()
	}
	s.outer.Release()
	s.dead = true
	return nil
}

func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.kill(); err != nil {
		return err
	}
	s.outer.CloseStreams()
	return s.c.Cleanup()
}
