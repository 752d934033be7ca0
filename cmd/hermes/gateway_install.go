package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/registry"
)

func gatewayInstallVerb(env Env) *cli.Command {
	return verb(env, "install", "", "have systemd start it now and whenever this host starts", `
Writes a unit of this user, starts it, and says what is missing for it to run
while nobody is logged in. Without systemd use hermes gateway start.

  hermes -p acme gateway install
  hermes -p acme gateway install --dry-run      print the unit only`,
		[]cli.Flag{flag("dry-run", "", "print the unit and what would be done")}, installGateway)
}

func gatewayUninstallVerb(env Env) *cli.Command {
	return verb(env, "uninstall", "", "take it out of systemd; runs go on", "", nil, uninstallGateway)
}

func gatewayLogsVerb(env Env) *cli.Command {
	return verb(env, "logs,log", "", "print the end of what it said", `
This is the log of gateways that run in the background: those of hermes gateway
start and of systemd. What it holds is free of the profile's secrets.

  hermes -p acme gateway logs -f`,
		[]cli.Flag{flag("follow", "f", "go on with what it says from now on"), num("lines", "n", "so many lines (default 50)")}, gatewayLogs)
}

// unit is a gateway as systemd runs it. Its runs are processes of their own:
// they must outlive it, and have control groups for themselves.
const unit = `# Written by hermes gateway install; hermes gateway uninstall removes it.
[Unit]
Description=Hermes gateway of profile %[1]s
After=network-online.target

[Service]
ExecStart=%[2]s gateway run --home %[3]s --profile %[1]s
Environment=HERMES_HOME=%[3]s
StandardOutput=append:%[4]s
StandardError=append:%[4]s
KillMode=process
Delegate=yes
Restart=on-failure
RestartSec=5

[Install]
WantedBy=default.target
`

func unitName(name string) string { return "hermes-gateway-" + name + ".service" }

func (x *call) unitPath(name string) (string, error) {
	config := x.Getenv("XDG_CONFIG_HOME")
	if config == "" {
		if x.Getenv("HOME") == "" {
			return "", usagef("HOME does not say where units of systemd are kept")
		}
		config = filepath.Join(x.Getenv("HOME"), ".config")
	}
	return filepath.Join(config, "systemd", "user", unitName(name)), nil
}

