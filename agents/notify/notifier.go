package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/bus"
	"github.com/hermesboard/hermes/projections"
)

// Principal is who puts on record what was told.
var Principal = boards.Principal{Actor: events.Actor{Kind: events.Gateway, Name: "notifier"}}

// Board is what a notifier needs of a board; an [api.Board] has it.
type Board interface {
	bus.Log
	Info(ctx context.Context) (api.Info, error)
	Do(ctx context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error)
	Show(ctx context.Context, task events.TaskID) (projections.Detail, error)
	Why(ctx context.Context, task events.TaskID) (projections.Why, error)
	Inbox(ctx context.Context) ([]projections.InboxItem, error)
	Read(ctx context.Context, from uint64, limit int) ([]events.Entry, error)
	Policy(ctx context.Context) (events.Policy, uint64, error)
	Notices(ctx context.Context) (api.Notices, error)
	FindSent(ctx context.Context, q api.SentQuery) (api.SentAnswer, error)
}

// Options say where a notifier sends and when not.
type Options struct {
	Platforms map[string]Platform // by name: "telegram", "webhook"
	Quiet     Hours               // nothing is sent to people in them
	Zone      *time.Location      // in which the hours are meant; nil = the host's
	Reminder  time.Duration       // after so long one reminder of what still waits; 0 = none
	Warn      func(error)         // is told of every try that failed; nil = dropped
}

// Notifier tells what happens on one board. Counts may be called at any time,
// the rest only by whoever runs it.
type Notifier struct {
	board Board
	opts  Options
	id    events.BoardID // of the board, and its slug; set by Run
	slug  string

	mu    sync.Mutex
	lanes map[events.Destination]*lane // guarded by mu

	sent, dead, lost atomic.Uint64
}

// New returns a notifier of a board. It does nothing before Run.
func New(board Board, opts Options) *Notifier {
	if opts.Zone == nil {
		opts.Zone = time.Local
	}
	if opts.Warn == nil {
		opts.Warn = func(error) {}
	}
	return &Notifier{board: board, opts: opts, lanes: make(map[events.Destination]*lane)}
}

// Counts are what a notifier did since it was made: messages that a platform
// took, those that were given up, and answers that were lost.
type Counts struct{ Sent, Dead, Lost uint64 }

// Counts returns what was done so far. Safe for concurrent use.
func (n *Notifier) Counts() Counts { return Counts{n.sent.Load(), n.dead.Load(), n.lost.Load()} }

// Plus returns what was done in all.
func (c Counts) Plus(o Counts) Counts {
	return Counts{c.Sent + o.Sent, c.Dead + o.Dead, c.Lost + o.Lost}
}

// remindEvery is how often it is looked whether somebody is to be reminded.
const remindEvery = time.Minute

// Run tells what happens until ctx ends, which is no error, or the board can be
// read no more. It returns when all it started has ended, and may be called
// again then. A message that a platform has when ctx ends is waited for, a few
// seconds at most, and put on record.
func (n *Notifier) Run(ctx context.Context) error {
	info, err := n.board.Info(ctx)
	if err != nil {
		return err
	}
	n.id, n.slug = info.Board, info.Slug
	n.mu.Lock()
	clear(n.lanes) // of a Run before
	n.mu.Unlock()
	start, err := n.board.Notices(ctx)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	n.open(gctx, g, start)
	g.Go(func() error {
		return n.board.Follow(gctx, start.Head+1, func(e events.Entry) error { return n.follow(gctx, g, e) })
	})
	if n.opts.Reminder > 0 {
		g.Go(func() error { n.remindAll(gctx); return nil })
	}
	err = g.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// follow opens lanes for destinations that are new.
func (n *Notifier) follow(ctx context.Context, g *errgroup.Group, e events.Entry) error {
	r, err := events.Decode(e.Record)
	if err != nil {
		return fmt.Errorf("event %d: %w", e.Seq, err)
	}
	if _, ok := r.Data.(events.SubscriptionAdded); !ok {
		return nil
	}
	now, err := n.board.Notices(ctx)
	if err == nil {
		n.open(ctx, g, now)
	}
	return err
}

// open starts a lane for each destination that has none. One whose
// subscriptions have all been removed goes on, and finds that nothing is wanted.
func (n *Notifier) open(ctx context.Context, g *errgroup.Group, now api.Notices) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range now.Subscriptions {
		if n.lanes[s.To] != nil {
			continue
		}
		p, ok := n.opts.Platforms[s.To.Platform]
		l := &lane{n: n, to: s.To, platform: p}
		n.lanes[s.To] = l
		if !ok {
			n.opts.Warn(fmt.Errorf("%s waits: %s is not set up here", projections.DestinationName(s.To), s.To.Platform))
			continue
		}
		g.Go(func() error { return l.run(ctx, s.Since+1) })
	}
}

