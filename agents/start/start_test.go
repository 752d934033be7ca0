//go:build linux

package start

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/supervise"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/sandbox"
)

// The test binary is also the supervisor, which does what the file "script" in
// the home says.
func TestMain(m *testing.M) {
	if version, ok := strings.CutPrefix(filepath.Base(os.Args[0]), "claude-"); ok {
		if gate, err := os.Open(filepath.Join(filepath.Dir(os.Args[0]), "gate")); err == nil {
			gate.Read(make([]byte, 1)) // it takes its time
		}
		fmt.Println(version, "(Claude Code)")
		os.Exit(0)
	}
	if len(os.Args) > 1 && os.Args[1] == "runner" {
		if err := play(); err != nil {
			os.WriteFile(filepath.Join(os.Getenv("HERMES_HOME"), "trouble"), []byte(err.Error()), 0o600)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 1 && os.Args[1] == "child" {
		signal.Ignore(syscall.SIGTERM)
		forEver()
	}
	os.Exit(m.Run())
}

// forEver waits without an end. A bare select would be the end of the process:
// where no other goroutine can go on, the runtime takes it for a deadlock.
func forEver() {
	for range time.Tick(time.Hour) {
	}
}

func play() error {
	nudged := make(chan os.Signal, 1)
	signal.Notify(nudged, syscall.SIGUSR1)
	script, err := os.ReadFile(filepath.Join(os.Getenv("HERMES_HOME"), "script"))
	if err != nil {
		return err
	}
	if string(script) == "die at once" {
		return nil
	}
	conn, err := net.FileConn(os.NewFile(3, "control"))
	if err != nil {
		return err
	}
	buf, rights := make([]byte, 4096), make([]byte, 64)
	n, rn, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(buf, rights)
	if err != nil || n == 0 {
		return nil // not needed
	}
	dir := strings.TrimSuffix(string(buf[:n]), "\n")
	say := func(what, text string) error {
		temp := filepath.Join(dir, "."+what)
		return errors.Join(os.WriteFile(temp, []byte(text), 0o600), os.Rename(temp, filepath.Join(dir, what)))
	}
	if rn > 0 {
		msgs, err := syscall.ParseSocketControlMessage(rights[:rn])
		if err != nil {
			return err
		}
		if _, err := syscall.ParseUnixRights(&msgs[0]); err != nil {
			return err
		}
	}
	if err := say("env", strings.Join(os.Environ(), "\n")); err != nil {
		return err
	}
	if err := say("assigned", fmt.Sprint(os.Getpid(), " ", rn > 0)); err != nil {
		return err
	}
	if n, _ := conn.Read(buf[:1]); n != 1 {

		return say("aborted", "")
	}
	spec, err := supervise.ReadSpec(dir)
	if err != nil {
		return err
	}
	if string(script) == "sandbox" {
		return inSandbox(spec)
	}
	child := exec.Command(os.Args[0], "child")
	child.Env = []string{"HERMES_MARK=" + spec.Mark}
	if string(script) == "helper" { // a program of its own, of no sandbox
		child.Env = []string{"NO=mark"}
	}
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	lastWords, err := os.Create(filepath.Join(dir, "child.err"))
	if err != nil {
		return err
	}
	child.Stderr = lastWords
	if err := child.Start(); err != nil {
		return err
	}
	if err := say("released", fmt.Sprint(child.Process.Pid)); err != nil {
		return err
	}
	if string(script) == "deaf" {
		signal.Ignore(syscall.SIGUSR1)
		forEver()
	}
	<-nudged
	child.Process.Kill()
	child.Wait()
	return nil
}

func newStarter(t *testing.T, script string) *Starter {
	t.Helper()
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "script"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a := &agents.Agent{Name: "coder", Runtime: agents.Runtime{Kind: "command", Command: []string{"sh"}}, Terminal: agents.Terminal{Env: []string{"API_KEY", "UNSET"}}}
	if err := agents.Save(home, a); err != nil {
		t.Fatal(err)
	}
	s := &Starter{Home: home, Profile: home, BoardDir: filepath.Join(home, "boards", "acme"), RunDir: filepath.Join(home, "run"), Program: self,
		Getenv: func(k string) string {
			return map[string]string{"API_KEY": "secret-key", "PATH": "/bin", "OTHER": "x"}[k]
		},
		Warn: func(err error) { t.Error(err) }}
	t.Cleanup(s.Close)
	return s
}

var board = events.BoardID{9}

func assignment(n uint32) boards.Assignment {
	// Not a run of a test that goes on at the same time: marks are for the whole host.
	return boards.Assignment{Board: events.BoardID{9, byte(os.Getpid()), byte(os.Getpid() >> 8)}, Slug: "acme", Run: events.RunID{Task: 5, N: n}, Fence: 3, Agent: "coder", Role: events.RoleWorker, Phase: events.Ready}
}

// released starts a supervisor and lets it go to work.
func (s *Starter) released(t *testing.T, a boards.Assignment) *Process {
	t.Helper()
	p, err := s.Start(t.Context(), a, "x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Release(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *Starter) said(t *testing.T, run events.RunID, what string) string {
	t.Helper()
	file := filepath.Join(supervise.RunDir(s.BoardDir, run), what)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(2 * time.Millisecond) { // another process writes it
		if b, err := os.ReadFile(file); err == nil {
			return string(b)
		}
	}
	left, _ := filepath.Glob(filepath.Join(supervise.RunDir(s.BoardDir, run), "*"))
	trouble, _ := os.ReadFile(filepath.Join(s.Home, "trouble"))
	t.Fatalf("%s: the supervisor has not said %q; it has %v, %s", run, what, left, trouble)
	return ""
}

func awaitEnd(t *testing.T, p *Process) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the supervisor does not end")
	}
}

func TestLifeOfARun(t *testing.T) {
	for _, spare := range []bool{false, true} {
		t.Run(fmt.Sprintf("spare=%v", spare), func(t *testing.T) {
			s := newStarter(t, "")
			if spare {
				s.Prepare()
			}
			var idle *Process
			if idle = s.spare; (idle != nil) != spare {
				t.Fatalf("got spare %v, want one: %v", idle, spare)
			}
			slot, err := os.Create(filepath.Join(s.Home, "slot"))
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Flock(int(slot.Fd()), syscall.LOCK_EX); err != nil {
				t.Fatal(err)
			}
			a := assignment(1)
			p, err := s.Start(t.Context(), a, "the-token", slot)
			if err != nil {
				t.Fatal(err)
			}
			slot.Close()
			if spare && p != idle {
				t.Error("the idle supervisor was not used")
			}
			id := p.Process()
			if got := s.said(t, a.Run, "assigned"); got != fmt.Sprint(id.PID, " true") {
				t.Errorf("got %q from the supervisor, want its pid %d and a slot", got, id.PID)
			}
			if env := s.said(t, a.Run, "env"); strings.Contains(env, "secret") || strings.Contains(env, "OTHER") || strings.Contains(env, "token") || !strings.Contains(env, "PATH=/bin") {
				t.Errorf("got environment %q", env)
			}
			if !Same(id) || id.Boot == "" || id.PIDNS == 0 {
				t.Errorf("got identity %+v, want that of a living process", id)
			}
			if err := p.Release(); err != nil {
				t.Fatal(err)
			}
			child := s.said(t, a.Run, "released")
			p.Abort() // comes too late
			if p.Release() == nil {
				t.Error("got no error from a second release")
			}
			if alive, err := Alive(a.Board, a.Run, id); !alive || err != nil {
				t.Errorf("got alive %v, %v", alive, err)
			}
			if left := locked(t, filepath.Join(s.Home, "slot")); !left {
				t.Error("the supervisor does not hold the slot")
			}
			Nudge(id)
			awaitEnd(t, p)
			if alive, err := Alive(a.Board, a.Run, id); alive || err != nil {
				t.Errorf("got alive %v, %v after the end; child %s", alive, err, child)
			}
			if locked(t, filepath.Join(s.Home, "slot")) {
				t.Error("the slot is still held")
			}
			spec, err := supervise.ReadSpec(supervise.RunDir(s.BoardDir, a.Run))
			if err != nil {
				t.Fatal(err)
			}
			if spec.Token != "the-token" || spec.Mark != Mark(a.Board, a.Run) || !slices.Equal(spec.Env, []string{"API_KEY=secret-key"}) || spec.Agent.Name != "coder" {
				t.Errorf("got spec %+v", spec)
			}
			if want := len(s.RunDir) + len("/abcdefghijkl.sock"); len(spec.SocketDir)+len("/sock") > want {
				t.Errorf("got a socket of more than %d bytes in %s", want, spec.SocketDir)
			}
			s.preparing.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			if (s.spare != nil) != spare {
				t.Errorf("got spare %v, want a new one: %v", s.spare, spare)
			}
		})
	}
}

func locked(t *testing.T, path string) bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil
}

