package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/registry"
)

// gatewayProfile is the profile a gateway serves: which boards are its, and
// its chat.
type gatewayProfile struct {
	*profile.Profile
	home    *registry.Home
	secrets *profile.Secrets
	getenv  func(string) string
	lock    *profile.TokenLock // of the bot's token; nil = it has none
}

func (x *call) openGatewayProfile(home *registry.Home) (*gatewayProfile, error) {
	p, err := x.profile(home)
	if err != nil {
		return nil, err
	}
	secrets, err := profile.LoadSecrets(p.Dir)
	if err != nil {
		return nil, err
	}
	return &gatewayProfile{Profile: p, home: home, secrets: secrets, getenv: x.Getenv}, nil
}

// logger writes what the gateway says, without the profile's secrets.
func (p *gatewayProfile) logger(env Env) zerolog.Logger {
	var hide []profile.Secret
	for _, name := range p.secrets.Names() {
		s, _ := p.secrets.Get(name)
		hide = append(hide, s)
	}
	out := profile.NewRedactor(env.Stderr, hide...)
	log := zerolog.New(out)
	if env.Terminal {
		log = log.Output(zerolog.ConsoleWriter{Out: out, TimeFormat: "15:04:05"})
	}
	return log.With().Timestamp().Int("pid", os.Getpid()).Logger()
}

// holds tells which boards the profile's gateway is to hold. The configuration
// is read anew, so that a board given to the profile is taken without a
// restart; while it cannot be read, what was read before counts.
func (p *gatewayProfile) holds() func(slug string) bool {
	now, err := profile.Load(p.home.Dir(), p.Name)
	if err != nil {
		now = p.Profile
	}
	return now.Holds(p.home.Dir())
}

// claimChat makes this process the only one that uses the profile's bot, and
// says so if it has none.
func (p *gatewayProfile) claimChat(log zerolog.Logger, standby bool) error {
	name := p.Config.Telegram.TokenName()
	token, ok := p.secrets.Get(name)
	if !ok || token.IsZero() {
		log.Info().Str("profile", p.Name).Msg("no chat: " + name + " is not set")
		return nil
	}
	if len(p.Config.Telegram.Allow) == 0 {
		return &boards.Rejection{Code: "nobody_allowed", Detail: "profile " + p.Name + " has a bot, but telegram.allow names nobody who may use it",
			Hint: `name somebody: hermes -p ` + p.Name + ` config set telegram.allow '[{"id": "12345678", "role": "owner"}]'`}
	}
	lock, err := profile.LockToken(profile.TokenClaim{RunDir: p.home.RunDir(), Profile: p.Name, Platform: "Telegram", Token: token, Foreign: profile.ForeignLocks(p.getenv)})
	var taken *profile.TokenTakenError
	switch {
	case errors.As(err, &taken) && standby && taken.Profile == p.Name:
		log.Info().Int("holder", taken.PID).Msg("no chat while another gateway of this profile has its bot")
		return nil
	case errors.As(err, &taken):
		return &boards.Rejection{Code: "token_in_use", Detail: taken.Error(), Hint: "one bot serves one gateway: make another with @BotFather, or stop that gateway"}
	case err != nil:
		return err
	}
	p.lock = lock
	return nil
}

func (p *gatewayProfile) close() {
	if p.lock != nil {
		p.lock.Release()
	}
}

// gatewayLog is where a gateway of a profile that runs in the background writes.
func gatewayLog(home *registry.Home, name string) string {
	return filepath.Join(profile.Dir(home.Dir(), name), "logs", "gateway.log")
}
