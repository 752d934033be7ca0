package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

// startPatience is how long a started gateway may take to come up, and how
// often it is looked for.
const (
	startPatience = 5 * time.Second
	startLook     = 10 * time.Millisecond
)

func startGateway(ctx context.Context, x *call) error {
	home, _, err := x.homeAndProfile()
	if err != nil {
		return err
	}
	defer home.Close()
	return x.launchGateway(ctx, home, x.enlisted(home), x.flag("standby"))
}

// launchGateway starts a gateway in the background and waits until it is up.
func (x *call) launchGateway(ctx context.Context, home *registry.Home, as gatewayInfo, standby bool) error {
	running, err := gateways(home, false)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(running, as.rivals); i >= 0 && !standby {
		return alreadyRuns(running[i])
	}
	if !standby && as.Backend == "" && len(as.Only) == 0 && x.isInstalled(ctx, home, as.Profile) {
		return x.startUnit(ctx, home, as.Profile)
	}
	log := gatewayLog(home, as.Profile)
	if err := os.MkdirAll(filepath.Dir(log), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	before, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	cmd, err := x.gatewayProgram(home, as, standby)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }() // ends with the gateway or with this process
	tick := time.NewTicker(startLook)
	defer tick.Stop()
	for late := time.After(startPatience); ; {
		select {
		case err := <-exited:
			return fmt.Errorf("the gateway ended at once (%v): %s", err, lastWords(out, before))
		case <-late:
			return fmt.Errorf("the gateway (PID %d) has not come up within %s; see %s", cmd.Process.Pid, startPatience, out.Name())
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if gatewayAlive(home, cmd.Process.Pid) {
			x.say("gateway started (PID %d), log in %s", cmd.Process.Pid, out.Name())
			return nil
		}
	}
}

// gatewayProgram is the command line of a gateway in a session of its own.
func (x *call) gatewayProgram(home *registry.Home, as gatewayInfo, standby bool) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"gateway", "run", "--home", home.Dir(), "--profile", as.Profile}
	if as.Backend != "" {
		args = append(args, "--backend", as.Backend)
	}
	for _, o := range as.Only {
		args = append(args, "--only", o)
	}
	if standby {
		args = append(args, "--standby")
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = home.Dir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, nil
}

// lastWords is the end of what was written to a log since an offset.
func lastWords(log *os.File, since int64) string {
	b, err := io.ReadAll(io.NewSectionReader(log, since, 64<<10))
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if err != nil || lines[0] == "" {
		return "see " + log.Name()
	}
	return strings.TrimSpace(strings.Join(lines[max(0, len(lines)-2):], " "))
}

// ownGateways lists the running gateways of the profile this command line means.
func (x *call) ownGateways(home *registry.Home) ([]gatewayInfo, error) {
	all, err := gateways(home, false)
	return slices.DeleteFunc(all, func(g gatewayInfo) bool { return g.Profile != x.profileName(home.Dir()) }), err
}

func stopGateway(ctx context.Context, x *call) error {
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	running, err := x.ownGateways(home)
	if err != nil {
		return err
	}
	if len(running) == 0 {
		x.say("no gateway runs here")
		return nil
	}
	sig, how := syscall.SIGINT, "ends when its runs have finished"
	switch {
	case x.flag("now") && x.flag("detach"):
		return usagef("--now stops the runs, --detach leaves them running: choose one")
	case x.flag("now"):
		sig, how = stopRuns, "stops its runs and ends"
	case x.flag("detach"):
		sig, how = syscall.SIGTERM, "ends, its runs go on"
	}
	// All are told before any is waited for, or one would take over what another lets go.
	for _, g := range running {
		if err := syscall.Kill(g.PID, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal gateway %d: %w", g.PID, err)
		}
		x.say("gateway %d %s", g.PID, how)
	}
	for _, g := range running {
		if err := awaitGateway(ctx, x, home, g.PID); err != nil {
			return err
		}
	}
	return nil
}

// awaitGateway waits until a gateway has ended.
func awaitGateway(ctx context.Context, x *call, home *registry.Home, pid int) error {
	tick := time.NewTicker(2 * startLook)
	defer tick.Stop()
	for gatewayAlive(home, pid) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	x.say("gateway %d has ended", pid)
	return nil
}

// restartGateway replaces the gateways one by one, each by one of its kind.
func restartGateway(ctx context.Context, x *call) error {
	home, _, err := x.homeAndProfile()
	if err != nil {
		return err
	}
	defer home.Close()
	running, err := x.ownGateways(home)
	if err != nil {
		return err
	}
	if len(running) == 0 {
		return x.launchGateway(ctx, home, x.enlisted(home), false)
	}
	for _, g := range running {
		if err := syscall.Kill(g.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal gateway %d: %w", g.PID, err)
		}
		if err := awaitGateway(ctx, x, home, g.PID); err != nil {
			return err
		}
		if only := x.list("only"); len(only) > 0 {
			g.Only = only
		}
		if b := x.str("backend"); b != "" {
			g.Backend = b
		}
		if err := x.launchGateway(ctx, home, g, len(running) > 1); err != nil {
			return err
		}
	}
	return nil
}