func TestAbort(t *testing.T) {
	s := newStarter(t, "")
	a := assignment(1)
	p, err := s.Start(t.Context(), a, "x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.said(t, a.Run, "assigned"); !strings.HasSuffix(got, "false") {
		t.Errorf("got %q, want no slot", got)
	}
	p.Abort()
	p.Abort()
	if p.alive() || Same(p.Process()) {
		t.Error("the supervisor lives after Abort")
	}
	if p.Release() == nil {
		t.Error("got an aborted supervisor released")
	}
	if _, err := os.Stat(filepath.Join(supervise.RunDir(s.BoardDir, a.Run), "released")); err == nil {
		t.Error("it ran")
	}
}

// TestOwnerDies: the supervisor sees the end of the pipe and runs nothing.
func TestOwnerDies(t *testing.T) {
	s := newStarter(t, "")
	a := assignment(1)
	p, err := s.Start(t.Context(), a, "x", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.said(t, a.Run, "assigned")
	p.conn.Close() // as the kernel does
	awaitEnd(t, p)
	s.said(t, a.Run, "aborted")
}

func TestDeadSpare(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		s := newStarter(t, "")
		s.Prepare()
		spare := s.spare
		if err := spare.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if stopped {
			awaitEnd(t, spare)
		}
		a := assignment(1)
		p, err := s.Start(t.Context(), a, "x", nil)
		if err != nil {
			t.Fatal(err)
		}
		if p != spare { // else it died after it was told, which Done tells
			s.said(t, a.Run, "assigned")
			p.Abort()
		}
		if stopped && p == spare {
			t.Error("got a dead supervisor")
		}
		awaitEnd(t, spare)
		s.Close()
	}
}

