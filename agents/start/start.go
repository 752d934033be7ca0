package start

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/supervise"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/sandbox"
)

// Starter starts supervisors for the runs of one board. It is safe for
// concurrent use. Close ends the idle supervisor; running ones go on.
type Starter struct {
	Home     string // the folder of all boards and profiles
	Profile  string // folder of the profile whose agents are started
	BoardDir string // boards/<slug>
	RunDir   string // where worker sockets may lie; 0700
	Program  string // the hermes binary
	Getenv   func(string) string
	Warn     func(error)

	mu     sync.Mutex
	spare  *Process
	closed bool
}

// Process is a supervisor that waits for its one byte.
type Process struct {
	started events.RunStarted
	conn    *net.UnixConn
	cmd     *exec.Cmd
	ended   chan struct{} // closed by the reaper when the process has ended
}

// Process is the identity of the supervisor.
func (p *Process) Process() events.RunStarted { return p.started }

// Done is closed when the supervisor has ended.
func (p *Process) Done() <-chan struct{} { return p.ended }

// Start prepares a run's folder and hands the run to a supervisor. Until
// Release nothing of the agent runs. slot is passed on and may be closed here
// afterwards; nil = none.
func (s *Starter) Start(ctx context.Context, a boards.Assignment, token string, slot *os.File) (*Process, error) {
	agent, err := agents.Load(s.Profile, a.Agent)
	if err != nil {
		return nil, err
	}
	mark := Mark(a.Board, a.Run)
	spec := supervise.Spec{
		Assignment: a, Agent: *agent, Token: token, Home: s.Home, BoardDir: s.BoardDir, Program: s.Program, Mark: mark,
		SocketDir: filepath.Join(s.RunDir, "w-"+mark[:12]),
	}
	for _, name := range agent.Terminal.Env {
		if v := s.Getenv(name); v != "" {
			spec.Env = append(spec.Env, name+"="+v)
		}
	}
	if err := spec.Write(); err != nil {
		return nil, err
	}
	p, err := s.take()
	if err != nil {
		return nil, err
	}
	if err := p.assign(spec.Dir(), slot); err != nil {
		p.Abort()
		return nil, fmt.Errorf("hand run %s to its supervisor: %w", a.Run, err)
	}
	return p, nil
}

// Prepare makes sure that an idle supervisor is ready.
func (s *Starter) Prepare() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spare != nil || s.closed {
		return
	}
	p, err := s.spawn()
	if err != nil {
		s.Warn(fmt.Errorf("idle supervisor: %w", err))
		return
	}
	s.spare = p
}

// take returns the idle supervisor if it lives, and a new one otherwise.
func (s *Starter) take() (*Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.spare; p != nil {
		s.spare = nil
		select {
		case <-p.ended:
		default:
			return p, nil
		}
	}
	return s.spawn()
}

// Close ends the idle supervisor.
func (s *Starter) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.spare != nil {
		s.spare.Abort()
		s.spare = nil
	}
}

// spawn starts a supervisor that does not know its run yet.
func (s *Starter) spawn() (*Process, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "control"), os.NewFile(uintptr(pair[1]), "control")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(s.Program, "runner")
	cmd.Dir = "/"
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG", "XDG_RUNTIME_DIR"} {
		if v := s.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Env = append(cmd.Env, "HERMES_HOME="+s.Home)
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		conn.Close()
		return nil, err
	}
	p := &Process{conn: conn.(*net.UnixConn), cmd: cmd, ended: make(chan struct{})}
	go func() { // ends with the supervisor, which may outlive this process
		cmd.Wait()
		close(p.ended)
	}()
	if p.started, err = identify(cmd.Process.Pid); err != nil {
		p.Abort()
		return nil, fmt.Errorf("supervisor %d: %w", cmd.Process.Pid, err)
	}
	return p, nil
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

// Release lets the agent start: the run's start is on record.
func (p *Process) Release() error {
	_, err := p.conn.Write([]byte{'g'})
	return errors.Join(err, p.conn.Close())
}

// Abort ends a supervisor that was not released; nothing ran.
func (p *Process) Abort() {
	p.conn.Close()
	p.cmd.Process.Kill()
}

// Alive reports whether anything of a run lives: its supervisor, or a process
// that carries its mark. started may be zero: the run was claimed but its
// start never recorded.
func Alive(board events.BoardID, run events.RunID, started events.RunStarted) (bool, error) {
	if Same(started) {
		return true, nil
	}
	boot, err := bootID()
	if err != nil {
		return false, err
	}
	if started.Boot != "" && started.Boot != boot {
		return false, nil
	}
	pids, err := sandbox.Marked(Mark(board, run))
	return len(pids) > 0, err
}

// Nudge makes the supervisor of that identity look at its board.
func Nudge(started events.RunStarted) {
	if Same(started) {
		syscall.Kill(int(started.PID), syscall.SIGUSR1)
	}
}

// Stop ends a run's processes. The supervisor is asked first: it stops its
// agent and reports the end. What is left after the grace and some time to
// report is killed. It returns an error if something survives that too.
func Stop(ctx context.Context, board events.BoardID, run events.RunID, started events.RunStarted, grace time.Duration) error {
	Nudge(started)
	if gone, err := awaitGone(ctx, board, run, started, grace+10*time.Second); gone || err != nil {
		return err
	}
	if Same(started) {
		syscall.Kill(int(started.PID), syscall.SIGKILL)
	}
	for range 5 {
		pids, err := sandbox.Marked(Mark(board, run))
		if err != nil {
			return err
		}
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		if gone, err := awaitGone(ctx, board, run, started, 2*time.Second); gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("processes of %s survive being killed", run)
}

func awaitGone(ctx context.Context, board events.BoardID, run events.RunID, started events.RunStarted, most time.Duration) (bool, error) {
	deadline := time.Now().Add(most)
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		alive, err := Alive(board, run, started)
		if err != nil || !alive {
			return err == nil, err
		}
		if time.Now().After(deadline) {
			return false, nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}
