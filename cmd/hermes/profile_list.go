package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
)

func noSuchProfile(name string) error {
	return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("there is no profile %s", name)}
}

func runProfileList(_ context.Context, x *call) error {
	if _, err := x.args(0, 0, "no arguments"); err != nil {
		return err
	}
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	names, err := profile.List(home.Dir())
	if err != nil {
		return err
	}
	if me, err := x.profile(home); err == nil && !me.MayOpenAll() {
		names = []string{me.Name}
	}
	rows := []profileRow{}
	out := [][]string{{"", "PROFILE", "BOARDS", "SANDBOX", "AGENTS", "CHAT", "GATEWAY", "WHAT"}}
	for _, name := range names {
		r := profileRow{Name: name, Dir: profile.Dir(home.Dir(), name)}
		if p, err := profile.Load(home.Dir(), name); err == nil {
			r = x.profileRow(home, p)
		} else {
			r.Problem = err.Error()
		}
		rows = append(rows, r)
		mark, chat, gateway, what := "", "no", "–", r.Description
		if r.Current {
			mark = "*"
		}
		if r.Chat {
			chat = "telegram"
		}
		if r.Gateway != 0 {
			gateway = fmt.Sprint(r.Gateway)
		}
		if r.Problem != "" {
			what = r.Problem
		}
		out = append(out, []string{mark, name, dash(strings.Join(r.Boards, " ")), dash(r.Backend), fmt.Sprint(len(r.Agents)), chat, gateway, line(what)})
	}
	switch {
	case x.json():
		return x.emit(rows)
	case x.flag("quiet"):
		for _, r := range rows {
			fmt.Fprintln(x.Stdout, r.Name)
		}
		return nil
	}
	table(x.Stdout, x.Width, out)
	return nil
}

func runProfileShow(_ context.Context, x *call) error {
	a, err := x.args(0, 1, "a profile")
	if err != nil {
		return err
	}
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	p, err := x.profileNamed(home, strings.Join(a, ""))
	if err != nil {
		return err
	}
	r := x.profileRow(home, p)
	if x.json() {
		return x.emit(r)
	}
	row := func(name, value string) { fmt.Fprintf(x.Stdout, "%-9s %s\n", name, dash(line(value))) }
	row("profile", r.Name)
	row("about", r.Description)
	row("folder", r.Dir)
	row("boards", strings.Join(r.Boards, ", "))
	row("sandbox", r.Backend)
	row("cwd", p.Config.Terminal.Cwd)
	row("agents", strings.Join(r.Agents, ", "))
	row("secrets", strings.Join(r.Secrets, ", "))
	chat := "none: " + p.Config.Telegram.TokenName() + " is not set"
	if r.Chat {
		var who []string
		for _, person := range p.Config.Telegram.Allow {
			role := person.Role
			if role == "" {
				role = "member"
			}
			who = append(who, person.ID+" ("+role+")")
		}
		chat = "telegram, for " + dash(strings.Join(who, ", "))
	}
	row("chat", chat)
	gateway := "none runs; start one: hermes -p " + r.Name + " gateway start"
	if r.Gateway != 0 {
		gateway = fmt.Sprintf("PID %d", r.Gateway)
	}
	row("gateway", gateway)
	row("command", r.Command)
	if r.Problem != "" {
		row("problem", r.Problem)
	}
	return nil
}

func runProfileUse(_ context.Context, x *call) error {
	a, err := x.args(1, 1, "a profile")
	if err != nil {
		return err
	}
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	// The one that is in use because nothing was named may always be left.
	if cmp.Or(x.str("profile"), x.Getenv("HERMES_PROFILE")) != "" {
		if _, err := x.profileNamed(home, a[0]); err != nil {
			return err
		}
	}
	if err := profile.Use(home.Dir(), a[0]); errors.Is(err, profile.ErrUnknown) {
		return unknownProfile(home.Dir(), a[0])
	} else if err != nil {
		return err
	}
	if x.json() {
		return x.emit(map[string]string{"profile": a[0]})
	}
	fmt.Fprintf(x.Stdout, "profile %s is meant where none is named\n", a[0])
	return nil
}

// unattended refuses to touch a profile whose gateway runs.
func unattended(home *registry.Home, name string) error {
	running, err := gateways(home, false)
	if i := slices.IndexFunc(running, func(g gatewayInfo) bool { return g.Profile == name }); i >= 0 {
		return &boards.Rejection{Code: "gateway_running", Detail: fmt.Sprintf("the gateway of profile %s runs (PID %d)", name, running[i].PID),
			Hint: "stop it first: hermes -p " + name + " gateway stop"}
	}
	return err
}

func runProfileRename(_ context.Context, x *call) error {
	a, err := x.args(2, 2, "a profile and its new name")
	if err != nil {
		return err
	}
	home, me, err := x.homeAndProfile()
	if err != nil {
		return err
	}
	defer home.Close()
	if err := operatorOnly(me); err != nil {
		return err
	}
	if err := unattended(home, a[0]); err != nil {
		return err
	}
	switch err := profile.Rename(home.Dir(), a[0], a[1]); {
	case errors.Is(err, profile.ErrUnknown):
		return unknownProfile(home.Dir(), a[0])
	case errors.Is(err, profile.ErrExists):
		return &boards.Rejection{Code: "profile_exists", Detail: fmt.Sprintf("there is a profile %s already", a[1])}
	case err != nil:
		return err
	}
	if x.alias(a[0]).ours {
		if err := errors.Join(x.dropAlias(a[0]), x.makeAlias(home.Dir(), a[1])); err != nil {
			return err
		}
	}
	if x.json() {
		return x.emit(map[string]string{"profile": a[1], "was": a[0]})
	}
	fmt.Fprintf(x.Stdout, "profile %s is now %s; its boards keep their names\n", a[0], a[1])
	return nil
}