func TestStartFails(t *testing.T) {
	s := newStarter(t, "")
	a := assignment(1)
	a.Agent = "nobody"
	var p *agents.Problem
	if _, err := s.Start(t.Context(), a, "x", nil); !errors.As(err, &p) || p.Code != "agent_unknown" {
		t.Errorf("got %v, want agent_unknown", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Start(ctx, assignment(2), "x", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	s.Program = filepath.Join(s.Home, "none")
	if _, err := s.Start(t.Context(), assignment(3), "x", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that there is no program", err)
	}
	warned := make(chan error, 1)
	s.Warn = func(err error) { warned <- err }
	s.Prepare()
	if err := <-warned; !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got warning %v", err)
	}
}

func TestClosePrepares(t *testing.T) {
	s := newStarter(t, "")
	s.Prepare()
	spare := s.spare
	s.Prepare() // has one
	if s.spare != spare {
		t.Error("got another spare")
	}
	s.Close()
	s.Close()
	if spare.alive() {
		t.Error("the spare lives after Close")
	}
	s.Prepare()
	if s.spare != nil {
		t.Error("got a spare after Close")
	}
}

func TestIdentity(t *testing.T) {
	self, err := identify(os.Getpid())
	if err != nil || !Same(self) {
		t.Fatalf("got %+v, %v, want this process", self, err)
	}
	for what, change := range map[string]func(*events.RunStarted){
		"pid reused":    func(id *events.RunStarted) { id.StartTime-- },
		"another boot":  func(id *events.RunStarted) { id.Boot = "b" },
		"no boot":       func(id *events.RunStarted) { id.Boot = "" },
		"another space": func(id *events.RunStarted) { id.PIDNS++ },
		"pid 0":         func(id *events.RunStarted) { id.PID = 0 },
		"negative":      func(id *events.RunStarted) { id.PID = -1 },
		"far":           func(id *events.RunStarted) { id.PID += 1 << 32 },
		"nothing":       func(id *events.RunStarted) { *id = events.RunStarted{} },
	} {
		id := self
		if change(&id); Same(id) {
			t.Errorf("%s: got the same process", what)
		}
	}
	child := exec.Command(os.Args[0], "child")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	id, err := identify(child.Process.Pid)
	if err != nil || !Same(id) {
		t.Errorf("got %+v, %v", id, err)
	}
	child.Process.Kill()
	for !zombie(child.Process.Pid) {
		runtime.Gosched()
	}
	if Same(id) {
		t.Error("a zombie counts as alive")
	}
	if _, err := identify(child.Process.Pid); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("got %v for a zombie", err)
	}
	child.Wait()
	Nudge(id)                                         // reaches nobody
	Nudge(events.RunStarted{})                        // and does not signal this process group
	Nudge(events.RunStarted{PID: 1, Boot: "x"})       // nor init
	Nudge(events.RunStarted{PID: int64(os.Getpid())}) // nor this process under a wrong name
}

func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && bytes.Contains(b, []byte(") Z "))
}

func TestParseStat(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20"
	for in, want := range map[string]uint64{"12 (sh)" + rest: 4711, "12 (a) Z (b c)" + rest: 4711, "12 ()\n )" + rest: 4711, "": 0, "12 (sh) S 1": 0, "12 (sh) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x": 0} {
		state, got, err := parseStat([]byte(in))
		if got != want || (err == nil) != (want > 0) || want > 0 && state != "S" {
			t.Errorf("%q: got %s, %d, %v, want %d", in, state, got, err, want)
		}
	}
}

