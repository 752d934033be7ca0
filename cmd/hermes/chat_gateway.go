package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

// chatRate is how much a chat may ask in a minute, unless the profile says so.
const chatRate = 60

// chatPart is the chat of a gateway, and of all the voices it has had.
type chatPart struct {
	home    *registry.Home
	profile func() *profile.Profile     // as it is configured now
	held    func(slug string) api.Board // a board this process holds; nil = it does not
	warn    func(error)

	mu     sync.Mutex
	now    *chat.Chat  // that runs, or ran last; nil = none did
	before chat.Counts // of those before it
}

// run works with a voice that has a bot until ctx ends.
func (p *chatPart) run(ctx context.Context, v *voice) error {
	found := &chatBoards{part: p, dialed: make(map[string]*api.Client)}
	defer found.close()
	opts, err := chatOptions(v.as, p.home, v.bot.driver)
	if err != nil {
		return err
	}
	opts.Board, opts.Warn = found.open, p.warn
	c, err := chat.New(opts)
	if err != nil {
		return err
	}
	p.mu.Lock()
	if p.now != nil {
		p.before = p.before.Plus(p.now.Counts())
	}
	p.now = c
	p.mu.Unlock()
	return c.Run(ctx)
}

// Counts are what the chats did since the gateway started; nil = there was none.
func (p *chatPart) Counts() *chat.Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil {
		return nil
	}
	n := p.before.Plus(p.now.Counts())
	return &n
}

// chatOptions are those of a chat as a profile is configured, but for the way
// to its boards.
func chatOptions(as *profile.Profile, home *registry.Home, platform chat.Platform) (o chat.Options, err error) {
	c := &as.Config
	o = chat.Options{Platform: platform, Exec: chatExec, Rules: chatRules(as, homeBoard(as, home)), Zone: time.Local,
		Pairs: chat.OpenPairs(as.Dir, platform.Name()), PerMinute: cmp.Or(c.Chat.RatePerMin, chatRate),
		Artifact: func(slug string, d events.Digest) (io.ReadCloser, error) {
			return registry.OpenArtifacts(home.Paths(slug).Artifacts).Open(d)
		}}
	if c.Chat.TimeZone != "" {
		if o.Zone, err = time.LoadLocation(c.Chat.TimeZone); err != nil {
			return o, err
		}
	}
	if c.Chat.Reminder != "" {
		if o.Reminder, err = parseDuration(c.Chat.Reminder); err != nil {
			return o, err
		}
	}
	o.Allow, err = chatPeople(c.Telegram.Allow)
	return o, err
}

func chatPeople(allow []profile.Person) (people []chat.Person, err error) {
	for _, a := range allow {
		role, err := chat.ParseRole(a.Role)
		if err != nil {
			return nil, fmt.Errorf("telegram.allow: %s: %w", a.ID, err)
		}
		people = append(people, chat.Person{ID: a.ID, Name: a.Name, Role: role, Chat: a.Chat})
	}
	return people, nil
}

// homeBoard is the board of a profile where none is named.
func homeBoard(p *profile.Profile, home *registry.Home) string {
	switch {
	case p.Config.Board != "":
		return p.Config.Board
	case len(p.Config.Boards) == 1 && p.Config.Boards[0] != "*":
		return p.Config.Boards[0]
	}
	current, _ := home.Current() // none that can be read: the usual one
	return cmp.Or(current, "default")
}

func chatRules(p *profile.Profile, board string) chat.Rules {
	r := chat.Rules{Home: chat.Route{Board: board, Tenant: p.Config.Tenant}}
	for _, route := range p.Config.Chat.Routes {
		r.Routes = append(r.Routes, chat.Route{Prefix: route.Prefix, Board: cmp.Or(route.Board, board), Tenant: cmp.Or(route.Tenant, p.Config.Tenant),
			Assignee: route.Assignee, ReadOnly: route.ReadOnly, Tasks: route.Text == "task"})
	}
	return r
}

// chatBoards opens the boards of a chat: those this process holds as they are,
// the others through whoever holds them. A board the profile may not open is not
// there.
type chatBoards struct {
	part *chatPart

	mu     sync.Mutex
	dialed map[string]*api.Client
}

func (b *chatBoards) open(ctx context.Context, slug string) (api.Board, error) {
	if !b.part.profile().MayOpen(slug) {
		return nil, hiddenBoard(slug)
	}
	if held := b.part.held(slug); held != nil {
		return held, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.dialed[slug]; c != nil {
		if _, err := c.Info(ctx); err == nil {
			return c, nil
		}
		c.Close()
		delete(b.dialed, slug)
	}
	c, err := b.dial(ctx, slug)
	if err != nil {
		return nil, err
	}
	b.dialed[slug] = c
	return c, nil
}

func (b *chatBoards) dial(ctx context.Context, slug string) (*api.Client, error) {
	entries, err := b.part.home.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Slug == slug && e.Holder != nil && e.Holder.Socket != "" {
			c, err := api.Dial(ctx, e.Holder.Socket, version())
			if err == nil || !errors.Is(err, api.ErrNoOwner) {
				return c, err
			}
		}
	}
	return nil, &api.Error{Code: api.CodeBusy, Message: fmt.Sprintf("board %s is starting; try again", slug)}
}

func (b *chatBoards) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.dialed {
		c.Close()
	}
	clear(b.dialed)
}