func runProfileDelete(_ context.Context, x *call) error {
	a, err := x.args(1, 1, "a profile")
	if err != nil {
		return err
	}
	home, me, err := x.homeAndProfile()
	if err != nil {
		return err
	}
	defer home.Close()
	if err := operatorOnly(me); err != nil {
		return err
	}
	if _, err := os.Lstat(profile.Dir(home.Dir(), a[0])); err != nil || !profile.ValidName(a[0]) {
		return unknownProfile(home.Dir(), a[0])
	}
	if err := unattended(home, a[0]); err != nil {
		return err
	}
	if err := x.confirm("remove the profile "+a[0]+" with its secrets", a[0]); err != nil {
		return err
	}
	if err := profile.Delete(home.Dir(), a[0]); err != nil {
		return err
	}
	if err := x.dropAlias(a[0]); err != nil {
		return err
	}
	if x.json() {
		return x.emit(map[string]string{"deleted": a[0]})
	}
	fmt.Fprintf(x.Stdout, "profile %s is gone; its boards are still there\n", a[0])
	return nil
}

func runProfileDescribe(_ context.Context, x *call) error {
	a, err := x.args(1, 2, "a profile and the words")
	if err != nil {
		return err
	}
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	p, err := x.profileNamed(home, a[0])
	if err != nil {
		return err
	}
	words := x.str("text")
	if len(a) == 2 {
		words = a[1]
	}
	if words == "" && !x.isSet("text") {
		fmt.Fprintln(x.Stdout, line(p.Config.Description))
		return nil
	}
	return profile.EditConfig(p.Dir, func(file []byte) ([]byte, error) { return profile.SetValue(file, "description", line(words)) })
}

func runProfileBoards(_ context.Context, x *call) error {
	a, err := x.args(1, -1, "a profile and boards")
	if err != nil {
		return err
	}
	home, me, err := x.homeAndProfile()
	if err != nil {
		return err
	}
	defer home.Close()
	p, err := x.profileNamed(home, a[0])
	if err != nil {
		return err
	}
	if len(a) > 1 {
		if err := operatorOnly(me); err != nil {
			return err
		}
		if err := profile.EditConfig(p.Dir, func(file []byte) ([]byte, error) { return profile.SetValue(file, "boards", a[1:]) }); err != nil {
			return keyError(err)
		}
		p.Config.Boards = a[1:]
	}
	if x.json() {
		return x.emit(map[string][]string{"boards": p.Config.Boards})
	}
	for _, b := range p.Config.Boards {
		fmt.Fprintln(x.Stdout, b)
	}
	return nil
}

func profileExportVerb(env Env) *cli.Command {
	return verb(env, "export", "NAME", "write a profile to a tar.gz, without its secrets", "Example:\n  hermes profile export acme --output acme.tar.gz",
		[]cli.Flag{str("output", "o", "the file (default NAME.tar.gz); - is standard output")}, runProfileExport)
}

func profileImportVerb(env Env) *cli.Command {
	return verb(env, "import", "FILE", "make a profile of what export wrote", "Example:\n  hermes profile import acme.tar.gz --name acme-2",
		[]cli.Flag{str("name", "", "its name (default: as it was)"), flag("no-alias", "", "make no command")}, runProfileImport)
}

func runProfileExport(_ context.Context, x *call) error {
	a, err := x.args(1, 1, "a profile")
	if err != nil {
		return err
	}
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	p, err := x.profileNamed(home, a[0])
	if err != nil {
		return err
	}
	name := x.str("output")
	if name == "-" {
		return profile.Export(x.Stdout, p)
	}
	if name == "" {
		name = p.Name + ".tar.gz"
	}
	f, err := os.OpenFile(x.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(profile.Export(f, p), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	x.say("profile %s without its secrets is in %s", p.Name, name)
	return nil
}

func runProfileImport(_ context.Context, x *call) error {
	a, err := x.args(1, 1, "a file")
	if err != nil {
		return err
	}
	home, me, err := x.homeAndProfile()
	if err != nil {
		return err
	}
	defer home.Close()
	if err := operatorOnly(me); err != nil {
		return err
	}
	f, err := x.openFile(a[0])
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := profile.Import(home.Dir(), x.str("name"), f)
	if errors.Is(err, profile.ErrExists) {
		return &boards.Rejection{Code: "profile_exists", Detail: err.Error(), Hint: "give it another name: --name NEW"}
	} else if err != nil {
		return err
	}
	if !x.flag("no-alias") {
		if err := x.makeAlias(home.Dir(), p.Name); err != nil {
			return err
		}
	}
	if x.json() {
		return x.emit(x.profileRow(home, p))
	}
	fmt.Fprintf(x.Stdout, "profile %s made in %s; its secrets are to be set anew\n", p.Name, p.Dir)
	return nil
}
