package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

const (
	lookEvery   = 5 * time.Second  // how often new boards, and boards freed by others, are looked for
	stopWithin  = 10 * time.Second // a gateway told to end is gone after so long
	gatewayFile = "gateway.pid"
)

func gatewayCommand(env Env) *cli.Command {
	only := list("only", "", "hold only these boards; again for several")
	backend := str("backend", "", "sandbox of agents that name none (default bubblewrap)")
	return noun(env, "gateway", "the process that holds boards and starts their runs",
		verb(env, "run", "", "hold the boards of this home in the foreground", `
The first SIGINT lets open runs finish, SIGTERM leaves them running and ends at
once, a second signal stops the runs; their tasks go on with the next gateway.`, []cli.Flag{only, backend}, runGateway),
		verb(env, "start", "", "start a gateway in the background", "", []cli.Flag{only, backend}, startGateway),
		verb(env, "stop", "", "stop it when its runs have finished", "", []cli.Flag{flag("now", "", "stop its runs; their tasks go on later"), flag("detach", "", "leave its runs running")}, stopGateway),
		verb(env, "restart", "", "replace it; runs go on", "", []cli.Flag{only, backend}, restartGateway),
		verb(env, "status", "", "say whether it runs and what it holds", "", nil, gatewayStatus),
	)
}

// gateway holds boards, one service each.
type gateway struct {
	*host
	only []string
	log  zerolog.Logger

	mu       sync.Mutex
	services map[string]*service
}

func runGateway(ctx context.Context, x *call) error {
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	profile, err := x.profileDir(home)
	if err != nil {
		return err
	}
	log := zerolog.New(x.Stderr).With().Timestamp().Logger()
	if x.Terminal {
		log = log.Output(zerolog.ConsoleWriter{Out: x.Stderr, TimeFormat: "15:04:05"})
	}
	pid, err := claimPidFile(filepath.Join(home.RunDir(), gatewayFile))
	if err != nil {
		return err
	}
	defer pid.Close()
	h, err := newHost(x.Env, home, profile, x.str("backend"), func(slug string, err error) { log.Warn().Str("board", slug).Err(err).Send() })
	if err != nil {
		return err
	}
	g := &gateway{host: h, only: x.list("only"), log: log, services: make(map[string]*service)}
	defer os.Truncate(pid.Name(), 0)
	return g.run(ctx)
}

// run holds boards until a signal ends it.
func (g *gateway) run(ctx context.Context) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	holding, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { g.hold(holding, &all) })
	g.log.Info().Str("home", g.home.Dir()).Str("version", version()).Int("pid", os.Getpid()).Msg("gateway up")

	done := make(chan struct{})
	go func() { all.Wait(); close(done) }() // ends with the boards
	select {
	case sig := <-signals:
		if sig == syscall.SIGINT {
			g.drain(signals)
		} else {
			g.log.Info().Int("runs", g.openRuns()).Msg("ending; open runs go on by themselves")
		}
	case <-ctx.Done():
	case <-done:
	}
	stop()
	select {
	case <-done:
	case <-time.After(stopWithin):
		return errors.New("some boards could not be closed in time")
	}
	g.log.Info().Msg("gateway down")
	return nil
}

// drain waits for the open runs to finish. Another signal stops them.
func (g *gateway) drain(signals <-chan os.Signal) {
	g.log.Info().Int("runs", g.openRuns()).Msg("ending when the open runs have finished; again to stop them now")
	for _, s := range g.held() {
		s.disp.Drain()
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for g.openRuns() > 0 {
		select {
		case <-tick.C:
		case <-signals:
			g.log.Info().Int("runs", g.openRuns()).Msg("stopping the open runs; their tasks go on with the next gateway")
			ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
			defer cancel()
			var all sync.WaitGroup
			for _, s := range g.held() {
				all.Go(func() {
					by := boards.Principal{Actor: events.Actor{Kind: events.Gateway, Name: "gateway"}}
					if err := s.releaseAll(ctx, by, stopWithin); err != nil {
						g.warn(s.held.Slug(), err)
					}
				})
			}
			all.Wait()
			return
		}
	}
}

// hold looks for boards to serve until ctx ends.
func (g *gateway) hold(ctx context.Context, all *sync.WaitGroup) {
	if _, err := g.home.Sweep(ctx); err != nil {
		g.warn("", err)
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	said := make(map[string]string)
	for {
		entries, err := g.home.List(ctx)
		if err != nil {
			g.warn("", err)
		}
		for _, e := range entries {
			if ctx.Err() == nil && g.wants(e) {
				if err := g.take(ctx, e.Slug, all); err != nil && said[e.Slug] != err.Error() {
					said[e.Slug] = err.Error()
					g.warn(e.Slug, err)
				}
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (g *gateway) wants(e registry.Entry) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return e.State != registry.Archived && g.services[e.Slug] == nil && (len(g.only) == 0 || slices.Contains(g.only, e.Slug))
}

// take holds a board and serves it in the background. A board that another
// process holds is no error: this gateway waits its turn.
func (g *gateway) take(ctx context.Context, slug string, all *sync.WaitGroup) error {
	opts := holdOptions(g.home)
	opts.Log.LongLived = true
	held, err := g.home.Hold(ctx, slug, 0, opts)
	var taken *registry.HeldError
	if errors.As(err, &taken) {
		return nil
	} else if err != nil {
		return err
	}
	s, err := g.open(held, false)
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.services[slug] = s
	g.mu.Unlock()
	g.log.Info().Str("board", slug).Int("open_runs", s.openRuns()).Msg("holding")
	all.Go(func() {
		if err := s.Run(ctx); err != nil {
			g.warn(slug, err)
		}
		g.mu.Lock()
		delete(g.services, slug)
		g.mu.Unlock()
	})
	return nil
}

func (g *gateway) held() []*service {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []*service
	for _, s := range g.services {
		out = append(out, s)
	}
	return out
}

func (g *gateway) openRuns() (n int) {
	for _, s := range g.held() {
		n += s.openRuns()
	}
	return n
}

// claimPidFile makes sure that one gateway runs in a home. The lock ends with the process.
func claimPidFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		// A second gateway of the same home may still hold boards that the
		// first is not to hold; that is what --only and other homes are for.
		return nil, &boards.Rejection{Code: "gateway_running", Detail: fmt.Sprintf("a gateway runs here already (PID %s)", pidIn(path)), Hint: "hermes gateway status"}
	}
	return f, errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid())))
}

