package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
)

const (
	chatAgain  = time.Minute // after which a chat that ended by itself is tried again
	tokenEvery = time.Second // how often a token is asked for that another has, and looked after when it is ours
)

// bot is the right to speak with a profile's bot: one process of the host has
// it, others of the profile wait for it.
type bot struct {
	claim  func() (*profile.TokenLock, error)
	log    zerolog.Logger
	lock   atomic.Pointer[profile.TokenLock] // nil = another process has it
	waited bool                              // that it is waited for was said
}

// claimBot makes this process the only one that uses the profile's bot, and
// says so if it has none, which is nil. It waits for the bot where another
// gateway of the profile in this home has it, and where it stands by.
func (p *gatewayProfile) claimBot(log zerolog.Logger, standby bool) (*bot, error) {
	name := p.Config.Telegram.TokenName()
	token, ok := p.secrets.Get(name)
	if !ok || token.IsZero() {
		log.Info().Str("profile", p.Name).Msg("no chat: " + name + " is not set")
		return nil, nil
	}
	if len(p.Config.Telegram.Allow) == 0 {
		return nil, &boards.Rejection{Code: "nobody_allowed", Detail: "profile " + p.Name + " has a bot, but telegram.allow names nobody who may use it",
			Hint: `name somebody: hermes -p ` + p.Name + ` config set telegram.allow '[{"id": "12345678", "role": "owner"}]'`}
	}
	b := &bot{log: log, claim: func() (*profile.TokenLock, error) {
		dir, err := openShared(p.getenv, "tokens", false)
		if err != nil {
			return nil, fmt.Errorf("token locks: %w", err)
		}
		c := profile.TokenClaim{Dir: dir, Profile: p.Name, Platform: "Telegram", Token: token, Foreign: profile.ForeignLocks(p.getenv)}
		for _, o := range othersShared(p.getenv, "tokens") {
			c.Others = append(c.Others, o.Dir)
		}
		return profile.LockToken(c)
	}}
	err := b.take()
	var taken *profile.TokenTakenError
	switch {
	case errors.As(err, &taken) && taken.Profile == p.Name && (standby || gatewayAlive(p.home, taken.PID)):
		return b, nil
	case errors.As(err, &taken):
		return nil, &boards.Rejection{Code: "token_in_use", Detail: taken.Error(), Hint: "one bot serves one gateway: make another with @BotFather, or stop that gateway"}
	}
	return b, nil // other trouble is said when it is asked for again; the boards need not wait
}

// take asks for the bot once.
func (b *bot) take() error {
	lock, err := b.claim()
	b.lock.Store(lock)
	var taken *profile.TokenTakenError
	if errors.As(err, &taken) && !b.waited {
		b.waited = true
		b.log.Info().Int("holder", taken.PID).Msg("no chat while another gateway has the bot")
	}
	return err
}

// release lets the bot go to whoever waits for it.
func (b *bot) release() {
	if b == nil {
		return
	}
	if lock := b.lock.Swap(nil); lock != nil {
		lock.Release()
	}
}

// keep runs a chat whenever this process has the bot, until ctx ends. Trouble
// with it is no reason to let go of the boards.
func (b *bot) keep(ctx context.Context, run func(context.Context) error, warn func(error)) {
	said := ""
	for ctx.Err() == nil {
		if b.lock.Load() == nil {
			var taken *profile.TokenTakenError
			if err := b.take(); err != nil {
				if !errors.As(err, &taken) && err.Error() != said {
					said = err.Error()
					warn(fmt.Errorf("chat: %w", err))
				}
				pause(ctx, tokenEvery)
				continue
			}
		}
		said = ""
		b.log.Info().Msg("chat up")
		err := b.whileHeld(ctx, run)
		switch {
		case ctx.Err() != nil:
		case !b.mine():
			b.lock.Store(nil)
			b.waited = false
			b.log.Warn().Msg("chat down: this process has lost the bot") // it was stopped for a while
		default:
			if err != nil {
				warn(fmt.Errorf("chat: %w", err))
			}
			pause(ctx, chatAgain)
		}
	}
}

// whileHeld runs a chat until ctx ends or the bot is lost. A process that was
// stopped by a signal for a while loses it.
func (b *bot) whileHeld(ctx context.Context, run func(context.Context) error) error {
	ctx, lose := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for ctx.Err() == nil {
			if !b.mine() {
				lose()
			}
			pause(ctx, tokenEvery)
		}
	}()
	err := run(ctx)
	lose()
	<-watched
	return err
}

// mine reports whether this process may ask for the bot's updates at the moment.
func (b *bot) mine() bool {
	lock := b.lock.Load()
	return lock != nil && lock.Held()
}
