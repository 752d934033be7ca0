package main

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/chat/telegram"
	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
)

// voice is what a gateway speaks with to people and programs, as a profile was
// configured. Its bot may be that of the voice before.
type voice struct {
	as      *profile.Profile
	secrets *profile.Secrets
	bot     *bot // nil = the profile has none
	teller  *teller
}

// madeOf reports whether a voice is what a configuration makes of it.
func (v *voice) madeOf(as *profile.Profile, secrets *profile.Secrets) bool {
	a, b := &v.as.Config, &as.Config
	return reflect.DeepEqual(a.Chat, b.Chat) && reflect.DeepEqual(a.Telegram, b.Telegram) && slices.Equal(a.Webhooks, b.Webhooks) &&
		slices.Equal(a.Boards, b.Boards) && a.Board == b.Board && a.Tenant == b.Tenant && reflect.DeepEqual(v.secrets, secrets)
}

// newVoice makes a voice; before is the one that is replaced, or nil. It speaks
// with nobody yet.
func (p *gatewayProfile) newVoice(as *profile.Profile, secrets *profile.Secrets, before *voice) (*voice, error) {
	v := &voice{as: as, secrets: secrets}
	chats := make(map[string]notify.Platform)
	key, err := botOf(as, secrets)
	if err != nil {
		return nil, err
	}
	if key != (botKey{}) {
		if v.bot = before.botAs(key); v.bot == nil {
			if v.bot, err = p.newBot(key); err != nil {
				return nil, err
			}
		}
		opts, err := chatOptions(as, p.home, v.bot.driver)
		if err == nil {
			_, err = chat.New(opts)
		}
		if err != nil {
			return nil, err
		}
		chats["telegram"] = notify.Platform{Sender: &chat.Notices{Platform: v.bot.driver, Open: opts.Artifact,
			Warn: func(err error) { p.log.Warn().Err(err).Send() }, Zone: opts.Zone}}
	}
	v.teller, err = newTeller(as, secrets, chats)
	return v, err
}

// botKey is what makes a bot another. The zero value is none.
type botKey struct{ token, server, url, listen, secret string }

// botOf reads which bot a profile has.
func botOf(as *profile.Profile, secrets *profile.Secrets) (key botKey, err error) {
	c := &as.Config.Telegram
	token, ok := secrets.Get(c.TokenName())
	if !ok || token.IsZero() {
		return botKey{}, nil
	}
	if len(c.Allow) == 0 {
		return botKey{}, &boards.Rejection{Code: "nobody_allowed", Detail: "profile " + as.Name + " has a bot, but telegram.allow names nobody who may use it",
			Hint: `name somebody: hermes -p ` + as.Name + ` config set telegram.allow '[{"id": "12345678", "role": "owner"}]'`}
	}
	key = botKey{token: token.Reveal(), server: c.Server}
	if h := c.Webhook; h != nil {
		secret, ok := secrets.Get(h.Secret)
		if !ok || secret.IsZero() {
			return botKey{}, fmt.Errorf("telegram.webhook: %s is not set", h.Secret)
		}
		key.url, key.listen, key.secret = h.URL, h.Listen, secret.Reveal()
	}
	return key, nil
}

// botAs is the bot of a voice if it is that one.
func (v *voice) botAs(key botKey) *bot {
	if v == nil || v.bot == nil || v.bot.key != key {
		return nil
	}
	return v.bot
}

// newBot makes a bot. It is not claimed yet.
func (p *gatewayProfile) newBot(key botKey) (b *bot, err error) {
	b = &bot{key: key, log: p.log, claim: func() (*profile.TokenLock, error) {
		dir, err := openShared(p.getenv, "tokens", false)
		if err != nil {
			return nil, fmt.Errorf("token locks: %w", err)
		}
		c := profile.TokenClaim{Dir: dir, Profile: p.Name, Platform: "Telegram", Token: profile.NewSecret(key.token), Foreign: profile.ForeignLocks(p.getenv)}
		for _, o := range othersShared(p.getenv, "tokens") {
			c.Others = append(c.Others, o.Dir)
		}
		return profile.LockToken(c)
	}}
	o := telegram.Options{Token: key.token, Server: key.server, Mine: b.mine, Warn: func(err error) { p.log.Warn().Err(err).Send() }}
	if key.url != "" || key.listen != "" {
		o.Webhook = &telegram.Webhook{URL: key.url, Listen: key.listen, Secret: key.secret}
	}
	b.driver, err = telegram.New(o)
	return b, err
}
