//go:build unix

package sshbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/localbox"
)

// Main takes over in a process that the backend started on another machine, and
// does not return there; elsewhere it does nothing. The main function of a
// program that uses this backend begins with it.
func Main() {
	var err error
	switch {
	case len(os.Args) == 4 && os.Args[1] == verb:
		err = help(os.Args[2], os.Args[3])
	case len(os.Args) == 5 && os.Args[1] == reapVerb:
		err = reap(os.Args[2], os.Args[3], os.Args[4])
	default:
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, os.Args[1]+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// helper runs one program in its folder.
type helper struct {
	*folder
	stdout, stderr counter
	end            context.CancelFunc // called when nobody holds the session any more
	unheld         *time.Timer        // calls it if nobody ever does

	mu      sync.Mutex
	session *sandbox.Session // guarded by mu: nil before the start
	ended   bool             // guarded by mu: nothing is started any more
}

// help serves a session until nobody holds it. A nil error says that the tree is
// gone, and what of the folder no other session has.
func help(root, id string) error {
	if err := sandbox.Supervise(); err != nil {
		return err
	}
	dir, err := openFolder(root, id)
	if err != nil {
		return err
	}
	defer dir.close()
	listener, err := net.Listen("unix", path.Join(root, controlName(id)))
	if err != nil {
		return err
	}
	// A broken pipe is the end of the connection, which is noticed elsewhere.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
	defer cancel()
	h := &helper{folder: dir, end: cancel}
	h.stdout.to, h.stderr.to = os.Stdout, os.Stderr
	server := &http.Server{Handler: h.handler(), ReadHeaderTimeout: silence}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(listener) // its error is that it was closed
	}()
	h.unheld = time.AfterFunc(holdTime, cancel)
	defer h.unheld.Stop()
	if dir.first {
		fmt.Println(greeting)
	} else {
		fmt.Println(joining)
	}
	<-ctx.Done()
	err = h.finish()
	server.Close()
	<-served
	if err != nil {
		return err // the folder stays locked until this process has ended
	}
	return dir.remove()
}

func (h *helper) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		pushPath: h.push, pullPath: h.pull, startPath: h.start, waitPath: h.wait,
		signalPath: h.signal, treePath: h.tree, killPath: h.kill, leavePath: h.goodbye,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := handle(w, r); err != nil {
				refuse(w, err)
			}
		})
	}
	mux.HandleFunc(holdPath, h.hold)
	return mux
}

// hold ends the session when nothing more comes.
func (h *helper) hold(w http.ResponseWriter, r *http.Request) {
	h.unheld.Stop()
	defer h.end()
	control := http.NewResponseController(w)
	var one [1]byte
	for {
		if control.SetReadDeadline(time.Now().Add(silence)) != nil {
			return
		}
		if _, err := io.ReadFull(r.Body, one[:]); err != nil {
			return
		}
	}
}

// place is where files of a request go, and what else is below it.
func (h *helper) place(r *http.Request) (dir string, except []string, err error) {
	switch r.PathValue("dir") {
	case "ws":
		return path.Join(h.root, workspaceDir), r.URL.Query()["except"], nil
	case "inputs":
		return path.Join(h.root, inputsDir), nil, nil
	case "outputs":
		return path.Join(h.root, outputsDir), nil, nil
	}
	return "", nil, errors.New("no such folder")
}

func (h *helper) push(_ http.ResponseWriter, r *http.Request) error {
	dir, except, err := h.place(r)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return err
	}
	return unpack(r.Body, dir, except...)
}

func (h *helper) pull(w http.ResponseWriter, r *http.Request) error {
	dir, except, err := h.place(r)
	if err != nil {
		return err
	}
	if err := pack(w, dir, except...); err != nil {
		panic(http.ErrAbortHandler) // what was sent is not whole, and must not look so
	}
	return nil
}

