package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// How long the peer may take, and how many of its calls are looked at at once.
const (
	headerTime = 10 * time.Second
	answerTime = time.Minute
	idleTime   = 5 * time.Minute
	closeTime  = 2 * time.Second // for calls under way when the server ends
	maxConns   = 64
)

// bodyTime is how long the peer may take for a message, or between two pieces
// of a file.
var bodyTime = 30 * time.Second

// Store keeps files by content.
type Store interface {
	// Put stores what r gives, at most max bytes, durably.
	Put(ctx context.Context, r io.Reader, max int64) (events.Artifact, error)
}

// Server is the worker socket of one run. Its fields are set before Serve and
// not changed after it; its methods are safe for concurrent use.
type Server struct {
	Door      api.Door
	Board     events.BoardID
	Run       events.RunID
	Fence     uint64 // position of the run's claim: what is said after it is news
	Agent     string
	Role      events.Role
	Tenant    string
	Workspace events.Workspace // of the task: the only place of the host that new tasks may name
	Store     Store

	// Verdict carries out the command that ends the run's work. The supervisor
	// puts it on disk before it sends it.
	Verdict func(ctx context.Context, id events.CommandID, c boards.Command) (boards.Result, error)
	// Context renders a task as the bounded text an agent starts from; nil = no text.
	Context func(d projections.Detail) string
	// Fault is told what an agent is not: errors that are nobody's refusal. May be nil.
	Fault func(error)

	spoken atomic.Bool
	writes bucket
	reads  bucket
	news   news
	files  files

	mu      sync.Mutex
	decided chan struct{}     // guarded by mu: closed once a verdict was taken
	refused map[string]uint32 // guarded by mu: refusals not yet reported, by code
}

// Spoken reports whether the agent has ever called a tool.
func (s *Server) Spoken() bool { return s.spoken.Load() }

// Decided is closed when the agent has given its verdict.
func (s *Server) Decided() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.decided == nil {
		s.decided = make(chan struct{})
	}
	return s.decided
}

func (s *Server) decide() {
	done := s.Decided()
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-done:
	default:
		close(s.decided)
	}
}

// Serve answers on l until ctx ends. It closes l and returns when every call
// has ended; calls under way get a little time, then they are cut off.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	calls := &calls{}
	tools := s.tools()
	srv := &http.Server{
		ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: 16 << 10,
		ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if calls.begin() {
				defer calls.end()
				s.serve(base, tools, w, r)
			}
		}),
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(base, closeTime)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			cut()
			srv.Close()
		}
	})
	err := srv.Serve(limit(l, maxConns))
	if !stop() {
		<-stopped
	}
	cut()
	srv.Close()
	calls.wait()
	if ctx.Err() != nil && errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// serve answers one call. base ends with the server; what an agent has asked
// for is carried out also when the agent does not wait for the answer.
func (s *Server) serve(base context.Context, tools map[string]tool, w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			s.fail(w, fmt.Errorf("%s: panic: %v", r.URL.Path, p))
		}
	}()
	// Also what is refused at once has a body to be taken off the connection.
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
	name, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	t, known := tools[name]
	if !ok || !known || r.Method != http.MethodPost {
		s.fail(w, &Error{Code: "unknown_tool", Message: fmt.Sprintf("there is no tool %.100q", r.Method+" "+r.URL.Path)})
		return
	}
	s.spoken.Store(true)
	if t.changes && !s.writes.take(time.Now(), MaxCallsPerSec) {
		s.fail(w, &Error{Code: "too_fast", Message: fmt.Sprintf("more than %d changing calls in a second", MaxCallsPerSec), Retry: true})
		return
	}
	if !t.changes && !s.reads.take(time.Now(), MaxReadsPerSec) {
		s.fail(w, &Error{Code: "too_fast", Message: fmt.Sprintf("more than %d calls in a second", MaxReadsPerSec), Retry: true})
		return
	}
	if t.stream != nil {
		a, err := t.stream(base, w, r)
		s.answer(base, w, a, err)
		return
	}
	body, err := message(w, r)
	if err != nil {
		s.fail(w, err)
		return
	}
	a, err := t.call(base, body)
	s.answer(base, w, a, err)
}

// message reads the whole of a call.
func message(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := &Error{Code: "too_large", Message: fmt.Sprintf("a call has at most %d bytes", MaxRequestBytes),
		Hint: "hand larger things over as files: hermes worker attach PATH"}
	if r.ContentLength > MaxRequestBytes {
		w.Header().Set("Connection", "close")
		return nil, tooLarge
	}
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Now().Add(bodyTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequestBytes))
	if err == nil { // otherwise the rest is not waited for either
		rc.SetReadDeadline(time.Time{})
	}
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge
	case err != nil:
		w.Header().Set("Connection", "close")
		return nil, badCall("the call was cut off")
	}
	return body, nil
}

// answer sends what a tool came to.
func (s *Server) answer(ctx context.Context, w http.ResponseWriter, a *Answer, err error) {
	if err != nil {
		s.fail(w, err)
		return
	}
	s.addNews(ctx, a)
	b, err := json.Marshal(a, json.Deterministic(true))
	if err != nil {
		s.fail(w, fmt.Errorf("write the answer: %w", err))
		return
	}
	write(w, http.StatusOK, b)
}

// fail answers an error and counts a refusal for the record.
func (s *Server) fail(w http.ResponseWriter, err error) {
	e := wireError(err)
	if e.fault && s.Fault != nil {
		if e.cause != nil {
			err = e.cause
		}
		s.Fault(err)
	}
	if !e.Retry || e.Code == "too_fast" {
		s.refuse(e.Code, 1)
	}
	status := http.StatusConflict
	if e.Retry {
		status = http.StatusServiceUnavailable
	}
	b, err := json.Marshal(envelope{e})
	if err != nil { // not valid UTF-8
		b = []byte(`{"error":{"code":"bad_command","message":"the call is not valid UTF-8"}}`)
	}
	write(w, status, b)
}

func write(w http.ResponseWriter, status int, b []byte) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b)
}

func (s *Server) refuse(code string, n uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused == nil {
		s.refused = make(map[string]uint32)
	}
	s.refused[code] += n
}

// Refused returns the refusals since the last call, by code, and forgets them.
func (s *Server) Refused() map[string]uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.refused
	s.refused = nil
	return r
}

// Unreported takes back refusals that could not be put on record.
func (s *Server) Unreported(code string, n uint32) { s.refuse(code, n) }

func badCall(format string, v ...any) *Error {
	return &Error{Code: string(boards.CodeBadCommand), Message: fmt.Sprintf(format, v...)}
}

// wireError is the one place that maps errors to what an agent sees. What is
// meant for the operator, such as paths of the host, is not passed on.
func wireError(err error) *Error {
	var e *Error
	var rej *boards.Rejection
	var apiErr *api.Error
	busy := &Error{Code: api.CodeBusy, Message: "the board does not answer just now", Retry: true}
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &rej):
		return &Error{Code: string(rej.Code), Message: rej.Detail, Hint: rej.Hint}
	case errors.As(err, &apiErr) && apiErr.Code == api.CodeForbidden:
		return &Error{Code: api.CodeForbidden, Message: "this run has ended, or may not ask for that"}
	case errors.As(err, &apiErr) && apiErr.Code == api.CodeFrozen:
		busy.Code = api.CodeFrozen
		return busy
	case errors.As(err, &apiErr) && apiErr.Code == api.CodeBusy:
		return busy
	}
	busy.fault = true
	return busy
}