func writeAt(f *os.File, s string) error { _, err := f.WriteAt([]byte(s), 0); return err }

func pidIn(path string) string {
	b, _ := os.ReadFile(path)
	return strings.TrimSpace(string(b))
}

// gatewayPID returns the pid of the running gateway of a home, 0 if none runs.
func gatewayPID(home *registry.Home) int {
	f, err := os.Open(filepath.Join(home.RunDir(), gatewayFile))
	if err != nil {
		return 0
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0
	}
	pid, _ := strconv.Atoi(pidIn(f.Name()))
	return pid
}

func startGateway(ctx context.Context, x *call) error {
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	if pid := gatewayPID(home); pid != 0 {
		return &boards.Rejection{Code: "gateway_running", Detail: fmt.Sprintf("a gateway runs here already (PID %d)", pid), Hint: "hermes gateway status"}
	}
	logs := filepath.Join(home.Dir(), "logs")
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(filepath.Join(logs, "gateway.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	program, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"gateway", "run", "--home", home.Dir()}
	if p := x.str("profile"); p != "" {
		args = append(args, "--profile", p)
	}
	if b := x.str("backend"); b != "" {
		args = append(args, "--backend", b)
	}
	for _, o := range x.list("only") {
		args = append(args, "--only", o)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, home.Dir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }() // ends with the gateway or with this process
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		select {
		case err := <-exited:
			return fmt.Errorf("the gateway ended at once (%v); see %s", err, out.Name())
		case <-time.After(20 * time.Millisecond):
		}
		if gatewayPID(home) == cmd.Process.Pid {
			x.say("gateway started (PID %d), log in %s", cmd.Process.Pid, out.Name())
			return nil
		}
	}
	return fmt.Errorf("the gateway (PID %d) has not come up; see %s", cmd.Process.Pid, out.Name())
}

func stopGateway(ctx context.Context, x *call) error {
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	pid := gatewayPID(home)
	if pid == 0 {
		x.say("no gateway runs here")
		return nil
	}
	sig := syscall.SIGINT
	if x.flag("detach") {
		sig = syscall.SIGTERM
	}
	if err := syscall.Kill(pid, sig); err != nil {
		return err
	}
	if !x.flag("now") {
		x.say("gateway %d ends when its runs have finished", pid)
	}
	return awaitGatewayEnd(ctx, x, home, pid, x.flag("now"))
}

func awaitGatewayEnd(ctx context.Context, x *call, home *registry.Home, pid int, now bool) error {
	for again := now; gatewayPID(home) == pid; again = false {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		if again {
			if err := syscall.Kill(pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
	}
	x.say("gateway %d has ended", pid)
	return nil
}

func restartGateway(ctx context.Context, x *call) error {
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	if pid := gatewayPID(home); pid != 0 {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			return err
		}
		if err := awaitGatewayEnd(ctx, x, home, pid, false); err != nil {
			return err
		}
	}
	return startGateway(ctx, x)
}

func gatewayStatus(ctx context.Context, x *call) error {
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	pid := gatewayPID(home)
	type boardRow struct {
		Board      string      `json:"board"`
		State      string      `json:"state"`
		PID        int         `json:"pid,omitzero"`
		Dispatcher bool        `json:"dispatcher"`
		Since      events.Time `json:"since,omitzero"`
		LastTick   events.Time `json:"last_tick,omitzero"`
		OpenRuns   int         `json:"open_runs"`
	}
	rows := []boardRow{}
	entries, err := home.List(ctx)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.State == registry.Archived {
			continue
		}
		r := boardRow{Board: e.Slug, State: string(e.State)}
		if e.Holder != nil {
			r.PID = e.Holder.PID
			if b, err := reach(ctx, home, e.Slug, x.ownerOptions(home)); err == nil {
				if info, err := b.Info(ctx); err == nil && info.Dispatcher != nil {
					r.Dispatcher, r.Since, r.LastTick, r.OpenRuns = true, info.Dispatcher.Since, info.Dispatcher.LastTick, info.OpenRuns
				}
				b.Close()
			}
		}
		rows = append(rows, r)
	}
	if x.json() {
		return x.emit(map[string]any{"pid": pid, "running": pid != 0, "boards": rows})
	}
	if pid == 0 {
		fmt.Fprintln(x.Stdout, "no gateway runs here; start one: hermes gateway start")
	} else {
		fmt.Fprintf(x.Stdout, "gateway up (PID %d)\n", pid)
	}
	out := [][]string{{"BOARD", "STATE", "DISPATCH", "LAST LOOK", "RUNS"}}
	now := time.Now()
	for _, r := range rows {
		d, last := "–", "–"
		if r.Dispatcher {
			d, last = "alive "+ago(now, r.Since), ago(now, r.LastTick)+" ago"
		}
		state := r.State
		if r.PID != 0 {
			state += fmt.Sprintf(" by %d", r.PID)
		}
		out = append(out, []string{r.Board, state, d, last, fmt.Sprint(r.OpenRuns)})
	}
	table(x.Stdout, x.Width, out)
	return nil
}
