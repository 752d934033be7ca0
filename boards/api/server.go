package api

import (
	"cmp"
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
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
	// Operator may enter beside the owner's user and root. It acts as the person
	// "operator:<uid>", whomever it says it acts for.
	Operator Operator
	Hooks    Hooks

	grace time.Duration // how long a stop waits; 0 = stopTimeout
}

// Hooks lets the program that serves take part. Each may be nil.
type Hooks struct {
	Fault func(error) // an error without a code, to be logged; may be called concurrently
}

// handler is a Server that serves. Every connection begins as a lane, which
// reads plain requests and hands everything else to net/http.
type handler struct {
	*Server
	l        net.Listener
	uid      int            // the only uid let in, besides 0
	header   string         // lines of every answer
	stopping chan struct{}  // closed when lanes and event streams are to end
	others   *others        // connections that are for net/http
	running  sync.WaitGroup // lanes, and calls of net/http

	mu    sync.Mutex
	lanes map[*lane]struct{}
}

// Serve answers requests from l, which must be a unix socket, until ctx ends;
// then it stops listening, closes idle connections, ends the event streams,
// lets requests under way finish for five seconds, and returns nil. It closes
// l and waits for all it started.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return newHandler(s, l).serve(ctx)
}

func newHandler(s *Server, l net.Listener) *handler {
	return &handler{Server: s, l: l, uid: os.Geteuid(), header: header(s.Version) + "Content-Type: application/json\r\n",
		stopping: make(chan struct{}), others: newOthers(l.Addr()), lanes: make(map[*lane]struct{})}
}

func (h *handler) serve(ctx context.Context) error {
	calls, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		ConnContext:       withPeer,
		ConnState:         h.others.note,
		ErrorLog:          log.New(faultWriter{h}, "", 0),
	}
	served, accepted := make(chan error, 1), make(chan error, 1)
	go func() { served <- srv.Serve(h.others) }()
	go func() { accepted <- h.accept(calls) }()
	var err error
	select {
	case err = <-accepted:
		err = errors.Join(err, h.l.Close())
	case <-ctx.Done():
		err = h.l.Close()
		<-accepted
	}
	close(h.stopping)
	h.closeLanes(false)
	h.others.closeFresh()
	grace, cancel := context.WithTimeout(calls, cmp.Or(h.grace, stopTimeout))
	defer cancel()
	if late := srv.Shutdown(grace); late != nil {
		err = errors.Join(err, srv.Close())
	}
	<-served
	finished := make(chan struct{})
	go func() {
		h.running.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-grace.Done():
		abandon()
		h.closeLanes(true)
		<-finished
	}
	return err
}

// accept starts a lane for every connection until the listener is closed.
func (h *handler) accept(ctx context.Context) error {
	const shortest, longest = 5 * time.Millisecond, time.Second
	for wait := shortest; ; {
		c, err := h.l.Accept()
		switch {
		case err == nil:
			wait = shortest
			h.running.Add(1)
			go func() {
				defer h.running.Done()
				newLane(ctx, h, c).run()
			}()
		case isShortage(err):
			h.fault(err)
			time.Sleep(wait)
			wait = min(2*wait, longest)
		default:
			return err
		}
	}
}

// isShortage reports whether an accept failed for a reason that may pass.
func isShortage(err error) bool {
	for _, e := range []error{syscall.ECONNABORTED, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (h *handler) fault(err error) {
	if h.Hooks.Fault != nil {
		h.Hooks.Fault(err)
	}
}

// faultWriter passes on what net/http would log.
type faultWriter struct{ h *handler }

func (w faultWriter) Write(b []byte) (int, error) {
	w.h.fault(errors.New(string(b)))
	return len(b), nil
}