func (h *helper) start(_ http.ResponseWriter, r *http.Request) error {
	var o order
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		return err
	}
	spec, err := h.spec(&o)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.session != nil || h.ended {
		return errors.New("started before")
	}
	if err := h.whole(); err != nil {
		return err
	}
	// The session outlives this request.
	h.session, err = localbox.New().Start(context.WithoutCancel(r.Context()), spec)
	return err
}

// spec is the order in the paths of this machine.
func (h *helper) spec(o *order) (*sandbox.Spec, error) {
	for _, mount := range o.Mounts {
		if _, err := os.Stat(mount); err != nil {
			return nil, fmt.Errorf("mount: %w", err)
		}
	}
	spec := &sandbox.Spec{
		Argv: o.Argv, Env: o.Env, Dir: o.Dir, Mark: o.Mark, Workspace: path.Join(h.root, workspaceDir), Network: sandbox.FullNetwork,
		Limits: sandbox.Limits{OpenFiles: o.OpenFiles, FileBytes: o.FileBytes},
		Stdout: &h.stdout, Stderr: &h.stderr,
	}
	if o.Joined {
		spec.Stderr = spec.Stdout
	}
	if o.Stdin {
		spec.Stdin = os.Stdin
	}
	if o.Outputs {
		spec.Outputs = path.Join(h.root, outputsDir)
		if err := os.MkdirAll(spec.Outputs, 0o700); err != nil {
			return nil, err
		}
	}
	if o.Program == "" {
		return spec, nil
	}
	return spec, h.link(o.Program)
}

// link puts the program where Layout says, unless another session has.
func (h *helper) link(program string) error {
	binary, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	place := path.Join(h.root, programPath)
	if there, err := os.Readlink(place); err == nil && there == binary {
		return nil
	}
	if err := os.MkdirAll(path.Dir(place), 0o700); err != nil {
		return err
	}
	return os.Symlink(binary, place)
}

var errNotStarted = errors.New("nothing was started")

func (h *helper) started() (*sandbox.Session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.session == nil {
		return nil, errNotStarted
	}
	return h.session, nil
}

func (h *helper) wait(w http.ResponseWriter, r *http.Request) error {
	s, err := h.started()
	if err != nil {
		return err
	}
	select {
	case <-s.Done():
	case <-r.Context().Done():
		return nil
	}
	var o outcome
	if o.Status, err = s.Wait(); err != nil {
		o.Error = err.Error()
	}
	o.Stdout, o.Stderr = h.stdout.n.Load(), h.stderr.n.Load()
	return json.NewEncoder(w).Encode(o)
}

func (h *helper) signal(w http.ResponseWriter, r *http.Request) error {
	s, err := h.started()
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		return err
	}
	if err := s.Signal(syscall.Signal(number)); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *helper) tree(w http.ResponseWriter, _ *http.Request) error {
	s, err := h.started()
	if err != nil {
		return err
	}
	if !s.Alive() {
		w.WriteHeader(http.StatusNoContent)
	}
	return nil
}

func (h *helper) kill(http.ResponseWriter, *http.Request) error {
	s, err := h.started()
	if errors.Is(err, errNotStarted) {
		return nil
	}
	return s.Kill()
}

// goodbye says whether this session is to bring the workspace back.
func (h *helper) goodbye(w http.ResponseWriter, _ *http.Request) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	last, err := h.leave()
	if err == nil && !last {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// finish ends the tree. It is tried for as long as something is left: nobody
// else would.
func (h *helper) finish() error {
	h.mu.Lock()
	h.ended = true
	s := h.session
	h.mu.Unlock()
	if s == nil {
		return nil
	}
	var err error
	for range 30 {
		if err = s.Kill(); err == nil {
			return nil
		}
		if !errors.Is(err, driver.ErrTreeAlive) {
			time.Sleep(time.Second)
		}
	}
	return err
}

// counter passes writes on and counts them. Where they cannot be passed on the
// connection is gone, and the program is not to notice.
type counter struct {
	to io.Writer
	n  atomic.Int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.to.Write(p)
	c.n.Add(int64(len(p)))
	return len(p), nil
}
