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
	"github.com/hermesboard/hermes/agents/chat/telegram"
	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

// chatRate is how much a chat may ask in a minute, unless the profile says so.
const chatRate = 60

// chatWires are what a profile's chat is made of.
type chatWires struct {
	Profile *profile.Profile
	Secrets *profile.Secrets
	Home    *registry.Home
	Held    func(slug string) api.Board // a board this process holds; nil = it does not
	Warn    func(error)
}

// chatPart is the chat of a gateway: the bot, and the way notices go through it.
type chatPart struct {
	*chat.Chat
	Sender notify.Platform // for the notifiers, under "telegram"
	boards *chatBoards
}

// newChat makes the chat of a profile that has a bot. It talks to nobody before
// Run.
func newChat(w chatWires) (*chatPart, error) {
	c := &w.Profile.Config
	token, ok := w.Secrets.Get(c.Telegram.TokenName())
	if !ok || token.IsZero() {
		return nil, fmt.Errorf("%s is not set", c.Telegram.TokenName())
	}
	o := telegram.Options{Token: token.Reveal(), Server: c.Telegram.Server, Warn: w.Warn}
	if h := c.Telegram.Webhook; h != nil {
		secret, ok := w.Secrets.Get(h.Secret)
		if !ok || secret.IsZero() {
			return nil, fmt.Errorf("telegram.webhook: %s is not set", h.Secret)
		}
		o.Webhook = &telegram.Webhook{URL: h.URL, Listen: h.Listen, Secret: secret.Reveal()}
	}
	bot, err := telegram.New(o)
	if err != nil {
		return nil, err
	}
	zone := time.Local
	if c.Chat.TimeZone != "" {
		if zone, err = time.LoadLocation(c.Chat.TimeZone); err != nil {
			return nil, err
		}
	}
	people, err := chatPeople(c.Telegram.Allow)
	if err != nil {
		return nil, err
	}
	part := &chatPart{boards: &chatBoards{wires: &w, dialed: make(map[string]*api.Client)}}
	artifact := func(slug string, d events.Digest) (io.ReadCloser, error) {
		return registry.OpenArtifacts(w.Home.Paths(slug).Artifacts).Open(d)
	}
	part.Chat, err = chat.New(chat.Options{Platform: bot, Exec: chatExec, Board: part.boards.open, Rules: chatRules(w.Profile, homeBoard(w.Profile, w.Home)),
		Allow: people, Pairs: chat.OpenPairs(w.Profile.Dir, bot.Name()), Zone: zone, PerMinute: cmp.Or(c.Chat.RatePerMin, chatRate), Artifact: artifact, Warn: w.Warn})
	if err != nil {
		return nil, err
	}
	part.Sender = notify.Platform{Sender: &chat.Notices{Platform: bot, Open: artifact, Warn: w.Warn}}
	return part, nil
}

// Run works until ctx ends.
func (p *chatPart) Run(ctx context.Context) error {
	defer p.boards.close()
	return p.Chat.Run(ctx)
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
	wires *chatWires

	mu     sync.Mutex
	dialed map[string]*api.Client
}

func (b *chatBoards) open(ctx context.Context, slug string) (api.Board, error) {
	if !b.wires.Profile.MayOpen(slug) {
		return nil, hiddenBoard(slug)
	}
	if held := b.wires.Held(slug); held != nil {
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
	entries, err := b.wires.Home.List(ctx)
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
