package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards/registry"
)

// plan lists the commands that make a client of what there is.
func (k *onboarding) plan(ctx context.Context) ([]clientStep, error) {
	if k.flag("os-user") {
		return k.planAccount()
	}
	var plan []clientStep
	add := func(undo []string, args ...string) {
		plan = append(plan, clientStep{argv: k.hermes(args...), undo: undo})
	}
	set := func(key, value string) { add(nil, "-p", k.name, "config", "set", key, value) }
	if b := k.str("backend"); b != "local" {
		if b != "" || !k.flag("no-start") {
			check := []string{"sandbox", "run", defaultTo(b, "bubblewrap")}
			if i := k.str("image"); i != "" {
				check = append(check, "--image", i)
			}
			add(nil, append(check, "--", "true")...)
		}
	} else {
		k.say("warning: the sandbox local isolates nothing: this client's agents can read what every other client has here")
	}
	if k.dir != "" {
		step := clientStep{argv: []string{"mkdir", "-p", "-m", "700", k.dir}}
		if _, err := os.Lstat(k.dir); err != nil {
			step.undo = []string{"rmdir", k.dir}
		}
		plan = append(plan, step)
	}
	if k.old == nil {
		undo := k.hermes("profile", "delete", k.name, "--yes")
		if !k.boardExists(ctx) {
			plan = append(plan, clientStep{argv: k.hermes("board", "create", k.name), undo: k.hermes("board", "delete", k.name, "--yes")})
		}
		create := []string{"profile", "create", k.name}
		if d := k.str("description"); d != "" {
			create = append(create, "--description", d)
		}
		add(undo, create...)
	} else if d := k.str("description"); d != "" {
		set("description", d)
	}
	if k.dir != "" {
		set("terminal.cwd", k.dir)
	}
	if b := k.str("backend"); b != "" {
		set("terminal.backend", b)
	}
	if i := k.str("image"); i != "" {
		key := "terminal.docker_image"
		if slices.Contains([]string{"singularity", "apptainer"}, k.str("backend")) {
			key = "terminal.singularity_image"
		}
		set(key, i)
	}
	team, err := k.team()
	if err != nil {
		return nil, err
	}
	for _, args := range team {
		add(nil, args...)
	}
	if people := k.people(); len(people) > 0 {
		b, err := json.Marshal(people)
		if err != nil {
			return nil, err
		}
		set("telegram.allow", string(b))
	}
	if k.hasBot || k.str("digest") != "" {
		set("chat.digest", defaultTo(k.str("digest"), "07:30"))
	}
	if k.hasBot {
		token := profile.Telegram{}
		if k.old != nil {
			token = k.old.Config.Telegram
		}
		plan = append(plan, clientStep{argv: k.hermes("-p", k.name, "config", "set", token.TokenName(), "-"), stdin: k.token.Reveal()})
	}
	if !k.flag("no-start") {
		plan = append(plan, k.service(ctx))
	}
	return plan, nil
}

func defaultTo(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// hermes is a command line of this program in this home.
func (k *onboarding) hermes(args ...string) []string {
	argv := []string{"hermes"}
	if k.home.Dir() != filepath.Join(k.Getenv("HOME"), ".hermes") {
		argv = append(argv, "--home", k.home.Dir())
	}
	return append(argv, args...)
}

func (k *onboarding) boardExists(ctx context.Context) bool {
	entries, err := k.home.List(ctx)
	return err == nil && slices.ContainsFunc(entries, func(e registry.Entry) bool { return e.Slug == k.name && e.State != registry.Archived })
}

// people are those who may use the bot already, and those who are to.
func (k *onboarding) people() []profile.Person {
	if len(k.allow) == 0 {
		return nil
	}
	var all []profile.Person
	if k.old != nil {
		all = append(all, k.old.Config.Telegram.Allow...)
	}
	for _, p := range k.allow {
		if i := slices.IndexFunc(all, func(o profile.Person) bool { return o.ID == p.ID }); i >= 0 {
			all[i].Role = p.Role
		} else {
			all = append(all, p)
		}
	}
	return all
}

// team lists the commands that make the agents of a kind.
func (k *onboarding) team() ([][]string, error) {
	var team [][]string
	agent := func(name string, args ...string) {
		team = append(team, append([]string{"-p", k.name, "agent", "add", name}, args...))
	}
	switch k.str("agents") {
	case "":
	case "research":
		var sources []string
		if k.dir != "" {
			sources = []string{"--sources", k.dir}
		}
		for _, name := range []string{"orchestrator", "researcher", "writer"} {
			role := "worker"
			if name == "orchestrator" {
				role = name
			}
			agent(name, append([]string{"--runtime", "builtin", "--builtin", name, "--role", role}, sources...)...)
		}
	case "code":
		model := []string{"--runtime", "model", "--model", "claude-sonnet-5-5", "--api", agents.Anthropic, "--key", "ANTHROPIC_API_KEY"}
		agent("coder", append([]string{"--role", "worker", "--tools", "read,write,list,shell"}, model...)...)
		agent("reviewer", append([]string{"--role", "reviewer", "--tools", "read,list,shell"}, model...)...)
	default:
		return nil, &usageError{msg: fmt.Sprintf("--agents %q is neither research nor code", k.str("agents")), hint: "single agents: hermes -p " + k.name + " agent add --help"}
	}
	if k.old != nil { // those that are there stay as they are
		have, err := agents.List(k.old.Dir)
		if err != nil {
			return nil, err
		}
		team = slices.DeleteFunc(team, func(args []string) bool { return slices.Contains(have, args[4]) })
	}
	return team, nil
}

// service starts the client's gateway, with systemd where there is one.
func (k *onboarding) service(ctx context.Context) clientStep {
	running, _ := gateways(k.home, false)
	switch {
	case slices.ContainsFunc(running, func(g gatewayInfo) bool { return g.Profile == k.name }):
		return clientStep{argv: k.hermes("-p", k.name, "gateway", "restart")}
	case k.systemd(ctx) == nil:
		return clientStep{argv: k.hermes("-p", k.name, "gateway", "install"), undo: k.hermes("-p", k.name, "gateway", "uninstall")}
	}
	return clientStep{argv: k.hermes("-p", k.name, "gateway", "start"), undo: k.hermes("-p", k.name, "gateway", "stop")}
}
