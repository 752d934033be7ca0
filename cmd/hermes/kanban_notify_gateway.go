package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hermesboard/hermes/agents/cron"
	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/agents/notify/webhook"
	"github.com/hermesboard/hermes/agents/profile"
)

// teller is what a gateway tells with, for all its boards alike.
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
	if len(t.opts.Platforms) == 0 {
		return nil
	}
	opts := t.opts
	opts.Warn = warn
	return notify.New(b, opts)
}

// tellOf tells what happens on a board until ctx ends, as the profile is
// configured. Trouble with telling is no reason to let go of a board.
func (g *gateway) tellOf(ctx context.Context, s *service) {
	warn := func(err error) { g.warn(s.held.Slug(), err) }
	g.as.follow(ctx, sameVoice, func(ctx context.Context, as *setup) {
		n := as.voice.teller.notifier(s.owner, warn)
		s.told.begin(n)
		for n != nil && ctx.Err() == nil {
			if err := n.Run(ctx); err != nil && ctx.Err() == nil {
				warn(fmt.Errorf("notifier: %w", err))
				pause(ctx, time.Minute)
			}
		}
	})
}

// tally counts what the notifiers of a board did, one after another.
type tally struct {
	mu     sync.Mutex
	now    *notify.Notifier // nil = there is none
	before notify.Counts    // of those before it
}

// begin counts what a notifier does from now on.
func (t *tally) begin(n *notify.Notifier) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now != nil {
		t.before = t.before.Plus(t.now.Counts())
	}
	t.now = n
}

func (t *tally) counts() notify.Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == nil {
		return t.before
	}
	return t.before.Plus(t.now.Counts())
}

// errands are what a gateway does beside holding boards, until ctx ends:
// schedules, the digest, health and metrics.
func (g *gateway) errands(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	schedules := &cron.Runner{Dir: filepath.Join(g.as.Dir, "cron"), Warn: g.warnAll, Board: func(slug string) (cron.Board, bool) {
		b := g.heldBoard(slug)
		return b, b != nil
	}}
	all.Go(func() { schedules.Run(ctx) })
	all.Go(func() { g.as.follow(ctx, sameVoice, g.digest) })
	all.Go(func() { g.as.follow(ctx, sameListen, g.monitor) })
}

// monitor serves health and metrics where the profile says.
func (g *gateway) monitor(ctx context.Context, as *setup) {
	address, said := as.Config.Gateway.Listen, ""
	defer g.deaf.Store(nil)
	for address != "" && ctx.Err() == nil {
		l, err := listenLocal(address)
		if err == nil {
			g.deaf.Store(nil)
			m := &monitor{since: g.since, boards: g.samples, chat: g.chat.Counts}
			err = m.Serve(ctx, l)
		}
		if err != nil && ctx.Err() == nil {
			if err.Error() != said {
				said = err.Error()
				err = fmt.Errorf("health and metrics: %w", err)
				g.deaf.Store(&trouble{err, time.Now()})
				g.warnAll(err)
			}
			pause(ctx, lookEvery)
		}
	}
}

// sorted returns the boards that are held, by name.
func (g *gateway) sorted() []*service {
	list := g.held()
	slices.SortFunc(list, func(a, b *service) int { return strings.Compare(a.held.Slug(), b.held.Slug()) })
	return list
}

func (g *gateway) samples(ctx context.Context) (list []sample) {
	for _, s := range g.sorted() {
		list = append(list, s.sample(ctx, s.told.counts()))
	}
	return list
}