// TestAliveByMark: the supervisor is killed; what it started is still found,
// and ended by Stop.
func TestAliveByMark(t *testing.T) {
	s, a := newStarter(t, ""), assignment(7)
	p := s.released(t, a)
	child := s.said(t, a.Run, "released")
	p.cmd.Process.Kill()
	awaitEnd(t, p)
	defer func() {
		if t.Failed() {
			state, err := os.ReadFile("/proc/" + child + "/status")
			words, _ := os.ReadFile(filepath.Join(supervise.RunDir(s.BoardDir, a.Run), "child.err"))
			t.Logf("child %s: %s%v\nit said: %s", child, state, err, words)
		}
	}()
	for _, started := range []events.RunStarted{p.Process(), {}} {
		if alive, err := Alive(a.Board, a.Run, started); !alive || err != nil {
			t.Errorf("got alive %v, %v, want the child found", alive, err)
		}
	}
	other := p.Process()
	other.Boot = "another"
	if alive, err := Alive(a.Board, a.Run, other); alive || err != nil {
		t.Errorf("another boot: got alive %v, %v", alive, err)
	}
	if alive, err := Alive(a.Board, events.RunID{Task: 5, N: a.Run.N + 1}, p.Process()); alive || err != nil {
		t.Errorf("another run: got alive %v, %v", alive, err)
	}
	defer short()()
	if err := Stop(t.Context(), a.Board, a.Run, p.Process(), 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if left, err := sandbox.Marked(Mark(a.Board, a.Run)); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v left", left, err)
	}
}

func short() (restore func()) {
	before := reportTime
	reportTime = 100 * time.Millisecond
	return func() { reportTime = before }
}

func TestStop(t *testing.T) {
	for _, script := range []string{"", "deaf"} {
		t.Run("script "+script, func(t *testing.T) {
			if script == "deaf" {
				defer short()()
			}
			s := newStarter(t, script)
			a := assignment(11)
			p := s.released(t, a)
			s.said(t, a.Run, "released")
			if err := Stop(t.Context(), a.Board, a.Run, p.Process(), 50*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			awaitEnd(t, p)
			if alive, err := Alive(a.Board, a.Run, p.Process()); alive || err != nil {
				t.Errorf("got alive %v, %v", alive, err)
			}
			if killed := !p.cmd.ProcessState.Exited(); killed != (script == "deaf") {
				t.Errorf("got killed %v", killed)
			}
		})
	}
	if err := Stop(t.Context(), board, events.RunID{Task: 1, N: 1}, events.RunStarted{}, time.Hour); err != nil {
		t.Errorf("nothing there: got %v", err)
	}
}

func TestStopGivesUpWithItsContext(t *testing.T) {
	s := newStarter(t, "deaf")
	a := assignment(12)
	p, err := s.Start(t.Context(), a, "x", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		defer short()()
		Stop(context.Background(), a.Board, a.Run, p.Process(), 0)
	}()
	p.Release()
	s.said(t, a.Run, "released")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := Stop(ctx, a.Board, a.Run, p.Process(), time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestNoLeak(t *testing.T) {
	s := newStarter(t, "")
	count := func() int {
		d, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(d)
	}
	s.Prepare()
	var fds, goroutines int
	for i := range 200 {
		p, err := s.Start(t.Context(), assignment(uint32(i+1)), "x", nil)
		if err != nil {
			t.Fatal(err)
		}
		p.Abort()
		if i == 19 {
			s.preparing.Wait()
			fds, goroutines = count(), runtime.NumGoroutine()
		}
	}
	s.preparing.Wait()
	if got := count(); got > fds+3 {
		t.Errorf("got %d descriptors after 200 starts, %d after 20", got, fds)
	}
	if got := runtime.NumGoroutine(); got > goroutines+3 {
		t.Errorf("got %d goroutines after 200 starts, %d after 20", got, goroutines)
	}
}

func TestManyStarts(t *testing.T) {
	s := newStarter(t, "")
	s.Prepare()
	var wg sync.WaitGroup
	pids := make([]int64, 12)
	for i := range pids {
		wg.Go(func() {
			p, err := s.Start(t.Context(), assignment(uint32(i+1)), "x", nil)
			if err != nil {
				t.Error(err)
				return
			}
			pids[i] = p.Process().PID
			s.said(t, events.RunID{Task: 5, N: uint32(i + 1)}, "assigned")
			p.Abort()
		})
	}
	wg.Wait()
	slices.Sort(pids)
	if len(slices.Compact(pids)) != 12 {
		t.Errorf("got pids %v, want one supervisor each", pids)
	}
}

// TestReleaseAtOnce: the byte is sent before the supervisor has read which run
// it serves.
func TestReleaseAtOnce(t *testing.T) {
	s := newStarter(t, "")
	a := assignment(20)
	p := s.released(t, a)
	s.said(t, a.Run, "released")
	Nudge(p.Process())
	awaitEnd(t, p)
}
