package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/cron"
	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/agents/notify/webhook"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards/registry"
)

// teller is what a gateway tells with, for all its boards alike. A nil one
// tells nobody.
type teller struct {
	opts   notify.Options
	digest notify.Clock // negative = none
}

// newTeller reads what the profile's configuration says. chats are the
// platforms it has beside webhooks.
func newTeller(p *profile.Profile, secrets *profile.Secrets, chats map[string]notify.Platform) (*teller, error) {
	c := &p.Config.Chat
	t := &teller{digest: -1, opts: notify.Options{Platforms: map[string]notify.Platform{}, Zone: time.Local}}
	var err error
	if t.opts.Quiet, err = notify.ParseHours(c.QuietHours); err != nil {
		return nil, fmt.Errorf("chat.quiet_hours: %w", err)
	}
	if c.Digest != "" {
		if t.digest, err = notify.ParseClock(c.Digest); err != nil {
			return nil, fmt.Errorf("chat.digest: %w", err)
		}
	}
	if c.Reminder != "" {
		if t.opts.Reminder, err = parseDuration(c.Reminder); err != nil {
			return nil, fmt.Errorf("chat.reminder: %w", err)
		}
	}
	if c.TimeZone != "" {
		if t.opts.Zone, err = time.LoadLocation(c.TimeZone); err != nil {
			return nil, fmt.Errorf("chat.time_zone: %q is not a time zone (want for example Europe/Berlin)", c.TimeZone)
		}
	}
	for name, chat := range chats {
		t.opts.Platforms[name] = chat
	}
	if len(p.Config.Webhooks) > 0 {
		sink, err := newSink(p.Config.Webhooks, secrets)
		if err != nil {
			return nil, err
		}
		t.opts.Platforms["webhook"] = notify.Platform{Sender: sink, Each: true}
	}
	return t, nil
}

// newSink finds the secrets that webhooks are signed with.
func newSink(hooks []profile.Webhook, secrets *profile.Secrets) (*webhook.Sink, error) {
	var targets []webhook.Target
	for _, h := range hooks {
		secret, ok := secrets.Get(h.Secret)
		if !ok {
			return nil, fmt.Errorf("webhook %s: there is no secret %s in the profile's %s", h.Name, h.Secret, profile.SecretsFile)
		}
		targets = append(targets, webhook.Target{Name: h.Name, URL: h.URL, Secret: secret})
	}
	return webhook.New(targets)
}

// notifier returns what tells of one board; nil = nobody is told.
func (t *teller) notifier(b notify.Board, warn func(error)) *notify.Notifier {
	if t == nil || len(t.opts.Platforms) == 0 {
		return nil
	}
	opts := t.opts
	opts.Warn = warn
	return notify.New(b, opts)
}

// keepTelling runs a notifier until ctx ends. Trouble with telling is no reason
// to let go of a board.
func keepTelling(ctx context.Context, n *notify.Notifier, warn func(error)) {
	for n != nil && ctx.Err() == nil {
		if err := n.Run(ctx); err != nil && ctx.Err() == nil {
			warn(fmt.Errorf("notifier: %w", err))
			pause(ctx, time.Minute)
		}
	}
}

// toldSoFar are the counts of a notifier that may be nil.
func toldSoFar(n *notify.Notifier) notify.Counts {
	if n == nil {
		return notify.Counts{}
	}
	return n.Counts()
}

// errands is what a gateway does beside holding boards: schedules, the digest,
// health and metrics.
type errands struct {
	profile *profile.Profile
	home    *registry.Home
	teller  *teller
	held    func() []*service // in any order
	told    func(*service) notify.Counts
	chat    func() *chat.Counts // nil = there is no chat
	warn    func(slug string, err error)
}

// run does them until ctx ends.
func (e *errands) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	warn := func(err error) { e.warn("", err) }
	schedules := &cron.Runner{Dir: filepath.Join(e.profile.Dir, "cron"), Warn: warn, Board: e.board}
	all.Go(func() { schedules.Run(ctx) })
	if e.teller != nil && e.teller.digest >= 0 {
		d := &notify.Digester{At: e.teller.digest, Zone: e.teller.opts.Zone, Platforms: e.teller.opts.Platforms, Boards: e.boards, Warn: warn}
		if e.profile.MayOpenAll() {
			d.Gateways = func() (up, all int) {
				up, all, err := countGateways(ctx, e.home)
				if err != nil {
					warn(err)
				}
				return up, all
			}
		}
		all.Go(func() { d.Run(ctx) })
	}
	if address := e.profile.Config.Gateway.Listen; address != "" {
		l, err := listenLocal(address)
		if err != nil {
			warn(err)
			return
		}
		m := &monitor{since: time.Now(), boards: e.samples, chat: e.chat}
		all.Go(func() {
			if err := m.Serve(ctx, l); err != nil {
				warn(fmt.Errorf("health and metrics: %w", err))
			}
		})
	}
}

// board finds a board that is held.
func (e *errands) board(slug string) (cron.Board, bool) {
	for _, s := range e.held() {
		if s.held.Slug() == slug {
			return s.owner, true
		}
	}
	return nil, false
}

// sorted returns the boards that are held, by name.
func (e *errands) sorted() []*service {
	list := e.held()
	slices.SortFunc(list, func(a, b *service) int { return strings.Compare(a.held.Slug(), b.held.Slug()) })
	return list
}

func (e *errands) boards(context.Context) (list []notify.Board, err error) {
	for _, s := range e.sorted() {
		list = append(list, s.owner)
	}
	return list, nil
}

func (e *errands) samples(ctx context.Context) (list []sample) {
	for _, s := range e.sorted() {
		list = append(list, s.sample(ctx, e.told(s)))
	}
	return list
}
