//go:build linux && (amd64 || arm64)

package escape

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// attemptTime bounds one attempt.
const attemptTime = time.Minute

// canary begins every secret; nothing else that an attempt prints does.
const canary = "hermes-canary-"

// scene is the host's side of one attempt.
type scene struct {
	box      *sandbox.Sandbox
	opts     Options
	careless bool // the control: nothing protects, not even the supervisor's own care

	dir     string // all of it
	home    string // as a board's: the run's folders lie deep in it
	outputs string
	spec    *sandbox.Spec
	inside  driver.Layout
	args    map[string]string // told to the program inside
	out     *capture

	during func(*sandbox.Session) // called when the program is ready; then its input ends
	attr   *syscall.SysProcAttr   // of a bare control
	stdin  *os.File               // of a bare control
	env    []string               // of a bare control

	secrets map[string]string // path to content
	cleanup []func()
}

func newScene(box *sandbox.Sandbox, opts Options, careless bool) (*scene, error) {
	dir, err := os.MkdirTemp(shortTemp(), "escape-")
	if err != nil {
		return nil, err
	}
	s := &scene{box: box, opts: opts, careless: careless, dir: dir, home: filepath.Join(dir, "home"),
		args: make(map[string]string), out: newCapture(), secrets: make(map[string]string)}
	s.defers(func() { os.RemoveAll(dir) })
	run := filepath.Join(s.home, "boards", "own", "runs", "t1-1")
	s.outputs = filepath.Join(run, "outputs")
	s.spec = &sandbox.Spec{
		Workspace: filepath.Join(run, "ws"), Inputs: filepath.Join(run, "inputs"), Outputs: s.outputs, SocketDir: filepath.Join(dir, "sock"),
		Program: opts.Program, Env: []string{"PATH=/usr/bin:/bin"}, Stdout: s.out, Stderr: s.out,
	}
	for _, d := range []string{s.spec.Workspace, s.spec.Inputs, s.outputs, s.spec.SocketDir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			s.close()
			return nil, err
		}
	}
	if !box.Capabilities().Has(driver.NetworkNone) {
		s.spec.Network = sandbox.FullNetwork
	}
	if !box.Capabilities().Has(driver.Socket) {
		s.spec.SocketDir = ""
	}
	s.inside = box.Layout(s.spec)
	s.args["workspace"], s.args["outputs"] = s.inside.Workspace, s.inside.Outputs
	return s, nil
}

// shortTemp is a folder for temporary files whose name leaves room for a
// socket's.
func shortTemp() string {
	if dir := os.TempDir(); len(dir) <= 40 {
		return dir
	}
	return "/tmp"
}

func (s *scene) defers(f func()) { s.cleanup = append(s.cleanup, f) }

func (s *scene) close() {
	for i := len(s.cleanup) - 1; i >= 0; i-- {
		s.cleanup[i]()
	}
}

// has reports whether the backend enforces c, and whether the scene may
// therefore ask for it.
func (s *scene) has(c driver.Capabilities) bool { return s.box.Capabilities().Has(c) }

// secret puts a canary file at a path below the scene's folder.
func (s *scene) secret(path ...string) (string, error) {
	full := filepath.Join(append([]string{s.dir}, path...)...)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return "", err
	}
	content := canary + rand.Text()
	s.secrets[full] = content
	return full, os.WriteFile(full, []byte(content+"\n"), 0o600)
}

// byCanary looks whether a secret came out or was changed, and whether it has
// got another name.
func (s *scene) byCanary() (bool, string) {
	for path, content := range s.secrets {
		if s.out.has(content) {
			return true, "read it"
		}
		now, err := os.ReadFile(path)
		if err != nil || string(now) != content+"\n" {
			return true, "changed it"
		}
		var st syscall.Stat_t
		if syscall.Lstat(path, &st) == nil && st.Nlink > 1 {
			return true, "linked it"
		}
	}
	return false, ""
}

