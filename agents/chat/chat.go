package chat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
)

// Exec runs a verb of hermes kanban on a board as a call, and returns what it
// printed and its exit code. It is safe for concurrent use and asks nobody
// anything. What does not exist in chat it refuses by [Check].
type Exec func(ctx context.Context, call *Call, board api.Board, argv []string) (out, words string, code int)

// Options say who may do what where.
type Options struct {
	Platform Platform
	Exec     Exec
	// Board opens a board of those the rules name. It is not closed here.
	Board func(ctx context.Context, slug string) (api.Board, error)
	Rules Rules
	Allow []Person // at least one
	Pairs *Pairs   // nil = nobody else is let in
	Zone  *time.Location
	// Reminder is after how long the notifier reminds of what still waits; 0 = never.
	Reminder time.Duration
	// PerMinute is how much a chat may ask in a minute; 0 = any.
	PerMinute int
	// Artifact opens a file of a board; nil = files are not sent.
	Artifact func(board string, digest events.Digest) (io.ReadCloser, error)
	Warn     func(error) // is told of what went wrong; nil = dropped
}

// Chat is a bot on a platform.
type Chat struct {
	Options
	platform Platform
	boards   []string // that a message may be about

	mu   sync.Mutex
	rate rate        // guarded by mu
	seen seen        // guarded by mu
	ran  atomic.Bool // Run was called

	counts struct{ updates, sent, lost, again, dropped atomic.Uint64 }
}

// Counts are what a chat did since it was made.
type Counts struct {
	Updates uint64 // that meant something
	Sent    uint64 // answers that the platform took
	Lost    uint64 // replies of the platform that never came
	Again   uint64 // answers that were sent twice because of that, or may have been by one that was killed
	Dropped uint64 // updates beyond a chat's rate
}

// Counts returns what was done so far. Safe for concurrent use.
func (c *Chat) Counts() Counts {
	n := &c.counts
	return Counts{n.updates.Load(), n.sent.Load(), n.lost.Load(), n.again.Load(), n.dropped.Load()}
}

// Plus returns what was done in all.
func (n Counts) Plus(m Counts) Counts {
	return Counts{n.Updates + m.Updates, n.Sent + m.Sent, n.Lost + m.Lost, n.Again + m.Again, n.Dropped + m.Dropped}
}

