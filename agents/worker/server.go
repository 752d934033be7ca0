package worker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Store keeps files by content.
type Store interface {
	// Put stores what r gives, at most max bytes, durably.
	Put(ctx context.Context, r io.Reader, max int64) (events.Artifact, error)
}

// Server is the worker socket of one run.
type Server struct {
	Door   api.Door
	Run    events.RunID
	Board  events.BoardID
	Role   events.Role
	Tenant string
	Store  Store

	// Verdict carries out the command that ends the run's work. The supervisor
	// puts it on disk before it sends it.
	Verdict func(ctx context.Context, id events.CommandID, c boards.Command) (boards.Result, error)
	// Context renders a task as the bounded text an agent starts from.
	Context func(d projections.Detail) string

	spoken  atomic.Bool
	verdict atomic.Bool
	lastSeq atomic.Uint64 // notices were given up to here
	stored  atomic.Int64  // bytes put so far

	mu      sync.Mutex
	window  time.Time               // start of the second that calls are counted in
	calls   int                     // mutating calls in it
	refused map[string]uint32       // refusals not yet reported, by code
	names   map[events.Digest]int64 // files put by this run
}

// Spoken reports whether the agent has ever called.
func (s *Server) Spoken() bool { return s.spoken.Load() }

// Decided reports whether the agent has given its verdict.
func (s *Server) Decided() bool { return s.verdict.Load() }

// Serve answers on l until ctx ends and returns when all calls have ended.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	for tool, h := range s.tools() {
		mux.HandleFunc("POST /v1/"+tool, s.handle(h))
	}
	mux.HandleFunc("POST /v1/put", s.put)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, &Error{Code: "unknown_tool", Message: fmt.Sprintf("there is no tool %q", r.URL.Path)})
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			srv.Close()
		}
	})
	defer stop()
	err := srv.Serve(l)
	if ctx.Err() != nil && errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

type handler func(ctx context.Context, body []byte) (*Answer, error)

// tools maps every tool to what it does. It is the whole of what a worker can ask for.
func (s *Server) tools() map[string]handler {
	own := s.Run.Task
	return map[string]handler{
		"show": read(func(ctx context.Context, a Show) (*Answer, error) { return s.show(ctx, a) }),
		"list": read(func(ctx context.Context, a List) (*Answer, error) { return s.list(ctx, a) }),
		"create": write(s, func(a Create) (string, boards.Command, error) {
			tasks, err := newTasks(a.Tasks)
			return a.Key, boards.CreateTasks{Tasks: tasks}, err
		}),
		"link": write(s, func(a Link) (string, boards.Command, error) {
			return a.Key, boards.LinkTasks{Parent: a.Parent, Child: a.Child, Needs: a.Needs}, nil
		}),
		"comment": write(s, func(a Comment) (string, boards.Command, error) {
			if a.Task == 0 {
				a.Task = own
			}
			return a.Key, boards.CommentTask{Task: a.Task, Body: a.Body}, nil
		}),
		"heartbeat": write(s, func(a Heartbeat) (string, boards.Command, error) {
			return "", boards.Heartbeat{Task: own, Note: a.Note, Done: a.Done, Total: a.Total}, nil
		}),
		"attach": write(s, func(a Attach) (string, boards.Command, error) {
			if err := s.known(a.Artifact); err != nil {
				return "", nil, err
			}
			return a.Key, boards.AttachFile{Task: own, Name: a.Artifact.Name, Artifact: stored(a.Artifact)}, nil
		}),
		"unblock": write(s, func(a Unblock) (string, boards.Command, error) {
			return a.Key, boards.UnblockTask{Task: a.Task, Answer: a.Answer}, nil
		}),
		"complete": verdict(s, func(a Complete) (string, boards.Command, error) {
			files, names, err := s.artifacts(a.Artifacts)
			return a.Key, boards.CompleteTask{Task: own, Verdict: a.Verdict, Summary: a.Summary, Result: a.Result,
				Metadata: a.Metadata, Artifacts: files, Names: names, Created: a.Created}, err
		}),
		"request_review": verdict(s, func(a RequestReview) (string, boards.Command, error) {
			files, names, err := s.artifacts(a.Artifacts)
			return a.Key, boards.RequestReview{Task: own, Reviewer: a.Reviewer, Summary: a.Summary, Metadata: a.Metadata,
				Artifacts: files, Names: names}, err
		}),
		"approve": verdict(s, func(a Approve) (string, boards.Command, error) {
			return a.Key, boards.ApproveTask{Task: own, Summary: a.Summary}, nil
		}),
		"request_changes": verdict(s, func(a RequestChanges) (string, boards.Command, error) {
			return a.Key, boards.RequestChanges{Task: own, Reason: a.Reason}, nil
		}),
		"block": verdict(s, func(a Block) (string, boards.Command, error) {
			return a.Key, boards.BlockTask{Task: own, Kind: a.Kind, Reason: a.Reason, Options: a.Options}, nil
		}),
	}
}

func decodeArgs[A any](body []byte) (A, error) {
	var a A
	if err := json.Unmarshal(body, &a, json.RejectUnknownMembers(true)); err != nil {
		return a, &Error{Code: string(boards.CodeBadCommand), Message: err.Error()}
	}
	return a, nil
}

func read[A any](do func(context.Context, A) (*Answer, error)) handler {
	return func(ctx context.Context, body []byte) (*Answer, error) {
		a, err := decodeArgs[A](body)
		if err != nil {
			return nil, err
		}
		return do(ctx, a)
	}
}

// write makes the handler of a tool that changes the board.
func write[A any](s *Server, command func(A) (key string, c boards.Command, err error)) handler {
	return mutate(s, command, func(ctx context.Context, id events.CommandID, c boards.Command) (boards.Result, error) {
		return s.Door.Do(ctx, id, c)
	})
}

