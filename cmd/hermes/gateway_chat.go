package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/hermesboard/hermes/agents/chat/telegram"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

const (
	chatAgain  = time.Minute // after which a chat that ended by itself is tried again
	tokenEvery = time.Second // how often a token is asked for that another has, and looked after when it is ours
)

// bot is a profile's bot, and the right to receive what it is told: one process
// of the host has that, others of the profile wait for it.
type bot struct {
	key    botKey
	driver *telegram.Driver
	claim  func() (*profile.TokenLock, error)
	log    zerolog.Logger
	lock   atomic.Pointer[profile.TokenLock] // nil = another process has it
	waited bool                              // that it is waited for was said
	down   atomic.Pointer[trouble]           // why nothing is received; nil = it is, or another process has the bot
}

// claimBot makes this process the only one that uses the profile's bot. It
// waits for the bot where another gateway of the profile in this home has it,
// and where it stands by.
func (p *gatewayProfile) claimBot() error {
	b := p.latest.Load().voice.bot
	if b == nil {
		return nil
	}
	err := b.take()
	var taken *profile.TokenTakenError
	if errors.As(err, &taken) && (taken.Profile != p.Name || !p.standby && !gatewayAlive(p.home, taken.PID)) {
		return &boards.Rejection{Code: "token_in_use", Detail: taken.Error(), Hint: "one bot serves one gateway: make another with @BotFather, or stop that gateway"}
	}
	return nil // other trouble is said when it is asked for again; the boards need not wait
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
			if err := b.take(); err != nil {
				if b.fails(err); err.Error() != said {
					said = err.Error()
					var taken *profile.TokenTakenError
					if !errors.As(err, &taken) {
						warn(fmt.Errorf("chat: %w", err))
					}
				}
				pause(ctx, tokenEvery)
				continue
			}
		}
		said = ""
		b.down.Store(nil)
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
				b.fails(err)
				warn(fmt.Errorf("chat: %w", err))
			}
			pause(ctx, chatAgain)
		}
	}
}

// fails notes why nothing is received, and since when.
func (b *bot) fails(err error) {
	if old := b.down.Load(); old == nil || old.err.Error() != err.Error() {
		b.down.Store(&trouble{err, time.Now()})
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

// The states of a gateway's chat.
const (
	chatUp      = "up"
	chatWaits   = "waits"   // another process has the bot
	chatRevoked = "revoked" // the platform does not take the bot's token
	chatDown    = "down"
)

// chatState is how a gateway's chat is doing.
type chatState struct {
	State string      `json:"state"`
	Since events.Time `json:"since,omitzero"` // of a trouble
	Why   string      `json:"why,omitzero"`
	Token string      `json:"token,omitzero"` // name of the secret that has the bot's token
}

// state says how a bot is doing; nil = there is none.
func (b *bot) state() *chatState {
	if b == nil {
		return nil
	}
	down := b.down.Load()
	var taken *profile.TokenTakenError
	switch since := b.driver.Revoked(); {
	case !since.IsZero():
		return &chatState{State: chatRevoked, Since: events.TimeOf(since), Why: "Telegram refuses the bot's token (401); it was revoked, or never was one"}
	case down != nil && errors.As(down.err, &taken), down == nil && b.lock.Load() == nil:
		s := &chatState{State: chatWaits}
		if down != nil {
			s.Since, s.Why = events.TimeOf(down.since), taken.Error()
		}
		return s
	case down != nil:
		return &chatState{State: chatDown, Since: events.TimeOf(down.since), Why: down.err.Error()}
	}
	return &chatState{State: chatUp}
}
