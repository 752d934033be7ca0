package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// Session is a running program and its descendants. All methods are safe for
// concurrent use. The one who started it closes it.
type Session struct {
	box, mark, cgroup string
	drv               driver.Session
	unwatch           func() bool
	disk              *diskWatch // nil without a limit
	// done is closed by the waiting goroutine when the main process has ended;
	// status and waitErr are written before.
	done    chan struct{}
	status  ExitStatus
	waitErr error
	cause   atomic.Pointer[error] // why it was killed by the context or for a limit, if it was
}

func newSession(ctx context.Context, box, mark, cgroup string, drv driver.Session, disk *diskWatch) *Session {
	s := &Session{box: box, mark: mark, cgroup: cgroup, drv: drv, disk: disk, done: make(chan struct{})}
	go s.wait() // ends with the main process, which Close ends
	s.unwatch = context.AfterFunc(ctx, func() { s.end(context.Cause(ctx)) })
	disk.start(drv.PID(), s.end)
	return s
}

// end kills the tree for a cause.
func (s *Session) end(cause error) {
	if s.running() {
		s.cause.CompareAndSwap(nil, &cause)
	}
	s.drv.Kill() // what survives is reported by Close
}

func (s *Session) wait() {
	defer close(s.done)
	s.status, s.waitErr = s.drv.Wait()
	if cause := s.cause.Load(); cause != nil {
		s.waitErr = *cause
	}
	if s.waitErr != nil {
		s.waitErr = fmt.Errorf("sandbox %s: %w", s.box, s.waitErr)
	}
}

func (s *Session) running() bool {
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// PID is the host's process id of the outermost process, 0 if there is none.
func (s *Session) PID() int { return s.drv.PID() }

// Mark is the value of HERMES_MARK in the session's processes.
func (s *Session) Mark() string { return s.mark }

// Cgroup is the path of the session's own control group, empty if it has none.
// It is what Sandbox.Cgroup told for its mark.
func (s *Session) Cgroup() string { return s.cgroup }

// Done is closed when the main process has ended.
func (s *Session) Done() <-chan struct{} { return s.done }

// Wait blocks until the main process has ended; descendants may live on. It
// may be called many times. The error is not nil when the program never ran,
// and wraps the cause of the context that had it killed, or the *DiskError for
// which it was. An exit code other than 0 is no error.
func (s *Session) Wait() (ExitStatus, error) {
	<-s.done
	return s.status, s.waitErr
}

// Signal sends sig to the main process alone. It returns os.ErrProcessDone
// when that has ended.
func (s *Session) Signal(sig syscall.Signal) error {
	err := s.drv.Signal(sig)
	if err == nil || errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return fmt.Errorf("sandbox %s: signal %v: %w", s.box, sig, err)
}

// Alive reports whether any process of the tree may be alive.
func (s *Session) Alive() bool { return s.drv.Alive() }

// Stop asks the main process to end with SIGTERM, gives it grace, then kills
// the tree. Like Kill it returns nil only when the tree is proven empty.
func (s *Session) Stop(grace time.Duration) error {
	if err := s.Signal(syscall.SIGTERM); err == nil {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-s.done:
		case <-timer.C:
		}
	}
	return s.Kill()
}

// Kill ends every process of the tree. It returns nil only when none is left,
// and an error matching ErrTreeAlive otherwise, within about ten seconds. It
// may be called again.
func (s *Session) Kill() error { return s.wrap("kill", s.drv.Kill()) }

// Close kills the tree and releases what the session holds. When it returns
// nil, Wait does not block and no more output arrives. It may be called many
// times; after an error it is tried again.
func (s *Session) Close() error {
	if err := s.drv.Close(); err != nil {
		return s.wrap("close", err)
	}
	s.unwatch()
	s.disk.stop()
	<-s.done
	return nil
}

func (s *Session) wrap(verb string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sandbox %s: %s: %w", s.box, verb, err)
}
