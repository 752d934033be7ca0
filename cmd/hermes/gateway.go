package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards/api"
)

// stopWithin is how long a gateway that was told to end may take, and how long
// agents have to leave by themselves when their runs are stopped with it.
const stopWithin = 10 * time.Second

// stopRuns is the signal that ends a gateway and its runs; it is sent by
// hermes gateway stop --now. Two interrupts mean the same, but may merge into
// one on their way.
const stopRuns = syscall.SIGUSR1

func gatewayCommand(env Env) *cli.Command {
	flags := []cli.Flag{list("only", "", "hold only these boards; again for several"), str("backend", "", "sandbox of agents that name none (default bubblewrap)")}
	standby := flag("standby", "", "although one runs here: wait, and take over when it ends")
	return noun(env, "gateway", "the process that holds boards and starts their runs",
		verb(env, "run", "", "hold the boards of this home in the foreground", `
SIGTERM ends it at once and leaves open runs to go on by themselves. The first
^C (SIGINT) ends it when the open runs have finished, the second stops them;
their tasks go on with the next gateway.`, append(slices.Clone(flags), standby), runGateway),
		verb(env, "start", "", "start a gateway in the background", "", append(slices.Clone(flags), standby), startGateway),
		verb(env, "stop", "", "stop it when its runs have finished", "", []cli.Flag{flag("now", "", "stop its runs; their tasks go on later"), flag("detach", "", "leave its runs running")}, stopGateway),
		verb(env, "restart", "", "replace it; runs go on", "", flags, restartGateway),
		verb(env, "status", "", "say whether it runs and what it holds", "", nil, gatewayStatus),
		gatewayLogsVerb(env), gatewayInstallVerb(env), gatewayUninstallVerb(env),
	)
}

// gateway holds boards, one service each. Boards that others hold it waits for.
type gateway struct {
	*host
	as    *gatewayProfile
	only  []string
	log   zerolog.Logger
	chat  *chatPart
	since time.Time
	deaf  atomic.Pointer[trouble] // why health and metrics are not served as configured; nil = they are
	freed chan struct{}           // says that one of kept was dropped

	noOperator string // why the operator cannot be let in, as it was said last

	mu       sync.Mutex
	kept     map[string]context.CancelFunc // boards it holds or waits for; each lets go of it
	services map[string]*service           // of the boards it holds
}

func runGateway(ctx context.Context, x *call) error {
	// From here on a signal ends the gateway in good order, however early it comes.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, stopRuns)
	defer signal.Stop(signals)
	deafen(syscall.SIGPIPE, syscall.SIGXFSZ) // both are errors of the write as well

	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	as, err := x.openGatewayProfile(home)
	if err != nil {
		return err
	}
	if err := unrivalled(home, x.enlisted(home), x.flag("standby")); err != nil {
		return err
	}
	if err := as.claimBot(); err != nil {
		return err
	}
	defer func() { as.latest.Load().voice.bot.release() }()
	h, err := newHost(x.Env, home, as.Name, x.str("backend"), func(slug string, err error) {
		e := as.log.Warn().Err(err)
		if slug != "" {
			e = e.Str("board", slug)
		}
		e.Send()
	})
	if err != nil {
		return err
	}
	defer h.close()
	g := &gateway{host: h, as: as, only: x.list("only"), log: as.log, kept: make(map[string]context.CancelFunc), services: make(map[string]*service),
		freed: make(chan struct{}, 1), since: time.Now()}
	g.chat = &chatPart{home: home, profile: func() *profile.Profile { return as.latest.Load().Profile }, held: g.heldBoard, warn: g.warnAll}
	h.tell = g.tellOf
	known, err := enlist(home, x.enlisted(home), x.flag("standby")) // last: whoever starts it takes that for up
	if err != nil {
		return err
	}
	defer known.withdraw()
	return g.run(ctx, signals, known)
}

// warnAll says what is wrong with no board in particular.
func (g *gateway) warnAll(err error) { g.warn("", err) }

// deafen makes signals do nothing to this process. They are not ignored, which
// the programs it starts would inherit.
func deafen(sigs ...os.Signal) { signal.Notify(make(chan os.Signal, 1), sigs...) }

// run holds boards until a signal ends it.
func (g *gateway) run(ctx context.Context, signals <-chan os.Signal, known *enlistment) error {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	taking, settle := context.WithCancel(serving) // ends first: no board is taken any more
	defer settle()
	done := make(chan struct{})
	go func() { g.hold(taking, serving); close(done) }()
	var aside sync.WaitGroup
	aside.Go(func() { g.as.follow(serving, sameVoice, g.converse) })
	aside.Go(func() { g.errands(serving) })
	aside.Go(func() { known.report(serving, g.state) })
	g.log.Info().Str("home", g.home.Dir()).Str("version", version()).Msg("gateway up")

	select {
	case sig := <-signals:
		settle()
		g.obey(sig, signals, done)
	case <-ctx.Done():
	}
	stop()
	select {
	case <-done:
	case <-time.After(stopWithin - time.Second):
		return errors.New("some boards could not be closed in time")
	}
	aside.Wait()
	g.log.Info().Msg("gateway down")
	return nil
}

// converse receives what the profile's bot is told, whenever this process has
// it.
func (g *gateway) converse(ctx context.Context, as *setup) {
	b := as.voice.bot
	if b == nil {
		g.log.Info().Str("profile", as.Name).Msg("no chat: " + as.Config.Telegram.TokenName() + " is not set")
		return
	}
	b.keep(ctx, func(ctx context.Context) error { return g.chat.run(ctx, as.voice) }, g.warnAll)
	if g.as.latest.Load().voice.bot != b {
		b.release()
	}
}

// heldBoard is a board that this gateway holds, or nil.
func (g *gateway) heldBoard(slug string) api.Board {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.services[slug]; s != nil {
		return s.owner
	}
	return nil
}

// obey does what a signal wants done before the boards are let go. done is
// closed when none is held any more.
func (g *gateway) obey(sig os.Signal, signals <-chan os.Signal, done <-chan struct{}) {
	drained := false
	for {
		switch {
		case sig == stopRuns || sig == syscall.SIGINT && drained:
			g.releaseRuns(signals)
			return
		case sig != syscall.SIGINT:
			g.log.Info().Int("runs", g.openRuns()).Msg("ending; open runs go on by themselves")
			return
		}
		drained = true
		g.log.Info().Int("runs", g.openRuns()).Msg("ending when the open runs have finished; once more to stop them")
		for _, s := range g.held() {
			s.disp.Drain()
		}
		select {
		case <-done:
			return
		case sig = <-signals:
		}
	}
}

// releaseRuns stops the open runs of all boards at once. Another signal ends
// the wait for them.
func (g *gateway) releaseRuns(signals <-chan os.Signal) {
	g.log.Info().Int("runs", g.openRuns()).Msg("stopping the open runs; their tasks go on with the next gateway")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	released := make(chan struct{})
	go func() { // ends with cancel at the latest
		defer close(released)
		var all sync.WaitGroup
		for _, s := range g.held() {
			all.Go(func() {
				if err := s.releaseAll(ctx, gatewayPrincipal, stopWithin); err != nil {
					g.warn(s.held.Slug(), err)
				}
			})
		}
		all.Wait()
	}()
	select {
	case <-released:
	case <-signals:
		cancel()
		<-released
	}
}
