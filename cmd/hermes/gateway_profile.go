package main

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards/registry"
)

// gatewayProfile is the profile a gateway serves: which boards are its, and
// with whom it speaks. It is read again while the gateway runs.
type gatewayProfile struct {
	*profile.Profile // as it was at the start; its name and folder stay
	home             *registry.Home
	getenv           func(string) string
	standby          bool // another gateway may have the profile's bot
	out              *profile.Redactor
	hidden           []profile.Secret // all that there ever were since the start
	log              zerolog.Logger

	latest  atomic.Pointer[setup]
	ignored atomic.Pointer[trouble] // why latest is not what the files say; nil = it is
}

// setup is a profile as it was configured at one moment. It does not change.
type setup struct {
	*profile.Profile
	voice    *voice        // the same as before if nothing of it was configured otherwise
	outdated chan struct{} // closed when there is a newer one
}

// trouble is what is wrong, and since when.
type trouble struct {
	err   error
	since time.Time
}

func (x *call) openGatewayProfile(home *registry.Home) (*gatewayProfile, error) {
	p, err := x.profile(home)
	if err != nil {
		return nil, err
	}
	as := &gatewayProfile{Profile: p, home: home, getenv: x.Getenv, standby: x.flag("standby"), out: profile.NewRedactor(x.Stderr)}
	as.log = logger(as.out, x.Terminal)
	secrets, err := profile.LoadSecrets(p.Dir)
	if err != nil {
		return nil, err
	}
	as.hide(secrets)
	v, err := as.newVoice(p, secrets, nil)
	if err != nil {
		return nil, err
	}
	as.latest.Store(&setup{p, v, make(chan struct{})})
	return as, nil
}

// logger writes what the gateway says.
func logger(out *profile.Redactor, terminal bool) zerolog.Logger {
	log := zerolog.New(out)
	if terminal {
		log = log.Output(zerolog.ConsoleWriter{Out: out, TimeFormat: "15:04:05"})
	}
	return log.With().Timestamp().Int("pid", os.Getpid()).Logger()
}

// hide keeps secrets out of what the gateway says, from now on.
func (p *gatewayProfile) hide(secrets *profile.Secrets) {
	for _, name := range secrets.Names() {
		if s, ok := secrets.Get(name); ok && !slices.Contains(p.hidden, s) {
			p.hidden = append(p.hidden, s)
		}
	}
	p.out.Hide(slices.Clone(p.hidden)...)
}

// touched is when something was changed last that says how the profile is
// configured, or which boards are its.
func (p *gatewayProfile) touched() time.Time {
	home := p.home.Dir()
	at := later(modified(filepath.Join(home, "boards")), later(modified(filepath.Join(p.Dir, profile.ConfigFile)), modified(filepath.Join(p.Dir, profile.SecretsFile))))
	if !p.latest.Load().MayOpenAll() {
		return at
	}
	names, _ := profile.List(home) // its boards are those that no other names
	for _, name := range names {
		at = later(at, modified(filepath.Join(profile.Dir(home, name), profile.ConfigFile)))
	}
	return at
}

// reload reads the profile again. What cannot be read, or be done, leaves
// things as they were, and is said once.
func (p *gatewayProfile) reload() {
	before := p.latest.Load()
	err := p.read(before)
	old := p.ignored.Load()
	switch {
	case err == nil:
		p.ignored.Store(nil)
	case old == nil || old.err.Error() != err.Error():
		p.ignored.Store(&trouble{err, time.Now()})
		p.log.Warn().Err(err).Msg("the configuration is not followed as it is now")
	}
}

// read follows the files as far as it can: which boards are the profile's also
// where nobody can be told anything as it is said there.
func (p *gatewayProfile) read(before *setup) error {
	now, err := profile.Load(p.home.Dir(), p.Name)
	if err != nil {
		return err
	}
	v := before.voice
	secrets, err := profile.LoadSecrets(p.Dir)
	if err == nil && !v.madeOf(now, secrets) {
		p.hide(secrets)
		if v, err = p.newVoice(now, secrets, before.voice); err != nil {
			v = before.voice
		}
	}
	if v != before.voice || !reflect.DeepEqual(now.Config, before.Config) {
		p.latest.Store(&setup{now, v, make(chan struct{})})
		close(before.outdated)
	}
	return err
}

// holds tells which boards the profile's gateway is to hold.
func (p *gatewayProfile) holds() func(slug string) bool { return p.latest.Load().Holds(p.home.Dir()) }

// follow runs f as the profile is set up until ctx ends, and again each time
// that is not the same any more.
func (p *gatewayProfile) follow(ctx context.Context, same func(a, b *setup) bool, f func(ctx context.Context, as *setup)) {
	for ctx.Err() == nil {
		as := p.latest.Load()
		during, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { defer close(done); f(during, as) }()
		for now := as; ctx.Err() == nil && same(as, now); now = p.latest.Load() {
			select {
			case <-now.outdated:
			case <-ctx.Done():
			}
		}
		stop()
		<-done
	}
}

func sameVoice(a, b *setup) bool  { return a.voice == b.voice }
func sameListen(a, b *setup) bool { return a.Config.Gateway.Listen == b.Config.Gateway.Listen }

// gatewayLog is where a gateway of a profile that runs in the background writes.
func gatewayLog(home *registry.Home, name string) string {
	return filepath.Join(profile.Dir(home.Dir(), name), "logs", "gateway.log")
}