// offsetName is what a destination's offset is kept under.
func offsetName(to events.Destination) string {
	name := projections.DestinationName(to)
	if len(name) > 200 {
		sum := sha256.Sum256([]byte(name))
		name = to.Platform + ":" + hex.EncodeToString(sum[:])
	}
	return "notify " + name
}

// Token returns what the buttons of a message carry: the same for a repetition,
// another for each event, destination and sort of message.
func Token(board events.BoardID, sort string, of uint64, to events.Destination) string {
	return events.ForeignCommandID(board, "notify.token", key(sort, of, to)).String()
}

func key(sort string, of uint64, to events.Destination) string {
	return strconv.Quote(sort) + " " + strconv.FormatUint(of, 10) + " " + strconv.Quote(to.Platform) + strconv.Quote(to.Chat) + strconv.Quote(to.Thread)
}

// entry reads one event.
func (n *Notifier) entry(ctx context.Context, seq uint64) (*projections.Entry, events.Entry, error) {
	raw, err := n.board.Read(ctx, seq, 1)
	if err != nil {
		return nil, events.Entry{}, err
	}
	if len(raw) == 0 || raw[0].Seq != seq {
		return nil, events.Entry{}, fmt.Errorf("there is no event %d", seq)
	}
	e, err := decode(raw[0])
	return e, raw[0], err
}

func decode(raw events.Entry) (*projections.Entry, error) {
	r, err := events.Decode(raw.Record)
	if err != nil {
		return nil, fmt.Errorf("event %d: %w", raw.Seq, err)
	}
	e := &projections.Entry{Record: r}
	if raw.Text != nil {
		text, err := events.DecodeText(raw.Text)
		if err != nil {
			return nil, fmt.Errorf("text of event %d: %w", raw.Seq, err)
		}
		e.Fields = &text.Fields
	}
	return e, nil
}

// facts asks the board what there is to say about an event.
func (n *Notifier) facts(ctx context.Context, e *projections.Entry) (f Facts, err error) {
	info, err := n.board.Info(ctx)
	if err != nil {
		return f, err
	}
	policy, _, err := n.board.Policy(ctx)
	if err != nil {
		return f, err
	}
	f = Facts{Board: info.Slug, Name: info.Title, Currency: policy.Currency}
	if e.Record.Task == 0 {
		return f, nil
	}
	d, err := n.board.Show(ctx, e.Record.Task)
	if err != nil {
		return f, err
	}
	f.Detail = &d
	f.Why, err = n.board.Why(ctx, e.Record.Task)
	return f, err
}

// covers reports whether a subscription wants an event. What happened before it
// was made it does not want, nor what belonged to another tenant.
func covers(s *projections.Subscription, r *events.Record, d *projections.Detail) bool {
	agent := agentOf(r)
	switch {
	case s.Since >= r.Seq:
		return false
	case s.Task != 0:
		return s.Task == r.Task
	case s.Tenant != "":
		return r.Tenant == s.Tenant && (d == nil || d.Tenant == s.Tenant)
	case s.Agent != "":
		return agent == s.Agent || d != nil && (d.Assignee == s.Agent || d.Implementer == s.Agent)
	}
	return true
}

// agentOf returns whom an event is about that is about an agent.
func agentOf(r *events.Record) string {
	switch p := r.Data.(type) {
	case events.AgentHeld:
		return p.Agent
	case events.BudgetReached:
		return p.Agent
	}
	return ""
}
