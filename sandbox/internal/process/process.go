//go:build unix

package process

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/cgroup"
)

// drainTime is how long output may still come after the main process ended,
// while a descendant holds the pipes open.
const drainTime = 2 * time.Second

// Command says what to start.
type Command struct {
	Path  string
	Argv  []string
	Env   []string
	Dir   string     // empty is the current folder
	Files []*os.File // become descriptors 3 and up; the caller closes them after Start
	Mark  string     // what Env carries in HERMES_MARK
	IO    Streams
	// OpenFiles and FileBytes are resource limits, 0 to inherit. They hold
	// from the first instruction of the program.
	OpenFiles int
	FileBytes int64
	// Attr are further attributes of the process, nil for none. That it has a
	// session of its own and dies with this process is set in any case.
	Attr *syscall.SysProcAttr
	// Group is where the process is born; nil is where this process is.
	Group *cgroup.Group
}

// Process is a started command. All methods are safe for concurrent use.
type Process struct {
	Main    Main
	streams *pipes
	// done is closed by the waiting goroutine, which writes status before.
	done   chan struct{}
	status driver.ExitStatus

	mu       sync.Mutex
	released bool // guarded by mu: the zombie is reaped, the id may be anybody's
}

// Start runs the command in a new session and process group.
func Start(c *Command) (*Process, error) {
	streams, err := openPipes(c.IO)
	if err != nil {
		return nil, err
	}
	main, err := fork(c, streams.child[:])
	streams.closeChild()
	if err != nil {
		streams.abandon()
		return nil, err
	}
	p := &Process{Main: main, streams: streams, done: make(chan struct{})}
	streams.copy()
	go func() { // ends with the process
		p.status = waitKeeping(main)
		close(p.done)
	}()
	return p, nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait blocks until the process has ended and its output was passed on, or a
// descendant kept the pipes open for two seconds longer.
func (p *Process) Wait() driver.ExitStatus {
	<-p.done
	p.streams.wait(drainTime)
	return p.status
}

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Signal sends sig to the process. It returns os.ErrProcessDone when it ended.
func (p *Process) Signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.released || p.Ended() {
		return os.ErrProcessDone
	}
	if err := syscall.Kill(p.Main.PID, sig); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return os.ErrProcessDone
}

// Release waits for the process to end and reaps it. The tree must be gone.
func (p *Process) Release() {
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.released {
		p.released = true
		reap(p.Main)
	}
}

// CloseStreams ends the copying of output and input, after the tree is gone.
func (p *Process) CloseStreams() { p.streams.close() }
