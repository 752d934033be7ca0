//go:build linux && (amd64 || arm64)

package nativebox

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
	"github.com/hermesboard/hermes/sandbox/internal/cgroup"
	"github.com/hermesboard/hermes/sandbox/internal/process"
	"github.com/hermesboard/hermes/sandbox/nativebox/stage"
)

// killTime bounds one Kill.
const killTime = 10 * time.Second

type session struct {
	stage *process.Process
	group *cgroup.Group // nil if it has none

	reported chan struct{}      // closed when the stage reports no more
	status   *driver.ExitStatus // written before reported closes; nil if the stage did not tell

	mu   sync.Mutex // held over a whole Kill, Signal, Alive or Close; guards main's life
	main int        // pidfd of the main process, -1 if there is none
	dead bool       // guarded by mu: the tree was proven empty
}

// open takes over the stage just started, and waits until it has started the
// main process.
func open(ctx context.Context, s *session, reports *net.UnixConn) (driver.Session, error) {
	s.main = -1
	first := make(chan error, 1)
	go s.readReports(reports, first) // ends when the stage does
	if err := s.stage.Settled(ctx, first); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// readReports sends one value to first, when it is settled whether the main
// process runs; main is written before.
func (s *session) readReports(conn *net.UnixConn, first chan<- error) {
	defer close(s.reported)
	defer conn.Close()
	r, fd, err := readReport(conn)
	switch {
	case err != nil:
		err = errors.New("the stage ended early: is its program one that imports package nativebox/stage?")
	case r.Error != "":
		err = problem(r)
	case fd < 0:
		err = errors.New("the stage sent no descriptor of the main process")
	}
	s.main = fd
	first <- err
	for err == nil {
		var r stage.Report
		if r, _, err = readReport(conn); err == nil && r.Exit != nil {
			s.status = r.Exit
		}
	}
}

// readReport returns one message of the stage and the descriptor that came
// with it, or -1.
func readReport(conn *net.UnixConn) (r stage.Report, fd int, err error) {
	data, control := make([]byte, 16<<10), make([]byte, unix.CmsgSpace(4))
	n, nc, _, _, err := conn.ReadMsgUnix(data, control)
	if err != nil {
		return r, -1, err
	}
	fd = -1
	if messages, err := unix.ParseSocketControlMessage(control[:nc]); err == nil && len(messages) == 1 {
		if fds, err := unix.ParseUnixRights(&messages[0]); err == nil && len(fds) == 1 {
			fd = fds[0]
			unix.CloseOnExec(fd)
		}
	}
	return r, fd, json.Unmarshal(data[:n], &r)
}

func (s *session) PID() int { return s.stage.Main.PID }

func (s *session) Wait() (driver.ExitStatus, error) {
	s.stage.Wait()
	<-s.reported
	if s.status != nil {
		return *s.status, nil
	}
	// The stage was ended, perhaps from inside, and with it the main process.
	return driver.ExitStatus{Code: 128 + int(syscall.SIGKILL), Signal: syscall.SIGKILL}, nil
}

func (s *session) Signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead || s.stage.Ended() {
		return os.ErrProcessDone
	}
	err := unix.PidfdSendSignal(s.main, sig, nil, 0)
	if errors.Is(err, unix.ESRCH) {
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
	if grouped, err := s.group.Alive(); err != nil || grouped {
		return true
	}
	return !s.stage.Ended()
}

func (s *session) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kill()
}

// kill ends the stage: the kernel ends everything in its process name space,
// and only then lets it go.
func (s *session) kill() error {
	if s.dead {
		return nil
	}
	s.stage.Signal(unix.SIGKILL) // an error means that it has ended
	select {
	case <-s.stage.Done():
	case <-time.After(killTime):
		return &driver.TreeAliveError{PIDs: []int{s.stage.Main.PID}}
	}
	if err := s.group.Empty(killTime); err != nil {
		return err
	}
	s.stage.Release()
	s.dead = true
	return nil
}

func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.kill(); err != nil {
		return err
	}
	s.stage.CloseStreams()
	<-s.reported
	if s.main >= 0 {
		unix.Close(s.main)
		s.main = -1
	}
	return nil
}
