package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
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

// configEvery is how often it is looked whether a chat is configured otherwise.
const configEvery = time.Second

// chatWires are what a profile's chat is made of.
type chatWires struct {
	Profile func() *profile.Profile // as it is configured now
	Secrets *profile.Secrets
	Home    *registry.Home
	Held    func(slug string) api.Board // a board this process holds; nil = it does not
	Mine    func() bool                 // whether this process may ask for updates now; nil = always
	Warn    func(error)
}

// chatPart is the chat of a gateway: the bot, and the way notices go through it.
// Notices are sent also while another process receives the bot's updates.
type chatPart struct {
	Sender notify.Platform // for the notifiers, under "telegram"
	wires  chatWires
	bot    *telegram.Driver
	boards *chatBoards

	mu     sync.Mutex
	now    *chat.Chat  // that runs, or ran last; nil = none did
	before chat.Counts // of those before it
}

// newChat makes the chat of a profile that has a bot. It talks to nobody before
// Run.
func newChat(w chatWires) (*chatPart, error) {
	c := &w.Profile().Config
	token, ok := w.Secrets.Get(c.Telegram.TokenName())
	if !ok || token.IsZero() {
		return nil, fmt.Errorf("%s is not set", c.Telegram.TokenName())
	}
	o := telegram.Options{Token: token.Reveal(), Server: c.Telegram.Server, Mine: w.Mine, Warn: w.Warn}
	if h := c.Telegram.Webhook; h != nil {
		secret, ok := w.Secrets.Get(h.Secret)
		if !ok || secret.IsZero() {
			return nil, fmt.Errorf("telegram.webhook: %s is not set", h.Secret)
		}
		o.Webhook = &telegram.Webhook{URL: h.URL, Listen: h.Listen, Secret: secret.Reveal()}
	}
	p := &chatPart{wires: w}
	p.boards = &chatBoards{wires: &p.wires, dialed: make(map[string]*api.Client)}
	var err error
	if p.bot, err = telegram.New(o); err != nil {
		return nil, err
	}
	opts, err := p.options(w.Profile())
	if err == nil {
		_, err = chat.New(opts)
	}
	if err != nil {
		return nil, err
	}
	p.Sender = notify.Platform{Sender: &chat.Notices{Platform: p.bot, Open: p.artifact, Warn: w.Warn, Zone: opts.Zone}}
	return p, nil
}

// options are those of a chat as a profile is configured.
func (p *chatPart) options(as *profile.Profile) (o chat.Options, err error) {
	c := &as.Config
	o = chat.Options{Platform: p.bot, Exec: chatExec, Board: p.boards.open, Rules: chatRules(as, homeBoard(as, p.wires.Home)), Zone: time.Local,
		Pairs: chat.OpenPairs(as.Dir, p.bot.Name()), PerMinute: cmp.Or(c.Chat.RatePerMin, chatRate), Artifact: p.artifact, Warn: p.wires.Warn}
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

func (p *chatPart) artifact(slug string, d events.Digest) (io.ReadCloser, error) {
	return registry.OpenArtifacts(p.wires.Home.Paths(slug).Artifacts).Open(d)
}

// Run works until ctx ends, and may be called again then. Who may do what where
// follows the configuration.
func (p *chatPart) Run(ctx context.Context) error {
	defer p.boards.close()
	for ctx.Err() == nil {
		if again, err := p.runAs(ctx, p.wires.Profile()); !again {
			return err
		}
	}
	return nil
}

// runAs is Run until the configuration is another; then again is set.
func (p *chatPart) runAs(ctx context.Context, as *profile.Profile) (again bool, err error) {
	opts, err := p.options(as)
	if err != nil {
		return false, err
	}
	c, err := chat.New(opts)
	if err != nil {
		return false, err
	}
	p.mu.Lock()
	if p.now != nil {
		p.before = p.before.Plus(p.now.Counts())
	}
	p.now = c
	p.mu.Unlock()
	ctx, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for ctx.Err() == nil && !again {
			pause(ctx, configEvery)
			again = ctx.Err() == nil && chatDiffers(as, p.wires.Profile())
		}
		stop()
	}()
	err = c.Run(ctx)
	stop()
	<-watched
	return again, err
}

// chatDiffers reports whether two configurations of a profile say other things
// of its chat.
func chatDiffers(a, b *profile.Profile) bool {
	return a != b && !(reflect.DeepEqual(a.Config.Chat, b.Config.Chat) && reflect.DeepEqual(a.Config.Telegram.Allow, b.Config.Telegram.Allow) &&
		slices.Equal(a.Config.Boards, b.Config.Boards) && a.Config.Board == b.Config.Board && a.Config.Tenant == b.Config.Tenant)
}

// Counts are what the chats did since the gateway started.
func (p *chatPart) Counts() chat.Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil {
		return p.before
	}
	return p.before.Plus(p.now.Counts())
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
	if !b.wires.Profile().MayOpen(slug) {
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