// unitQuote writes a path for a unit file.
func unitQuote(s string) string {
	s = strings.NewReplacer(`%`, `%%`, `$`, `$$`).Replace(s)
	if strings.ContainsAny(s, " \t\"'\\;") {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
	return s
}

func installGateway(ctx context.Context, x *call) error {
	if _, err := x.args(0, 0, "no arguments"); err != nil {
		return err
	}
	home, p, err := x.homeAndProfile()
	if err != nil {
		return err
	}
	defer home.Close()
	program, err := os.Executable()
	if err != nil {
		return err
	}
	path, err := x.unitPath(p.Name)
	if err != nil {
		return err
	}
	log := gatewayLog(home, p.Name)
	text := fmt.Sprintf(unit, p.Name, unitQuote(program), unitQuote(home.Dir()), strings.NewReplacer("%", "%%").Replace(log))
	if x.flag("dry-run") {
		fmt.Fprint(x.Stdout, text)
		x.say("would write %s and run: systemctl --user enable --now %s", path, unitName(p.Name))
		return nil
	}
	if err := x.systemd(ctx); err != nil {
		return err
	}
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(log)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	if err := x.systemctl(ctx, "daemon-reload"); err != nil {
		return err
	}
	running, err := x.ownGateways(home)
	if err != nil {
		return err
	}
	if err := x.systemctl(ctx, "enable", "--now", unitName(p.Name)); err != nil {
		return err
	}
	lingers := x.lingers(ctx)
	if x.json() {
		return x.emit(struct {
			Profile string `json:"profile"`
			Unit    string `json:"unit"`
			Lingers bool   `json:"lingers"`
		}{p.Name, path, lingers})
	}
	fmt.Fprintf(x.Stdout, "gateway of profile %s installed: %s\n", p.Name, path)
	for _, g := range running {
		x.say("gateway %d runs on without systemd; hermes gateway restart hands over", g.PID)
	}
	if !lingers {
		x.say("it ends when %s logs out, and does not come back after a restart of the host, before: loginctl enable-linger %s", x.User, x.User)
	}
	return nil
}

func uninstallGateway(ctx context.Context, x *call) error {
	home, p, err := x.homeAndProfile()
	if err != nil {
		return err
	}
	defer home.Close()
	path, err := x.unitPath(p.Name)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		x.say("no gateway of profile %s is installed", p.Name)
		return nil
	}
	if err := x.systemd(ctx); err == nil {
		if err := x.systemctl(ctx, "disable", "--now", unitName(p.Name)); err != nil {
			return err
		}
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	fmt.Fprintf(x.Stdout, "gateway of profile %s is no longer installed\n", p.Name)
	return nil
}

// isInstalled reports whether this user's systemd has the gateway of a profile
// of this home.
func (x *call) isInstalled(ctx context.Context, home *registry.Home, name string) bool {
	path, err := x.unitPath(name)
	if err != nil {
		return false
	}
	text, err := os.ReadFile(path)
	return err == nil && strings.Contains(string(text), " --home "+unitQuote(home.Dir())+" ") && x.systemd(ctx) == nil
}

// startUnit has systemd start an installed gateway and waits until it is up.
func (x *call) startUnit(ctx context.Context, home *registry.Home, name string) error {
	if err := x.systemctl(ctx, "start", unitName(name)); err != nil {
		return err
	}
	tick := time.NewTicker(startLook)
	defer tick.Stop()
	for late := time.After(startPatience); ; {
		running, err := x.ownGateways(home)
		if err != nil {
			return err
		}
		if len(running) > 0 {
			x.say("gateway started by systemd (PID %d), log in %s", running[0].PID, gatewayLog(home, name))
			return nil
		}
		select {
		case <-tick.C:
		case <-late:
			return fmt.Errorf("systemd started %s, but no gateway has come up within %s; see %s", unitName(name), startPatience, gatewayLog(home, name))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// systemd says why this user's systemd cannot be used.
func (x *call) systemd(ctx context.Context) error {
	no := func(why string) error {
		return &boards.Rejection{Code: "no_systemd", Detail: why, Hint: "start it without: hermes gateway start"}
	}
	if _, err := exec.LookPath("systemctl"); err != nil {
		return no("there is no systemd here")
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return no("systemd does not run here")
	}
	out, err := exec.CommandContext(ctx, "systemctl", "--user", "show-environment").CombinedOutput()
	if err != nil {
		return no("this user has no systemd of its own: " + line(string(out)))
	}
	return nil
}

func (x *call) systemctl(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "systemctl", append([]string{"--user"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl --user %s: %w: %s", strings.Join(args, " "), err, line(string(out)))
	}
	return nil
}

// lingers reports whether this user's systemd runs while nobody is logged in.
func (x *call) lingers(ctx context.Context) bool {
	out, err := exec.CommandContext(ctx, "loginctl", "show-user", x.User, "--property=Linger", "--value").Output()
	return err == nil && strings.TrimSpace(string(out)) == "yes"
}

// homeAndProfile opens what most verbs about a profile need.
func (x *call) homeAndProfile() (*registry.Home, *profile.Profile, error) {
	home, err := x.home()
	if err != nil {
		return nil, nil, err
	}
	p, err := x.profile(home)
	if err != nil {
		return nil, nil, errors.Join(err, home.Close())
	}
	return home, p, nil
}

const (
	logLines = 50
	logLook  = 200 * time.Millisecond // how often a log that is followed is looked at
	logTail  = 1 << 20                // bytes from the end that are looked at for lines
)

func gatewayLogs(ctx context.Context, x *call) error {
	home, p, err := x.homeAndProfile()
	if err != nil {
		return err
	}
	defer home.Close()
	path := gatewayLog(home, p.Name)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &boards.Rejection{Code: boards.CodeNotFound, Detail: "no gateway of profile " + p.Name + " has run in the background", Hint: "start one: hermes gateway start"}
	} else if err != nil {
		return err
	}
	defer f.Close()
	most := logLines
	if x.isSet("lines") {
		most = max(0, x.num("lines"))
	}
	if err := printTail(x.Stdout, f, most); err != nil || !x.flag("follow") {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	tick := time.NewTicker(logLook)
	defer tick.Stop()
	for {
		if _, err := io.Copy(x.Stdout, f); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// printTail prints the last lines of a file and leaves it at its end.
func printTail(w io.Writer, f *os.File, lines int) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	from := max(0, end-logTail)
	b := make([]byte, end-from)
	if _, err := f.ReadAt(b, from); err != nil && err != io.EOF {
		return err
	}
	all := strings.SplitAfter(string(b), "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	_, err = io.WriteString(w, strings.Join(all[max(0, len(all)-lines):], ""))
	return err
}