// byWord believes the program that it got there.
func (s *scene) byWord() (bool, string) {
	for line := range strings.Lines(s.out.String()) {
		if detail, ok := strings.CutPrefix(line, reachedWord); ok {
			return true, strings.TrimSpace(detail)
		}
	}
	return false, ""
}

// byFile looks whether a file of the host has come to be.
func byFile(path string) judge {
	return func() (bool, string) {
		if _, err := os.Lstat(path); err == nil {
			return true, "made it"
		}
		return false, ""
	}
}

// counter counts the connections or packets that arrive at an address of the
// host.
type counter struct {
	network, addr string
	n             atomic.Int32
	own           string        // a packet of the host's
	came          chan struct{} // closed when it has come
}

// listen starts counting.
func (s *scene) listen(network, address string) (*counter, error) {
	c := &counter{network: network, own: rand.Text(), came: make(chan struct{})}
	if network == "udp" {
		conn, err := net.ListenPacket(network, address)
		if err != nil {
			return nil, err
		}
		c.addr = conn.LocalAddr().String()
		s.defers(func() { conn.Close() })
		go func() { // ends with conn
			for b := make([]byte, 100); ; {
				n, _, err := conn.ReadFrom(b)
				if err != nil {
					return
				}
				if string(b[:n]) == c.own {
					close(c.came)
				} else {
					c.n.Add(1)
				}
			}
		}()
		return c, nil
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	c.addr = l.Addr().String()
	s.accept(l, func(net.Conn) { c.n.Add(1) })
	return c, nil
}

// hits is what has arrived until now. What comes to one address is taken in its
// order: behind a knock of the host's own nothing is under way any more.
func (c *counter) hits() (n int32) {
	conn, err := net.Dial(c.network, c.addr)
	if err != nil {
		return c.n.Load()
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(attemptTime))
	if c.network != "udp" {
		conn.Read(make([]byte, 1)) // it is closed when it was counted
		return c.n.Load() - 1
	}
	if _, err := conn.Write([]byte(c.own)); err == nil {
		select {
		case <-c.came:
		case <-time.After(attemptTime):
		}
	}
	return c.n.Load()
}

// judge reports whether anything arrived. It is asked once.
func (c *counter) judge() (bool, string) {
	n := c.hits()
	return n > 0, fmt.Sprintf("%d arrived", n)
}

func (s *scene) accept(l net.Listener, serve func(net.Conn)) {
	s.defers(func() { l.Close() })
	go func() { // ends with l
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn)
			conn.Close()
		}
	}()
}

func (s *scene) argv(program string, id string) []string {
	args, err := json.Marshal(s.args)
	if err != nil {
		panic(err) // strings always can
	}
	return append(append([]string{program}, s.opts.Args...), id, string(args))
}

// play runs the attempt in the scene's backend.
func (s *scene) play(ctx context.Context, a attempt) (sandbox.ExitStatus, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, attemptTime, fmt.Errorf("not done after %v", attemptTime))
	defer cancel()
	input, end := io.Pipe()
	defer end.Close()
	s.spec.Stdin = input
	s.spec.Argv = s.argv(s.inside.Program, a.id)
	session, err := s.box.Start(ctx, s.spec)
	if err != nil {
		return sandbox.ExitStatus{}, err
	}
	s.attend(session.Done(), func() {
		if s.during != nil {
			s.during(session)
		}
	})
	end.Close()
	status, err := session.Wait()
	if _, ended := errors.AsType[*sandbox.DiskError](err); ended {
		err = nil // one way to be contained
	}
	if closeErr := session.Close(); err == nil {
		err = closeErr
	}
	return status, err
}

// attend waits until the program is ready, or ended, and then calls f.
func (s *scene) attend(done <-chan struct{}, f func()) {
	select {
	case <-s.out.said(readyWord):
	case <-done:
	}
	f()
}

