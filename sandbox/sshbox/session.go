//go:build unix

package sshbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// Bounds of one call, of connecting again, of the helper's end, and of the wait
// for output that was written but has not come.
const (
	callTime  = 15 * time.Second
	againTime = 10 * time.Second
	endTime   = 45 * time.Second
	drainTime = 10 * time.Second
)

// ErrConnectionLost is matched by the error of Wait when it is not known how
// the program ended. The helper ends it.
var ErrConnectionLost = errors.New("connection lost")

type session struct {
	box     box
	spec    driver.Spec
	root    string
	id      string // of this session among those that share the folder there
	joins   bool   // others have filled it
	program binary
	client  *ssh.Client
	http    *http.Client
	joined  bool

	exec           *ssh.Session // the helper; nil before it is ready
	stdin          io.WriteCloser
	stdout, stderr io.Reader
	unhold         context.CancelFunc // ends the helper; nil before it is held
	held           atomic.Bool        // somebody there heard it
	got            [2]tally           // what came of output and error
	grew           chan struct{}      // told of it, unless it is already
	copied         sync.WaitGroup     // the copying of both

	done   chan struct{} // closed by await, which writes status and err before
	status driver.ExitStatus
	err    error

	mu     sync.Mutex // held over a whole Kill or Close
	dead   bool       // guarded by mu: the tree was proven empty
	closed bool       // guarded by mu
}

// PID is 0: there is no process here.
func (s *session) PID() int { return 0 }

// hold tells the helper every now and then that somebody is there.
func (s *session) hold() {
	ctx, cancel := context.WithCancel(context.Background())
	s.unhold = cancel
	read, write := io.Pipe()
	go func() { // ends with the other, or when the connection is lost
		defer cancel()
		defer read.Close()
		req, err := http.NewRequest(http.MethodPost, "http://helper/hold", read)
		if err != nil {
			return
		}
		if answer, err := s.http.Do(req); err == nil {
			answer.Body.Close()
		}
	}()
	go func() { // ends when it is cancelled
		defer write.Close()
		again := time.NewTicker(beat)
		defer again.Stop()
		for {
			if _, err := write.Write([]byte{'.'}); err != nil {
				return
			}
			s.held.Store(true)
			select {
			case <-again.C:
			case <-ctx.Done():
				return
			}
		}
	}()
}

// copy passes the streams on.
func (s *session) copy() {
	if s.spec.Stdin != nil {
		go func() { // ends with the reader, or at its next read after the end
			io.Copy(s.stdin, s.spec.Stdin)
			s.stdin.Close()
		}()
	}
	for i, stream := range []struct {
		from io.Reader
		to   io.Writer
	}{{s.stdout, s.spec.Stdout}, {s.stderr, s.spec.Stderr}} {
		s.got[i].to, s.got[i].grew = stream.to, s.grew
		s.copied.Go(func() { io.Copy(&s.got[i], stream.from) })
	}
}

// tally counts what is passed on; one that fails does not stop the program.
type tally struct {
	to     io.Writer // nil discards
	failed bool
	n      atomic.Int64
	grew   chan<- struct{}
}

func (t *tally) Write(p []byte) (int, error) {
	if t.to != nil && !t.failed {
		if _, err := t.to.Write(p); err != nil {
			t.failed = true
		}
	}
	t.n.Add(int64(len(p)))
	select {
	case t.grew <- struct{}{}:
	default:
	}
	return len(p), nil
}

// await asks how the program ended, and waits for what it had written.
func (s *session) await() {
	defer close(s.done)
	var o outcome
	answer, err := s.http.Get("http://helper/wait")
	if err == nil {
		defer answer.Body.Close()
		if err = refusal(answer); err == nil {
			err = json.NewDecoder(answer.Body).Decode(&o)
		}
	}
	if err != nil {
		s.err = fmt.Errorf("%w: %w", ErrConnectionLost, err)
		return
	}
	if s.status = o.Status; o.Error != "" {
		s.err = &RemoteError{Message: o.Error}
	}
	late := time.NewTimer(drainTime)
	defer late.Stop()
	for s.got[0].n.Load() < o.Stdout || s.got[1].n.Load() < o.Stderr {
		select {
		case <-s.grew:
		case <-late.C:
			return
		}
	}
}

func (s *session) Wait() (driver.ExitStatus, error) {
	<-s.done
	return s.status, s.err
}

func (s *session) Signal(sig syscall.Signal) error {
	select {
	case <-s.done:
		return os.ErrProcessDone
	default:
	}
	code, err := s.call(http.MethodPost, "/signal/"+strconv.Itoa(int(sig)), nil, callTime)
	if code == http.StatusNoContent {
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
	code, err := s.call(http.MethodGet, "/tree", nil, callTime)
	return err != nil || code != http.StatusNoContent
}

func (s *session) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kill()
}

