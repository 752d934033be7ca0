// Package agentstest has the board and the store that tests of agents talk to:
// just enough of the rules to tell right from wrong, and switches for trouble.
package agentstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"reflect"
	"sync"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Door is a run's door to a board in memory. It is safe for concurrent use.
// Fields are set before it is used.
type Door struct {
	Detail projections.Detail                           // what Show answers
	Cards  []projections.Card                           // what List answers
	Before func(ctx context.Context, what string) error // called first, with a command's name, show, list or renew; nil = no trouble
	Lose   func(c boards.Command) bool                  // the command is carried out, but the answer is lost

	mu       sync.Mutex
	commands []boards.Command
	ids      map[events.CommandID]done
	queries  []projections.ListQuery
	verdict  boards.Command
	ended    bool
	stopping bool
	next     events.TaskID
	head     uint64
	changed  chan struct{} // closed and replaced at each change
}

type done struct {
	command boards.Command
	result  boards.Result
}

var _ api.Door = (*Door)(nil)

func (d *Door) trouble(ctx context.Context, what string) error {
	if d.Before == nil {
		return ctx.Err()
	}
	return d.Before(ctx, what)
}

// Do implements [api.Door]: one verdict, one end, each id once.
func (d *Door) Do(ctx context.Context, id events.CommandID, c boards.Command) (boards.Result, error) {
	if err := d.trouble(ctx, c.CommandName()); err != nil {
		return boards.Result{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if before, ok := d.ids[id]; ok {
		if !reflect.DeepEqual(before.command, c) {
			return boards.Result{}, &boards.Rejection{Code: boards.CodeMismatch, Detail: "another command had this id"}
		}
		before.result.Repeat = true
		return before.result, nil
	}
	res, err := d.decide(c)
	if err != nil {
		return res, err
	}
	if d.ids == nil {
		d.ids = make(map[events.CommandID]done)
	}
	d.head++
	res.First, res.Last = d.head, d.head
	d.ids[id] = done{c, res}
	d.commands = append(d.commands, c)
	d.change()
	if d.Lose != nil && d.Lose(c) {
		return boards.Result{}, io.ErrUnexpectedEOF
	}
	return res, nil
}

func (d *Door) decide(c boards.Command) (res boards.Result, err error) {
	stale := &boards.Rejection{Code: boards.CodeStaleRun, Detail: "the run may not speak any more"}
	_, isEnd := c.(boards.EndRun)
	_, isRefusal := c.(boards.RefuseCalls)
	if d.ended || !isEnd && !isRefusal && (d.verdict != nil || d.stopping) {
		return res, stale
	}
	switch c := c.(type) {
	case boards.EndRun:
		d.ended = true
	case boards.CompleteTask:
		d.verdict, res.Status = c, events.Done
	case boards.RequestReview:
		d.verdict, res.Status = c, events.Review
	case boards.ApproveTask:
		d.verdict, res.Status = c, events.Done
	case boards.RequestChanges:
		d.verdict, res.Status = c, events.Ready
	case boards.BlockTask:
		d.verdict, res.Status = c, events.Blocked
	case boards.CreateTasks:
		for range c.Tasks {
			d.next++
			res.Tasks = append(res.Tasks, 100+d.next)
		}
	}
	return res, nil
}

func (d *Door) change() {
	if d.changed != nil {
		close(d.changed)
	}
	d.changed = make(chan struct{})
}

// Show implements [api.Door].
func (d *Door) Show(ctx context.Context, task events.TaskID) (projections.Detail, error) {
	if err := d.trouble(ctx, "show"); err != nil {
		return projections.Detail{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if task != d.Detail.ID {
		return projections.Detail{}, &boards.Rejection{Code: boards.CodeNotFound, Task: task, Detail: "there is no task " + task.String()}
	}
	return d.Detail, nil
}

// List implements [api.Door].
func (d *Door) List(ctx context.Context, q projections.ListQuery) ([]projections.Card, error) {
	if err := d.trouble(ctx, "list"); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queries = append(d.queries, q)
	return d.Cards, nil
}

// Renew implements [api.Door].
func (d *Door) Renew(ctx context.Context) (api.RunState, error) {
	if err := d.trouble(ctx, "renew"); err != nil {
		return api.RunState{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return api.RunState{Open: !d.ended, Verdict: d.verdict != nil, Stopping: d.stopping, Head: d.head}, nil
}

// Close implements [api.Door].
func (d *Door) Close() error { return nil }

// Stop begins the end of the run, as a person would.
func (d *Door) Stop() { d.mu.Lock(); d.stopping = true; d.change(); d.mu.Unlock() }

// End ends the run by force.
func (d *Door) End() { d.mu.Lock(); d.ended = true; d.change(); d.mu.Unlock() }

// Say adds a comment to the task.
func (d *Door) Say(by events.Actor, body string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.head += 10
	d.Detail.Comments = append(d.Detail.Comments, projections.CommentRow{Seq: d.head, Time: 1, By: by, Body: body})
	d.change()
}

// Commands returns what was carried out.
func (d *Door) Commands() []boards.Command {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]boards.Command(nil), d.commands...)
}

// Queries returns what was listed.
func (d *Door) Queries() []projections.ListQuery {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]projections.ListQuery(nil), d.queries...)
}

// Await waits until ok is true of what was carried out, or ctx ends.
func (d *Door) Await(ctx context.Context, ok func([]boards.Command) bool) error {
	for {
		d.mu.Lock()
		if d.changed == nil {
			d.changed = make(chan struct{})
		}
		now, changed := append([]boards.Command(nil), d.commands...), d.changed
		d.mu.Unlock()
		if ok(now) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Find returns the commands of one kind.
func Find[C boards.Command](d *Door) (out []C) {
	for _, c := range d.Commands() {
		if c, ok := c.(C); ok {
			out = append(out, c)
		}
	}
	return out
}

// Store keeps files in memory. It is safe for concurrent use.
type Store struct {
	Err error // of every Put; nil = none

	mu    sync.Mutex
	files map[events.Digest][]byte
}

// Put implements the store of a worker socket.
func (s *Store) Put(ctx context.Context, r io.Reader, max int64) (events.Artifact, error) {
	if s.Err != nil {
		return events.Artifact{}, s.Err
	}
	b, err := io.ReadAll(io.LimitReader(r, max+1))
	if err != nil {
		return events.Artifact{}, err
	}
	if int64(len(b)) > max {
		return events.Artifact{}, io.ErrShortBuffer
	}
	return s.Add(b), nil
}

// Add stores b.
func (s *Store) Add(b []byte) events.Artifact {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files = make(map[events.Digest][]byte)
	}
	a := events.Artifact{SHA256: events.Digest(sha256.Sum256(b)), Size: int64(len(b))}
	s.files[a.SHA256] = b
	return a
}

// Open opens a stored file.
func (s *Store) Open(d events.Digest) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.files[d]
	if !ok {
		return nil, &boards.Rejection{Code: boards.CodeNoArtifact, Detail: d.String() + " is not stored"}
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}