// verdict makes the handler of a tool that ends the run's work.
func verdict[A any](s *Server, command func(A) (key string, c boards.Command, err error)) handler {
	return mutate(s, command, func(ctx context.Context, id events.CommandID, c boards.Command) (boards.Result, error) {
		res, err := s.Verdict(ctx, id, c)
		if err == nil {
			s.verdict.Store(true)
		}
		return res, err
	})
}

func mutate[A any](s *Server, command func(A) (string, boards.Command, error),
	do func(context.Context, events.CommandID, boards.Command) (boards.Result, error)) handler {
	return func(ctx context.Context, body []byte) (*Answer, error) {
		if !s.allow(time.Now()) {
			return nil, &Error{Code: "too_fast", Message: fmt.Sprintf("more than %d changing calls in a second", MaxCallsPerSec), Retry: true}
		}
		a, err := decodeArgs[A](body)
		if err != nil {
			return nil, err
		}
		key, c, err := command(a)
		if err != nil {
			return nil, err
		}
		res, err := do(ctx, s.commandID(key), c)
		if err != nil {
			return nil, err
		}
		return &Answer{Status: res.Status, Tasks: res.Tasks}, nil
	}
}

// commandID makes a worker's key the name of a command of this run; without a
// key every call is its own.
func (s *Server) commandID(key string) events.CommandID {
	if key == "" {
		key = rand.Text()
	}
	return events.ForeignCommandID(s.Board, "run "+s.Run.String(), key)
}

func (s *Server) handle(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.spoken.Store(true)
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequestBytes))
		if err != nil {
			s.fail(w, &Error{Code: "too_large", Message: fmt.Sprintf("a call has at most %d bytes", MaxRequestBytes),
				Hint: "hand larger things over as files: hermes worker attach PATH"})
			return
		}
		a, err := h(r.Context(), body)
		if err != nil {
			s.fail(w, err)
			return
		}
		writeJSON(w, http.StatusOK, a)
	}
}

// put stores a file. What it is called is checked when it is named.
func (s *Server) put(w http.ResponseWriter, r *http.Request) {
	s.spoken.Store(true)
	name := r.URL.Query().Get("name")
	if err := checkName(name); err != nil {
		s.fail(w, err)
		return
	}
	room := min(MaxArtifactBytes, MaxRunBytes-s.stored.Load())
	a, err := s.Store.Put(r.Context(), http.MaxBytesReader(w, r.Body, room+1), room)
	if err != nil {
		s.fail(w, &Error{Code: "too_large", Message: fmt.Sprintf("%q was not stored: %v", name, err)})
		return
	}
	s.stored.Add(a.Size)
	s.mu.Lock()
	if s.names == nil {
		s.names = make(map[events.Digest]int64)
	}
	s.names[a.SHA256] = a.Size
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, &Answer{Put: &Artifact{Name: name, SHA256: a.SHA256, Size: a.Size}})
}

// known refuses a file this run has not put: naming another's content by its
// digest would be a way to read it.
func (s *Server) known(a Artifact) error {
	if err := checkName(a.Name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if size, ok := s.names[a.SHA256]; !ok || size != a.Size {
		return &Error{Code: string(boards.CodeNoArtifact), Message: fmt.Sprintf("%q was not handed over by this run", a.Name),
			Hint: "the task goes on; hand the file over and complete again"}
	}
	return nil
}

func (s *Server) artifacts(named []Artifact) (files []events.Artifact, names []string, err error) {
	for _, a := range named {
		if err := s.known(a); err != nil {
			return nil, nil, err
		}
		files, names = append(files, stored(a)), append(names, a.Name)
	}
	return files, names, nil
}

func stored(a Artifact) events.Artifact { return events.Artifact{SHA256: a.SHA256, Size: a.Size} }

func checkName(name string) error {
	bad := name == "" || len(name) > 255 || !utf8.ValidString(name) || path.IsAbs(name) || path.Clean(name) != name ||
		name == ".." || strings.HasPrefix(name, "../") || strings.ContainsFunc(name, unicode.IsControl)
	if bad {
		return &Error{Code: string(boards.CodeBadCommand), Message: fmt.Sprintf("%q is not a name for a file (relative, clean, at most 255 bytes)", name)}
	}
	return nil
}

// allow counts the changing calls of a run.
func (s *Server) allow(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.window) >= time.Second {
		s.window, s.calls = now, 0
	}
	s.calls++
	return s.calls <= MaxCallsPerSec
}

// fail answers an error and counts it for the record.
func (s *Server) fail(w http.ResponseWriter, err error) {
	e := wireError(err)
	s.mu.Lock()
	if s.refused == nil {
		s.refused = make(map[string]uint32)
	}
	s.refused[e.Code]++
	s.mu.Unlock()
	status := http.StatusConflict
	if e.Retry {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, envelope{e})
}

// Refused returns the refusals since the last call, by code, and forgets them.
func (s *Server) Refused() map[string]uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.refused
	s.refused = nil
	return r
}

// wireError is the one place that maps errors to what an agent sees.
func wireError(err error) *Error {
	var e *Error
	var rej *boards.Rejection
	var apiErr *api.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &rej):
		return &Error{Code: string(rej.Code), Message: rej.Detail, Hint: rej.Hint}
	case errors.As(err, &apiErr):
		return &Error{Code: apiErr.Code, Message: apiErr.Message, Retry: apiErr.Code == api.CodeBusy || apiErr.Code == api.CodeFrozen}
	}
	return &Error{Code: api.CodeBusy, Message: "the board does not answer just now", Retry: true}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":{"code":"internal","message":"the answer could not be written"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b)
}
