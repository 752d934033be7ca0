package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// How long a peer may take, and how long a stop waits for requests under way.
const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	answerTimeout = 30 * time.Second // to take an answer
	idleTimeout   = 2 * time.Minute
	stopTimeout   = 5 * time.Second
	pingEvery     = 15 * time.Second
)

// Server serves a board on its socket. The fields are set before Serve and not
// changed afterwards.
type Server struct {
	Board   Board                            // what the board door opens to
	Doors   func(token string) (Door, error) // what the run door opens to; nil = no run door
	Version string                           // of this program
	Hooks   Hooks
}

// Hooks lets the program that serves take part. Each may be nil.
type Hooks struct {
	Fault func(error) // an error without a code, to be logged; may be called concurrently
}

// Serve answers requests from l, which must be a unix socket, until ctx ends;
// then it stops listening, ends the event streams, lets requests under way
// finish for five seconds, and returns nil. It closes l and waits for all it
// started.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &handler{Server: s, uid: os.Geteuid(), stopping: make(chan struct{})}
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		ConnContext:       withPeer,
		ErrorLog:          log.New(faultWriter{h}, "", 0),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return errors.Join(err, srv.Close())
	case <-ctx.Done():
	}
	close(h.stopping)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err := srv.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	<-done
	h.running.Wait()
	return err
}

// faultWriter passes on what net/http would log.
type faultWriter struct{ h *handler }

func (w faultWriter) Write(b []byte) (int, error) {
	w.h.fault(errors.New(string(b)))
	return len(b), nil
}

type peerKey struct{}

type peerFound struct {
	peer
	err error
}

func withPeer(ctx context.Context, c net.Conn) context.Context {
	found := peerFound{err: errors.New("not a unix socket")}
	if u, ok := c.(*net.UnixConn); ok {
		found.peer, found.err = peerOf(u)
	}
	return context.WithValue(ctx, peerKey{}, found)
}

// ServeHTTP finds the route, checks the door and answers.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.running.Add(1)
	defer h.running.Done()
	head := w.Header()
	head["Date"] = nil
	head[VersionHeader] = []string{h.Version}
	head["Content-Type"] = []string{"application/json"}
	c := &call{h: h, w: w, r: r, control: http.NewResponseController(w)}
	answer, err := c.run()
	if c.streamed {
		return
	}
	h.reply(c, answer, err)
}

func (h *handler) reply(c *call, answer any, err error) {
	status := http.StatusOK
	body, raw := answer.([]byte)
	if err == nil && !raw {
		body, err = json.Marshal(answer)
	}
	if err != nil {
		var fault bool
		if status, body, fault = encodeError(err); fault {
			h.fault(err)
		}
	}
	head := c.w.Header()
	head["Content-Length"] = []string{strconv.Itoa(len(body))}
	if c.closing {
		head["Connection"] = []string{"close"}
	}
	_ = c.control.SetWriteDeadline(time.Now().Add(answerTimeout)) // every real connection has deadlines
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body) // the peer may be gone; there is nobody to tell
}

func (h *handler) fault(err error) {
	if h.Hooks.Fault != nil {
		h.Hooks.Fault(err)
	}
}

// call is one request.
type call struct {
	h        *handler
	w        http.ResponseWriter
	r        *http.Request
	control  *http.ResponseController
	peer     peer
	body     []byte
	door     Door // of the run door
	streamed bool // the answer has been written
	closing  bool // the connection is not to be used again
}

func (c *call) run() (answer any, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.h.fault(fmt.Errorf("%s: panic: %v", c.r.URL.Path, p))
			answer, err = nil, &Error{Code: CodeInternal, Message: "the owner could not handle this call"}
		}
	}()
	if err := c.enter(); err != nil {
		c.closing = true
		return nil, err
	}
	route, ok := routes[c.r.URL.Path]
	if !ok || route.method != c.r.Method {
		c.closing = true
		return nil, c.unknown(CodeUnknownPath, fmt.Sprintf("no call %s %s", c.r.Method, c.r.URL.Path))
	}
	if err := c.open(route.door); err != nil {
		c.closing = true
		return nil, err
	}
	if route.method == http.MethodPost {
		if err := c.read(); err != nil {
			c.closing = true
			return nil, err
		}
	}
	answer, err = route.serve(c)
	if errors.Is(err, context.Canceled) && c.r.Context().Err() != nil {
		err = &Error{Code: CodeCancelled, Message: "the caller went away"}
	}
	return answer, err
}

// enter checks who is at the other end.
func (c *call) enter() error {
	found, _ := c.r.Context().Value(peerKey{}).(peerFound)
	if found.err != nil || !found.mayEnter(c.h.uid) {
		return &Error{Code: CodeForbidden, Message: "this socket is its owner's alone"}
	}
	c.peer = found.peer
	return nil
}

// unknown answers what this program does not know: a newer client is told so.
func (c *call) unknown(code, what string) error {
	if v := c.r.Header.Get(VersionHeader); v != "" && v != c.h.Version {
		return tooOld(what)
	}
	return &Error{Code: code, Message: what}
}

// read takes the body in, whole and bounded.
func (c *call) read() error {
	if c.r.ContentLength > MaxRequestBytes {
		return tooLarge()
	}
	_ = c.control.SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(io.LimitReader(c.r.Body, MaxRequestBytes+1))
	if err != nil {
		return &Error{Code: CodeBadRequest, Message: "the body ended early"}
	}
	if len(body) > MaxRequestBytes {
		return tooLarge()
	}
	_ = c.control.SetReadDeadline(time.Time{})
	c.body = body
	return nil
}

func tooLarge() error {
	return &Error{Code: CodeTooLarge, Message: fmt.Sprintf("a request may have at most %d bytes", MaxRequestBytes),
		Hint: "hermes kanban attach"}
}

// decode reads the body into v.
func (c *call) decode(v any) error {
	if err := json.Unmarshal(c.body, v, json.RejectUnknownMembers(true)); err != nil {
		return c.unknown(CodeBadRequest, fmt.Sprintf("%s: %v", c.r.URL.Path, err))
	}
	return nil
}
