package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Call is who asks for something, where, and with which rights.
type Call struct {
	By       boards.Principal
	Role     Role
	ReadOnly bool
	Board    string             // slug
	Tenant   string             // the only one that is seen and made; empty = all
	Assignee string             // of new tasks that name none
	To       events.Destination // the chat, which is told what becomes of new tasks
	Update   string             // what the platform calls the update
	Time     time.Time          // of the update, in the chat's zone; the same whenever it comes
	Width    int                // characters on a line
}

// Seat is a board as one call may use it: whatever the caller says, commands
// are those of the call's person, are made of the call's update, and are of the
// kinds that may come from a chat. It is used for one call. The board below
// stays its owner's.
type Seat struct {
	api.Board
	call  *Call
	id    events.BoardID
	every bool // show all tenants

	mu    sync.Mutex
	done  int    // commands so far
	first bool   // one of them was carried out now
	again bool   // one of them had been carried out before
	last  uint64 // position of the last event made; 0 = none
}

// Sit gives a call a board.
func Sit(ctx context.Context, b api.Board, c *Call) (*Seat, error) {
	info, err := b.Info(ctx)
	if err != nil {
		return nil, err
	}
	return &Seat{Board: b, call: c, id: info.Board, every: c.Tenant == ""}, nil
}

// Last returns the position of the last event that the call made; 0 if none.
func (s *Seat) Last() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// Again reports whether all that the call did had been done before, when its
// update came the first time.
func (s *Seat) Again() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.again && !s.first
}

// Close does nothing.
func (s *Seat) Close() error { return nil }

var errSeat = &api.Error{Code: api.CodeForbidden, Message: "that cannot be done from a chat"}

// Do carries out a command of the call. The n-th command of an update has an id
// of its own, so that all of them can come again.
func (s *Seat) Do(ctx context.Context, _ boards.Principal, _ events.CommandID, c boards.Command) (boards.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.call.Role < Member || s.call.ReadOnly {
		return boards.Result{}, errSeat
	}
	c, tasks, ok := fromChat(c, s.call)
	if !ok {
		return boards.Result{}, errSeat
	}
	for _, t := range tasks {
		if err := s.sees(ctx, t); err != nil {
			return boards.Result{}, err
		}
	}
	res, err := s.put(ctx, c)
	if err != nil {
		return res, err
	}
	for _, t := range res.Tasks {
		_, err := s.put(ctx, boards.Subscribe{Task: t, To: s.call.To})
		if no := (*boards.Rejection)(nil); err != nil && !errors.As(err, &no) {
			return res, err
		}
	}
	return res, nil
}

func (s *Seat) put(ctx context.Context, c boards.Command) (boards.Result, error) {
	key := s.call.Update
	if s.done > 0 {
		key = fmt.Sprintf("%s#%d", key, s.done)
	}
	s.done++
	res, err := s.Board.Do(ctx, s.call.By, events.ForeignCommandID(s.id, s.call.To.Platform, key), c)
	s.last = max(s.last, res.Last)
	s.again = s.again || err == nil && res.Repeat
	s.first = s.first || err == nil && !res.Repeat
	return res, err
}

// fromChat returns a command as it may come from a chat, and the tasks it is
// about; false if it may not.
func fromChat(c boards.Command, by *Call) (boards.Command, []events.TaskID, bool) {
	about := func(t ...events.TaskID) (boards.Command, []events.TaskID, bool) { return c, t, true }
	switch c := c.(type) {
	case boards.CreateTasks:
		made, parents, ok := newTasks(c, by)
		return made, parents, ok
	case boards.EditTask:
		if c.Workspace == nil || onHost(*c.Workspace) == "" {
			return about(c.Task)
		}
	case boards.SetTenant:
		if by.Tenant == "" {
			return about(c.Task)
		}
	case boards.StopRun:
		if !c.Force {
			return about(c.Task)
		}
	case boards.AssignTask:
		return about(c.Task)
	case boards.PrioritizeTask:
		return about(c.Task)
	case boards.SetModel:
		return about(c.Task)
	case boards.LinkTasks:
		return about(c.Parent, c.Child)
	case boards.UnlinkTasks:
		return about(c.Parent, c.Child)
	case boards.CommentTask:
		return about(c.Task)
	case boards.PromoteTask:
		return about(c.Task)
	case boards.ScheduleTask:
		return about(c.Task)
	case boards.UnblockTask:
		return about(c.Task)
	case boards.ReopenTask:
		return about(c.Task)
	case boards.ArchiveTask:
		return about(c.Task)
	case boards.CompleteTask:
		return about(c.Task)
	case boards.RequestReview:
		return about(c.Task)
	case boards.ApproveTask:
		return about(c.Task)
	case boards.RequestChanges:
		return about(c.Task)
	case boards.BlockTask:
		return about(c.Task)
	case boards.Subscribe:
		if c.To == by.To && (c.Task != 0 || by.Tenant == "") {
			return about(some(c.Task)...)
		}
	case boards.Unsubscribe:
		if c.To == by.To && (c.Task != 0 || by.Tenant == "") {
			return about(some(c.Task)...)
		}
	}
	return nil, nil, false
}

func some(t events.TaskID) []events.TaskID {
	if t == 0 {
		return nil
	}
	return []events.TaskID{t}
}