// playBare runs the attempt as a child like any other.
func (s *scene) playBare(ctx context.Context, a attempt) (sandbox.ExitStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	argv := s.argv(s.opts.Program, a.id)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.spec.Workspace, s.env, s.attr
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = s.out, s.out, time.Second
	if s.stdin != nil {
		cmd.Stdin = s.stdin
	}
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return sandbox.ExitStatus{}, err
	}
	return sandbox.ExitStatus{Code: cmd.ProcessState.ExitCode()}, nil
}

// victim is a process of the host, another run's or the gateway itself. It
// has a secret in its environment and one in its command line, and says when
// it is sent SIGUSR1.
type victim struct {
	cmd   *exec.Cmd
	out   *capture
	ended chan struct{} // closed when it has
}

func (s *scene) victim() (*victim, error) {
	env, line := canary+rand.Text(), canary+rand.Text()
	s.secrets["environment"], s.secrets["command line"] = env, line
	argv := append(append([]string{}, s.opts.Args...), "victim", line)
	v := &victim{cmd: exec.Command(s.opts.Program, argv...), out: newCapture(), ended: make(chan struct{})}
	v.cmd.Env = []string{"SECRET=" + env}
	v.cmd.Dir = s.dir
	v.cmd.Stdout = v.out
	if _, err := v.cmd.StdinPipe(); err != nil { // it ends with us
		return nil, err
	}
	if err := v.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		v.cmd.Wait()
		close(v.ended)
	}()
	s.defers(func() {
		v.cmd.Process.Kill()
		<-v.ended
	})
	select {
	case <-v.out.said(readyWord):
	case <-time.After(attemptTime):
		return nil, fmt.Errorf("the victim did not come up")
	}
	s.args["pid"] = fmt.Sprint(v.cmd.Process.Pid)
	return v, nil
}

// settle waits until the victim has dealt with all that was sent to it, and
// reports whether it lives and goes on.
func (v *victim) settle() bool {
	v.cmd.Process.Signal(syscall.SIGUSR2) // an error means that it has ended
	select {
	case <-v.ended:
		return false
	case <-time.After(attemptTime):
		return false
	case <-v.out.said(settledWord):
		return true
	}
}

// bySecret looks whether a secret of a process came out.
func (s *scene) bySecret() (bool, string) {
	for what, content := range s.secrets {
		if s.out.has(content) {
			return true, "read its " + what
		}
	}
	return false, ""
}

// captureBytes bounds what is kept of an attempt's output.
const captureBytes = 1 << 20

// capture keeps the beginning of what is written to it. It is safe for
// concurrent use.
type capture struct {
	mu    sync.Mutex
	b     bytes.Buffer // guarded by mu
	more  int64        // guarded by mu: bytes that were not kept
	words []word       // guarded by mu: those that are waited for
}

// word is something that a program may say.
type word struct {
	text string
	said chan struct{}
}

func newCapture() *capture { return new(capture) }

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep := min(len(p), captureBytes-c.b.Len())
	c.b.Write(p[:keep])
	c.more += int64(len(p) - keep)
	c.words = slices.DeleteFunc(c.words, c.told)
	return len(p), nil
}

// told closes the channel of a word that was said. The caller holds mu.
func (c *capture) told(w word) bool {
	if !bytes.Contains(c.b.Bytes(), []byte(w.text)) {
		return false
	}
	close(w.said)
	return true
}

// said returns a channel that is closed when the words have come.
func (c *capture) said(text string) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := word{text, make(chan struct{})}
	if !c.told(w) {
		c.words = append(c.words, w)
	}
	return w.said
}

func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String()
}

func (c *capture) has(s string) bool { return strings.Contains(c.String(), s) }

// tail is the last line, for a message.
func (c *capture) tail() string {
	last := "it said nothing"
	lines := bufio.NewScanner(strings.NewReader(c.String()))
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.Contains(line, canary) {
			last = line
		}
	}
	return fmt.Sprintf("%.200q", last)
}