func (s *session) kill() error {
	if s.dead {
		return nil
	}
	_, err := s.call(http.MethodPost, "/kill", nil, callTime)
	var refused *RemoteError
	switch {
	case err == nil:
	case errors.As(err, &refused):
		return &driver.TreeAliveError{PIDs: refused.Alive, Reason: err.Error()}
	default:
		if lost := s.reap(); lost != nil {
			return &driver.TreeAliveError{Reason: fmt.Sprintf(
				"%v: %v; the helper there ends them when it has heard nothing for %v: %v", ErrConnectionLost, err, silence, lost)}
		}
	}
	s.dead = true
	return nil
}

// reap connects again and sees that nothing is left.
func (s *session) reap() error {
	ctx, cancel := context.WithTimeout(context.Background(), againTime)
	defer cancel()
	client, err := s.box.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	again, err := client.NewSession()
	if err != nil {
		return err
	}
	defer again.Close()
	helper, err := s.box.binary(s.box.opts.Binary)
	if err != nil {
		return err
	}
	late := time.AfterFunc(2*reapTime, func() { client.Close() })
	defer late.Stop()
	if said, err := again.CombinedOutput(command(helper.there, reapVerb, s.root, s.id, s.spec.Mark)); err != nil {
		return fmt.Errorf("%w: %.300s", err, bytes.TrimSpace(said))
	}
	return nil
}

// Close also brings the outputs back and, unless other sessions still have it,
// the workspace. What could not be brought is an error once, and is lost.
func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.kill(); err != nil || s.closed {
		return err
	}
	s.closed = true
	return errors.Join(s.bring(), s.abandon())
}

// bringing is held while folders of this host are filled, because sessions
// share them.
var bringing sync.Mutex

func (s *session) bring() error {
	bringing.Lock()
	defer bringing.Unlock()
	if s.spec.Outputs != "" {
		if err := s.pull("outputs", s.spec.Outputs); err != nil {
			return err
		}
	}
	code, err := s.call(http.MethodPost, "/leave", nil, callTime)
	if err != nil {
		return fmt.Errorf("bring %s back: %w", s.spec.Workspace, err)
	}
	if code == http.StatusNoContent {
		return nil
	}
	return s.pull("ws", s.spec.Workspace, s.except()...)
}

// abandon lets the helper go, and waits for it to end.
func (s *session) abandon() error {
	defer s.client.Close()
	if s.exec == nil {
		return nil
	}
	if s.unhold != nil {
		s.unhold()
	}
	if !s.held.Load() {
		return nil // nothing was started, and the helper ends by itself
	}
	late := time.AfterFunc(endTime, func() { s.client.Close() })
	defer late.Stop()
	err := s.exec.Wait()
	s.client.Close()
	s.copied.Wait()
	var missing *ssh.ExitMissingError
	if errors.As(err, &missing) {
		return nil // the connection was lost, which Kill has dealt with
	}
	if err != nil {
		return fmt.Errorf("the helper's end: %w", err)
	}
	return nil
}

// push sends a folder, without what lies where others have their place.
func (s *session) push(name, dir string, except ...string) error {
	read, write := io.Pipe()
	go func() { // ends when all is read, or with the request
		write.CloseWithError(pack(write, dir, except...))
	}()
	defer read.Close()
	if err := s.post("/push/"+name+query(except), read); err != nil {
		return fmt.Errorf("send %s: %w", dir, err)
	}
	return nil
}

// pull takes a folder back.
func (s *session) pull(name, dir string, except ...string) error {
	answer, err := s.http.Get("http://helper/pull/" + name + query(except))
	if err == nil {
		defer answer.Body.Close()
		err = refusal(answer)
	}
	if err == nil {
		err = unpack(answer.Body, dir, except...)
	}
	if err != nil {
		return fmt.Errorf("bring %s back: %w", dir, err)
	}
	return nil
}

func (s *session) post(path string, body io.Reader) error {
	_, err := s.call(http.MethodPost, path, body, 0)
	return err
}

// call asks the helper. A time of 0 is no bound but the connection's.
func (s *session) call(method, path string, body io.Reader, within time.Duration) (code int, err error) {
	ctx := context.Background()
	if within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, within)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://helper"+path, body)
	if err != nil {
		return 0, err
	}
	answer, err := s.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	return answer.StatusCode, refusal(answer)
}

// query says the same of the other side's folder.
func query(except []string) string {
	if len(except) == 0 {
		return ""
	}
	return "?" + url.Values{"except": except}.Encode()
}

func jsonBody(v any) io.Reader {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data
	}
	return bytes.NewReader(data)
}
