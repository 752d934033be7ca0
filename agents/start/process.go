package start

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/sandbox"
)

// Process is a supervisor that waits for its one byte. It is safe for
// concurrent use. Exactly one of Release and Abort ends the wait.
type Process struct {
	started events.RunStarted
	cmd     *exec.Cmd
	group   *sandbox.SupervisorCgroup
	ended   chan struct{} // closed by the reaper when the process has ended

	mu       sync.Mutex
	conn     *net.UnixConn // guarded by mu: nil once released or aborted
	released bool          // guarded by mu
}

// Process is the identity of the supervisor.
func (p *Process) Process() events.RunStarted { return p.started }

// Done is closed when the supervisor has ended.
func (p *Process) Done() <-chan struct{} { return p.ended }

func (p *Process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Release lets the agent start: the run's start is on record.
func (p *Process) Release() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil {
		return errors.New("the supervisor was released or aborted already")
	}
	_, err := p.conn.Write([]byte{'g'})
	err = errors.Join(err, p.conn.Close())
	p.conn, p.released = nil, err == nil
	return err
}

// Abort ends a supervisor that was not released and waits for that; nothing
// ran. After Release it does nothing.
func (p *Process) Abort() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.released {
		return
	}
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
	p.cmd.Process.Kill()
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second): // the kernel does not let go of it; it will run nothing
	}
}

// assign tells the supervisor its run and hands it the slot.
func (p *Process) assign(dir string, slot *os.File) error {
	var rights []byte
	if slot != nil {
		rights = syscall.UnixRights(int(slot.Fd()))
	}
	_, _, err := p.conn.WriteMsgUnix([]byte(dir+"\n"), rights, nil)
	return err
}

// spawn starts a supervisor that does not know its run yet.
func (s *Starter) spawn() (*Process, error) {
	ends, err := pair()
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "control"), os.NewFile(uintptr(ends[1]), "control")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(s.Program, "runner")
	cmd.Dir = "/"
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG", "XDG_RUNTIME_DIR", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "CONTAINER_HOST"} {
		if v := s.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Env = append(cmd.Env, "HERMES_HOME="+s.Home)
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var group *sandbox.SupervisorCgroup
	if s.Sandboxes == nil {
		err = cmd.Start()
	} else {
		group, err = sandbox.StartSupervisor(cmd)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	p := &Process{conn: conn.(*net.UnixConn), cmd: cmd, group: group, ended: make(chan struct{})}
	// Its identity is read before it can be reaped: until then nobody has its pid.
	p.started, err = identify(cmd.Process.Pid)
	p.started.Cgroup = group.Path()
	go func() { // ends with the supervisor, which may outlive this process
		cmd.Wait()
		if err := group.Remove(); err != nil {
			s.Warn(fmt.Errorf("control group of supervisor %d: %w", cmd.Process.Pid, err))
		}
		close(p.ended)
	}()
	if err != nil {
		p.Abort()
		return nil, fmt.Errorf("supervisor %d: %w", cmd.Process.Pid, err)
	}
	return p, nil
}
