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
	c    *Command
	said *process.Head

	mu   sync.Mutex   // held over a whole Kill, Signal, Alive or Close
	tree process.Tree // guarded by mu once it is started: unshare, and the container program
}

// open waits until unshare has made the namespace.
func (s *session) open(ctx context.Context) error {
	deadline := time.Now().Add(killTime)
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 5*time.Millisecond) {
		// Whether it has ended is asked first: then its child is a zombie at most.
		ended := s.tree.Outer.Ended()
		stat, err := s.child()
		if stat != nil && err == nil {
			s.tree.First, err = process.Open(*stat)
		}
		switch {
		case err != nil:
			return fmt.Errorf("find the container program: %w", err)
		case s.tree.First != nil:
			return nil
		case ended:
			if err := s.neverRan(); err != nil || s.tree.Outer.Wait().Signal != 0 {
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
	pid := s.tree.Outer.Main.PID
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
	s.tree.Outer.Wait() // what was said has arrived
	if said, ok := s.said.Line(s.c.Complaint); ok {
		return errors.New(said)
	}
	if s.c.Failure != nil {
		if failed := s.c.Failure(); failed != "" {
			return errors.New(failed)
		}
	}
	for _, speaker := range append([]string{"unshare: "}, s.c.Speakers...) {
		if said, ok := s.said.Line(speaker); ok {
			return errors.New(speaker + said)
		}
	}
	return nil
}

func (s *session) PID() int { return s.tree.Outer.Main.PID }

func (s *session) Wait() (driver.ExitStatus, error) {
	outer := s.tree.Outer.Wait()
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
	if s.tree.Dead() || s.tree.Outer.Ended() {
		return os.ErrProcessDone
	}
	for deadline := time.Now().Add(findTime); ; time.Sleep(time.Millisecond) {
		err := s.c.Signal(s.tree.First.Stat.PID, sig)
		switch {
		case err == nil, errors.Is(err, ErrUnsure) && s.tree.Outer.Ended():
			return nil
		case s.tree.Outer.Ended():
			return os.ErrProcessDone
		case !errors.Is(err, ErrNotYet) && !errors.Is(err, ErrUnsure) || time.Now().After(deadline):
			return err
		}
	}
}
func (s *session) Alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tree.Alive()
}

func (s *session) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tree.Kill(killTime)
}

func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.tree.Kill(killTime); err != nil {
		return err
	}
	s.tree.Outer.CloseStreams()
	return s.c.Cleanup()
}