// onHost is the path of the host that a workspace names; empty = none.
func onHost(w events.Workspace) string { return w.Path }

// newTasks puts the route's defaults into new tasks.
func newTasks(c boards.CreateTasks, by *Call) (boards.Command, []events.TaskID, bool) {
	var parents []events.TaskID
	c.Tasks = slices.Clone(c.Tasks)
	for i := range c.Tasks {
		t := &c.Tasks[i]
		if onHost(t.Workspace) != "" {
			return nil, nil, false
		}
		t.Assignee = cmp.Or(t.Assignee, by.Assignee)
		t.Tenant = cmp.Or(by.Tenant, t.Tenant)
		for _, p := range t.Parents {
			parents = append(parents, some(p.Task)...)
		}
	}
	return c, parents, true
}

// sees returns the answer to one who asks for a task that is not there, unless
// it is and is of the call's tenant.
func (s *Seat) sees(ctx context.Context, t events.TaskID) error {
	if s.every {
		return nil
	}
	_, err := s.Show(ctx, t)
	return err
}

// Show shows a task of the call's tenant.
func (s *Seat) Show(ctx context.Context, t events.TaskID) (projections.Detail, error) {
	d, err := s.Board.Show(ctx, t)
	if err != nil || s.every || d.Tenant == s.call.Tenant {
		return d, err
	}
	return projections.Detail{}, &boards.Rejection{Code: boards.CodeNotFound, Task: t, Detail: fmt.Sprintf("no task %s on this board", t)}
}

// Why is Show for the reason.
func (s *Seat) Why(ctx context.Context, t events.TaskID) (projections.Why, error) {
	if err := s.sees(ctx, t); err != nil {
		return projections.Why{}, err
	}
	return s.Board.Why(ctx, t)
}

// List lists tasks of the call's tenant.
func (s *Seat) List(ctx context.Context, q projections.ListQuery) ([]projections.Card, error) {
	if !s.every {
		q.Tenant = &s.call.Tenant
	}
	return s.Board.List(ctx, q)
}

// Inbox lists what waits for a person on the tasks of the call's tenant.
func (s *Seat) Inbox(ctx context.Context) ([]projections.InboxItem, error) {
	items, err := s.Board.Inbox(ctx)
	if err != nil || s.every {
		return items, err
	}
	return slices.DeleteFunc(items, func(it projections.InboxItem) bool {
		return it.Task == 0 || s.sees(ctx, it.Task) != nil
	}), nil
}

// Stats counts the board, or the tasks of the call's tenant: then what is known
// of the board as a whole only, its cost among it, is left out.
func (s *Seat) Stats(ctx context.Context) (projections.Stats, error) {
	if s.every {
		return s.Board.Stats(ctx)
	}
	out := projections.Stats{ByStatus: []projections.StatusCount{}, ByAssignee: []projections.NameCount{}, ByOutcome: []projections.OutcomeCount{}}
	cards, err := s.List(ctx, projections.ListQuery{})
	if err != nil {
		return out, err
	}
	count := make(map[events.Status]int)
	for i := range cards {
		count[cards[i].Status]++
		if cards[i].Run != nil {
			out.OpenRuns++
		}
	}
	out.Tasks = len(cards)
	for _, status := range slices.Sorted(maps.Keys(count)) {
		out.ByStatus = append(out.ByStatus, projections.StatusCount{Status: status, Count: count[status]})
	}
	items, err := s.Inbox(ctx)
	out.NeedsYou = len(items)
	return out, err
}

// Read reads the log, which holds all tenants.
func (s *Seat) Read(ctx context.Context, from uint64, limit int) ([]events.Entry, error) {
	if !s.every {
		return nil, errSeat
	}
	return s.Board.Read(ctx, from, limit)
}

// ReadTask is Read over a task of the call's tenant.
func (s *Seat) ReadTask(ctx context.Context, t events.TaskID, from uint64, limit int) ([]events.Entry, error) {
	if err := s.sees(ctx, t); err != nil {
		return nil, err
	}
	return s.Board.ReadTask(ctx, t, from, limit)
}

// Follow would never end.
func (s *Seat) Follow(context.Context, uint64, func(events.Entry) error) error { return errSeat }

// Notices lists what this chat is told, and no other.
func (s *Seat) Notices(ctx context.Context) (api.Notices, error) {
	n, err := s.Board.Notices(ctx)
	n.Subscriptions = slices.DeleteFunc(n.Subscriptions, func(x projections.Subscription) bool { return !s.here(x.To) })
	n.Dead = slices.DeleteFunc(n.Dead, func(x projections.Dead) bool { return !s.here(x.To) })
	return n, err
}

// FindSent finds a message to this chat.
func (s *Seat) FindSent(ctx context.Context, q api.SentQuery) (api.SentAnswer, error) {
	a, err := s.Board.FindSent(ctx, q)
	if err != nil || a.Found && !s.here(a.Sent.To) {
		return api.SentAnswer{}, err
	}
	return a, nil
}

// here reports whether a destination is in the call's chat.
func (s *Seat) here(to events.Destination) bool {
	return to.Platform == s.call.To.Platform && to.Chat == s.call.To.Chat
}

// SaveOffset is not for people.
func (s *Seat) SaveOffset(context.Context, string, uint64) error { return errSeat }