// gatewayRow is one board in hermes gateway status.
type gatewayRow struct {
	Board      string      `json:"board"`
	State      string      `json:"state"`
	PID        int         `json:"pid,omitzero"`
	Answers    bool        `json:"answers"`
	Dispatcher bool        `json:"dispatcher"`
	Since      events.Time `json:"since,omitzero"`
	LastTick   events.Time `json:"last_tick,omitzero"`
	OpenRuns   int         `json:"open_runs"`
}

func gatewayStatus(ctx context.Context, x *call) error {
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	running, err := gateways(home, false)
	if err != nil {
		return err
	}
	p, err := x.profile(home)
	if err != nil {
		return err
	}
	if !p.MayOpenAll() {
		running = slices.DeleteFunc(running, func(g gatewayInfo) bool { return g.Profile != p.Name })
	}
	entries, err := x.visible(ctx, home)
	if err != nil {
		return err
	}
	rows := []gatewayRow{}
	for _, e := range entries {
		if e.State != registry.Archived {
			rows = append(rows, x.gatewayRow(ctx, home, e))
		}
	}
	if x.json() {
		pid := 0
		if len(running) > 0 {
			pid = running[0].PID
		}
		return x.emit(struct {
			PID      int           `json:"pid"`
			Running  bool          `json:"running"`
			Gateways []gatewayInfo `json:"gateways"`
			Boards   []gatewayRow  `json:"boards"`
		}{pid, len(running) > 0, running, rows})
	}
	x.printGateways(running, rows)
	return nil
}

// gatewayRow asks who holds a board how it is doing. A board that nobody holds
// is not touched.
func (x *call) gatewayRow(ctx context.Context, home *registry.Home, e registry.Entry) gatewayRow {
	r := gatewayRow{Board: e.Slug, State: string(e.State)}
	if e.Holder == nil {
		return r
	}
	r.PID = e.Holder.PID
	b, err := reach(ctx, home, e.Slug, x.ownerOptions(home))
	if err != nil {
		return r
	}
	defer b.Close()
	info, err := b.Info(ctx)
	if err != nil {
		return r
	}
	r.Answers, r.OpenRuns = true, info.OpenRuns
	if d := info.Dispatcher; d != nil {
		r.Dispatcher, r.Since, r.LastTick = true, d.Since, d.LastTick
	}
	return r
}

// troubles says what is not as it should be with a gateway, and what helps.
func (i gatewayInfo) troubles() (lines []string) {
	add := func(since events.Time, what string) {
		lines = append(lines, fmt.Sprintf("%s (since %s)", line(what), since.Time().Local().Format("2006-01-02 15:04:05")))
	}
	me := "hermes -p " + i.Profile
	if c := i.Chat; c != nil {
		switch c.State {
		case chatRevoked:
			add(c.Since, "no chat: "+c.Why)
			lines = append(lines, "  @BotFather gives it a new one, and the gateway takes it at once: "+me+" config set "+cmp.Or(c.Token, "TELEGRAM_BOT_TOKEN")+" -")
		case chatDown:
			add(c.Since, "no chat: "+c.Why)
		case chatWaits:
			lines = append(lines, strings.TrimSpace("no chat while another gateway has the bot "+line(c.Why)))
		}
	}
	if i.Ignored != nil {
		add(i.Ignored.Since, "not as it is configured: "+i.Ignored.Why)
		lines = append(lines, "  look: "+me+" config check")
	}
	if i.Version != "" && i.Version != version() {
		lines = append(lines, fmt.Sprintf("it runs version %s, this is %s: %s gateway restart", line(i.Version), version(), me))
	}
	return lines
}

func (x *call) printGateways(running []gatewayInfo, rows []gatewayRow) {
	now := time.Now()
	if len(running) == 0 {
		fmt.Fprintln(x.Stdout, "no gateway runs here; start one: hermes gateway start")
	}
	for _, g := range running {
		holds := 0
		for _, r := range rows {
			if r.PID == g.PID {
				holds++
			}
		}
		does := "holds " + plural(holds, "board", "boards")
		if holds == 0 {
			does = "waits"
		}
		if len(g.Only) > 0 {
			does += ", only " + strings.Join(g.Only, " ")
		}
		fmt.Fprintf(x.Stdout, "gateway up %s (PID %d), profile %s, %s\n", ago(now, g.Since), g.PID, g.Profile, does)
		for _, l := range g.troubles() {
			fmt.Fprintln(x.Stdout, "  "+l)
		}
	}
	out := [][]string{{"BOARD", "STATE", "DISPATCH", "LAST LOOK", "RUNS"}}
	for _, r := range rows {
		d, last, runs := "–", "–", "–"
		if r.Dispatcher {
			d, last = "alive "+ago(now, r.Since), ago(now, r.LastTick)+" ago"
		}
		state := r.State
		switch {
		case r.PID != 0 && r.Answers:
			state, runs = fmt.Sprintf("%s by %d", state, r.PID), fmt.Sprint(r.OpenRuns)
		case r.PID != 0:
			state = fmt.Sprintf("%s by %d, which does not answer", state, r.PID)
		}
		out = append(out, []string{r.Board, state, d, last, runs})
	}
	table(x.Stdout, x.Width, out)
}
