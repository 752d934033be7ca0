package main

import (
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards/registry"
)

// gatewayProfile is the profile a gateway serves: which boards are its, and
// its chat.
type gatewayProfile struct {
	*profile.Profile
	home    *registry.Home
	secrets *profile.Secrets
	getenv  func(string) string
	latest  atomic.Pointer[profile.Profile] // as it was read last
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
	as := &gatewayProfile{Profile: p, home: home, secrets: secrets, getenv: x.Getenv}
	as.latest.Store(p)
	return as, nil
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
// is read anew, so that a board is taken, or let go, without a restart; while it
// cannot be read, what was read before counts.
func (p *gatewayProfile) holds() func(slug string) bool {
	if now, err := profile.Load(p.home.Dir(), p.Name); err == nil {
		p.latest.Store(now)
	}
	return p.latest.Load().Holds(p.home.Dir())
}

// gatewayLog is where a gateway of a profile that runs in the background writes.
func gatewayLog(home *registry.Home, name string) string {
	return filepath.Join(profile.Dir(home.Dir(), name), "logs", "gateway.log")
}