// New returns a chat; [ErrNobody] without an allow-list.
func New(o Options) (*Chat, error) {
	if !slices.ContainsFunc(o.Allow, func(p Person) bool { return p.ID != "" && p.Role > Nobody }) {
		return nil, ErrNobody
	}
	if o.Zone == nil {
		o.Zone = time.Local
	}
	if o.Warn == nil {
		o.Warn = func(error) {}
	}
	c := &Chat{Options: o, platform: o.Platform, rate: rate{perMinute: o.PerMinute, buckets: make(map[string]*bucket)}}
	for _, r := range append([]Route{o.Rules.Home}, o.Rules.Routes...) {
		if r.Board != "" && !slices.Contains(c.boards, r.Board) {
			c.boards = append(c.boards, r.Board)
		}
	}
	if o.Pairs != nil {
		if _, err := o.Pairs.People(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Run works until ctx ends, which is no error, or the platform cannot be used
// any more: [ErrRevoked], [ErrTwoPollers].
func (c *Chat) Run(ctx context.Context) error {
	if c.ran.Swap(true) {
		return errors.New("the chat was run before")
	}
	if err := c.platform.Menu(ctx, c.menu()); err != nil && ctx.Err() == nil {
		if errors.Is(err, ErrRevoked) {
			return err
		}
		c.Warn(fmt.Errorf("%s: menu: %w", c.platform.Name(), err))
	}
	err := c.platform.Run(ctx, c.Handle)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (c *Chat) menu() []Entry {
	menu := []Entry{{"kanban", "tasks: /kanban list"}, {"help", "what there is"}}
	for _, r := range c.Rules.Routes {
		if len(r.Prefix) > 1 {
			menu = append(menu, Entry{r.Prefix[1:], "tasks of " + r.Board})
		}
	}
	return menu
}

// seen remembers the latest updates.
type seen struct {
	ids  map[string]bool
	ring []string
	next int
}

const maxSeen = 1 << 14

// is reports whether an update was seen before, and remembers it.
func (s *seen) is(id string) bool {
	if s.ids[id] {
		return true
	}
	if s.ids == nil {
		s.ids, s.ring = make(map[string]bool), make([]string, maxSeen)
	}
	delete(s.ids, s.ring[s.next])
	s.ring[s.next], s.ids[id] = id, true
	s.next = (s.next + 1) % maxSeen
	return false
}

// Handle does what an update means. Drivers call it.
func (c *Chat) Handle(ctx context.Context, u *Update) {
	who := standing(c.people(), u)
	c.mu.Lock()
	in := Decide(u, who.Role, &c.Rules)
	again := in.Kind != Ignore && c.seen.is(u.ID)
	ok, say := true, false
	if in.Kind != Ignore && !again {
		ok, say = c.rate.take(u.Chat.Chat, time.Now())
	}
	c.mu.Unlock()
	switch {
	case in.Kind == Ignore || again:
		return
	case !ok:
		c.counts.dropped.Add(1)
		if say && who.Role > Nobody {
			c.tell(ctx, u, "That is more than I can take in a minute. The last message was not looked at; send it again later.")
		}
		return
	}
	c.counts.updates.Add(1)
	c.do(ctx, u, who, in)
}

// people are those on the list, and those who were let in by a code by now.
func (c *Chat) people() []Person {
	if c.Pairs == nil {
		return c.Allow
	}
	more, err := c.Pairs.People()
	if err != nil { // those who were read before still count
		c.Warn(fmt.Errorf("%s: %w", c.platform.Name(), err))
	}
	return append(slices.Clip(c.Allow), more...)
}

// do carries an intent out and answers.
func (c *Chat) do(ctx context.Context, u *Update, who Person, in Intent) {
	var err error
	switch in.Kind {
	case Refuse:
		err = c.refuse(ctx, u, in.Why)
	case Stranger:
		c.stranger(ctx, u)
	case Confirm:
		c.confirm(ctx, u, who, in.Argv)
	case Help:
		c.say(ctx, u, Text{{"What you may type behind /kanban:\n\n", Plain}, {help(who.Role), Plain},
			{"For example: /kanban create \"Collect prices\" --assignee researcher\nReply to a message about a task to answer it.", Plain}})
	case Run:
		err = c.run(ctx, u, who, in)
	case Idea:
		err = c.idea(ctx, u, who, in)
	case Reply:
		err = c.answer(ctx, u, who, words, in.Text)
	case Press:
		err = c.press(ctx, u, who, in)
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	c.Warn(fmt.Errorf("%s: update %s: %w", c.platform.Name(), u.ID, err))
	c.tell(ctx, u, sentence(err))
}

// sentence says to a person what went wrong: what the board has to say, and
// nothing of the host.
func sentence(err error) string {
	var no *boards.Rejection
	var coded *api.Error
	var denied *Denied
	message, hint := "Something went wrong here; it was noted. Nothing more was done.", ""
	switch {
	case errors.As(err, &no):
		message, hint = no.Error(), no.Hint
	case errors.As(err, &denied):
		message, hint = denied.Message, denied.Hint
	case errors.As(err, &coded) && coded.Code != api.CodeInternal:
		message, hint = coded.Message, coded.Hint
	}
	if hint != "" {
		message += "\n" + inChat(hint)
	}
	return message
}

// tell answers in plain words; to a tap only who tapped sees them.
func (c *Chat) tell(ctx context.Context, u *Update, words string) { _ = c.refuse(ctx, u, words) }

func (c *Chat) refuse(ctx context.Context, u *Update, words string) error {
	if u.Kind == Tapped {
		c.toast(ctx, u, words)
		return nil
	}
	c.say(ctx, u, Words(words))
	return nil
}

func (c *Chat) toast(ctx context.Context, u *Update, words string) {
	if err := c.platform.Toast(ctx, u.Tap, clean(words, 190)); err != nil && ctx.Err() == nil {
		c.Warn(fmt.Errorf("%s: answer to a button: %w", c.platform.Name(), err))
	}
}

// say answers an update with a message.
func (c *Chat) say(ctx context.Context, u *Update, t Text) {
	l := c.platform.Limits()
	c.deliver(ctx, &Message{To: u.Chat, Text: t.Cut(l.Text, l), ReplyTo: c.replyTo(u)})
}

// replyTo is the message an answer refers to: in a group it says whose it is.
func (c *Chat) replyTo(u *Update) string {
	if u.Private {
		return ""
	}
	return u.Message
}

func (c *Chat) deliver(ctx context.Context, m *Message) string {
	id, err := c.send(ctx, m)
	if err != nil && ctx.Err() == nil {
		c.Warn(fmt.Errorf("%s: answer to chat %s: %w", c.platform.Name(), m.To.Chat, err))
	}
	return id
}

// call makes the rights of somebody on a route.
func (c *Chat) call(u *Update, who Person, r Route) *Call {
	at := u.Time
	if at.IsZero() {
		at = time.Now()
	}
	return &Call{
		By:   boards.Principal{Actor: events.Actor{Kind: events.Human, Name: who.Name, Via: c.platform.Name()}},
		Role: who.Role, ReadOnly: r.ReadOnly, Board: r.Board, Tenant: r.Tenant, Assignee: r.Assignee,
		To: u.Chat, Update: u.ID, Time: at.In(c.Zone), Width: 48,
	}
}

// seat opens the board of a route for a call.
func (c *Chat) seat(ctx context.Context, call *Call) (*Seat, error) {
	b, err := c.open(ctx, call.Board)
	if err != nil {
		return nil, err
	}
	return Sit(ctx, b, call)
}

// busyFor is how long it is waited for a board that changes hands.
const busyFor = 5 * time.Second

// open opens a board, and waits for one that is starting.
func (c *Chat) open(ctx context.Context, slug string) (api.Board, error) {
	for start := time.Now(); ; {
		b, err := c.Board(ctx, slug)
		var coded *api.Error
		if err == nil || !errors.As(err, &coded) || coded.Code != api.CodeBusy || time.Since(start) > busyFor || !sleep(ctx, 50*time.Millisecond) {
			return b, err
		}
	}
}
