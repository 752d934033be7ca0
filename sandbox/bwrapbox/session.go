//go:build linux && (amd64 || arm64)

package bwrapbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/process"
)

// killTime bounds one Kill; mainTime bounds the search for the main process,
// which bwrap starts after its set-up.
const (
	killTime = 10 * time.Second
	mainTime = 2 * time.Second
)

type session struct {
	// devices is the host folder of the session's device files.
	// It is removed when they are mounted.
	devices    *devices
	complaints *process.Head

	statusDone chan struct{} // closed when bwrap has closed its status pipe
	exitCode   *int          // written before statusDone closes; nil if the program never ran

	mu   sync.Mutex   // held over a whole Kill, Signal, Alive or Close
	tree process.Tree // guarded by mu once it is started: bwrap itself, and its namespace
}

// event is what bwrap writes to its status pipe: first the namespace's first
// process, and at the end the exit code of a program that ran.
type event struct {
	ChildPID *int `json:"child-pid"`
	ExitCode *int `json:"exit-code"`
}

// open takes over bwrap just started, and waits until it made the namespace.
func open(ctx context.Context, s *session, status *os.File) (driver.Session, error) {
	made := make(chan error, 1)
	go s.readStatus(status, made) // ends when bwrap does
	if err := s.tree.Outer.Settled(ctx, made); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// readStatus sends one value to made, when it is settled whether there is a
// namespace; first is written before.
func (s *session) readStatus(status *os.File, made chan<- error) {
	defer close(s.statusDone)
	defer status.Close()
	decoder := json.NewDecoder(status)
	var first event
	if err := decoder.Decode(&first); err != nil || first.ChildPID == nil {
		made <- s.neverRan()
		return
	}
	var err error
	s.tree.First, err = s.openFirst(*first.ChildPID)
	made <- err
	s.dropDevices(*first.ChildPID)
	for {
		var e event
		if decoder.Decode(&e) != nil {
			return
		}
		if e.ExitCode != nil {
			s.exitCode = e.ExitCode
		}
	}
}

// dropDevices removes the folder as soon as the namespace's first process has
// done its set-up, which it has when it starts the program.
func (s *session) dropDevices(first int) {
	if s.devices.dir == "" {
		return
	}
	children := fmt.Sprintf("/proc/%d/task/%d/children", first, first)
	for deadline := time.Now().Add(mainTime); time.Now().Before(deadline) && !s.tree.Outer.Ended(); time.Sleep(time.Millisecond) {
		if pids, err := os.ReadFile(children); err != nil || len(pids) > 0 {
			break
		}
	}
	s.devices.remove() // Kill tries again, and tells
}

// openFirst holds on to the process that bwrap named. As long as bwrap is its
// parent, or is kept as a zombie after it, the id is what bwrap meant.
func (s *session) openFirst(pid int) (*process.Handle, error) {
	stat, err := process.ReadStat(pid)
	if err == nil && stat.Parent != s.tree.Outer.Main.PID {
		select { // bwrap may have ended a moment ago: it does not wait for what it started
		case <-s.tree.Outer.Done():
		case <-time.After(mainTime):
			err = unix.ESRCH
		}
	}
	if err != nil {
		s.tree.Outer.Signal(unix.SIGKILL)
		return nil, fmt.Errorf("find the namespace's first process %d: %w", pid, err)
	}
	return process.Open(stat)
}

func (s *session) neverRan() error {
	<-s.tree.Outer.Done()
	s.tree.Outer.Wait() // what it said has arrived
	why, said := s.complaints.Line("bwrap: ")
	if !said {
		why = "it ended without saying why"
	}
	return fmt.Errorf("bwrap: %s", why)
}

func (s *session) PID() int { return s.tree.Outer.Main.PID }

func (s *session) Wait() (driver.ExitStatus, error) {
	outer := s.tree.Outer.Wait()
	<-s.statusDone
	switch {
	case s.exitCode == nil && outer.Signal != 0:
		return outer, nil
	case s.exitCode == nil:
		return driver.ExitStatus{}, s.neverRan()
	case *s.exitCode > 128 && *s.exitCode <= 128+64:
		return driver.ExitStatus{Code: *s.exitCode, Signal: syscall.Signal(*s.exitCode - 128)}, nil
	default:
		return driver.ExitStatus{Code: *s.exitCode}, nil
	}
}

func (s *session) Signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	deadline := time.Now().Add(mainTime)
	for {
		if s.tree.Dead() || s.tree.Outer.Ended() {
			return os.ErrProcessDone
		}
		main, err := s.main()
		if err != nil {
			return err
		}
		if main != nil {
			return process.Signal(*main, sig)
		}
		if time.Now().After(deadline) {
			return errors.New("the program has not been started yet")
		}
		time.Sleep(time.Millisecond)
	}
}

// main finds the program: the oldest child of the namespace's first process.
// Orphans that the first process adopted are younger.
func (s *session) main() (*process.Stat, error) {
	all, err := process.Scan()
	if err != nil {
		return nil, err
	}
	var main *process.Stat
	for _, p := range all {
		if p.Parent != s.tree.First.Stat.PID || p.Zombie {
			continue
		}
		if main == nil || p.Start < main.Start || p.Start == main.Start && p.PID < main.PID {
			main = &p
		}
	}
	return main, nil
}

func (s *session) Alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tree.Alive()
}

func (s *session) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kill()
}

func (s *session) kill() error {
	if err := s.tree.Kill(killTime); err != nil {
		return err
	}
	return s.devices.remove()
}

func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.kill(); err != nil {
		return err
	}
	s.tree.Outer.CloseStreams()
	<-s.statusDone
	return nil
}
