package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/registry"
)

func clientCommand(env Env) *cli.Command {
	return noun(env, "client", "those one works for",
		verb(env, "add,new,create", "NAME", "take on a client: board, profile, agents, sandbox, bot, people, gateway", `
Does all of it, or nothing: what was made is removed again if a step fails. What
is missing is asked for on a terminal. Doing it again changes what you name and
leaves the rest. A token is never an argument.

  hermes client add acme --dir /srv/acme --backend docker --agents research
  hermes client add acme --allow telegram:12345678:owner --bot-token-stdin < token
  hermes client add acme --dir /srv/acme --dry-run      print the single commands
  hermes client add acme --dir /srv/acme --os-user      in an account of its own, as root`,
			[]cli.Flag{
				str("dir", "", "the client's folder; made if it is not there"), str("backend", "", "the sandbox of its agents (default bubblewrap)"),
				str("image", "", "the image of its sandbox"), flag("bot-token-stdin", "", "read the bot's token from standard input"),
				list("allow", "", "who may use the bot: telegram:ID[:owner|member|viewer]; again for several"),
				str("agents", "", "research (needs no model) or code (needs ANTHROPIC_API_KEY)"), str("digest", "", "when the morning's summary is sent (default 07:30)"),
				str("description", "", "who the client is"), flag("no-start", "", "do not start the gateway"),
				flag("os-user", "", "as root: an account, a home and a gateway of its own"), flag("dry-run", "", "print the single commands, and do nothing"),
			}, runClientAdd),
	)
}

// clientStep is one command of an onboarding.
type clientStep struct {
	argv  []string
	stdin string // what it reads, which is never printed; empty = nothing
	undo  []string
}

// onboarding is what is known of a client that is being taken on.
type onboarding struct {
	*call
	name    string
	dir     string
	token   profile.Secret
	hasBot  bool
	allow   []profile.Person
	home    *registry.Home
	old     *profile.Profile // what there is already; nil = nothing
	program string
	dry     bool
}

func runClientAdd(ctx context.Context, x *call) error {
	a, err := x.args(1, 1, "a name for the client")
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
	k := &onboarding{call: x, name: a[0], home: home, dry: x.flag("dry-run")}
	if !profile.ValidName(k.name) || k.name == profile.Default || k.name == "hermes" {
		return usagef("%q is not a name for a client (want lower-case letters, digits, - and _; neither default nor hermes)", k.name)
	}
	if k.program, err = os.Executable(); err != nil {
		return err
	}
	if err := k.read(); err != nil {
		return err
	}
	plan, err := k.plan(ctx)
	if err != nil {
		return err
	}
	if k.dry {
		return k.printPlan(plan)
	}
	return k.carryOut(ctx, plan)
}

// read takes what the flags say, and asks a person for the rest.
func (k *onboarding) read() error {
	var err error
	if k.old, err = profile.Load(k.home.Dir(), k.name); err != nil && !errors.Is(err, profile.ErrUnknown) {
		return err
	}
	if d := k.str("dir"); d != "" {
		k.dir = k.path(d)
	} else if k.Prompt && !k.dry && k.old == nil {
		if d := k.ask("the client's folder (empty = none)"); d != "" {
			k.dir = k.path(d)
		}
	}
	for _, s := range k.list("allow") {
		p, err := parsePerson(s)
		if err != nil {
			return err
		}
		k.allow = append(k.allow, p)
	}
	token := profile.Telegram{}
	if k.old != nil {
		token = k.old.Config.Telegram
	}
	switch {
	case k.flag("bot-token-stdin") && k.dry:
		k.hasBot = true
	case k.flag("bot-token-stdin"):
		k.hasBot = true
		if k.token, err = k.readSecret(token.TokenName()); err != nil {
			return err
		}
	case k.Prompt && !k.dry && k.old == nil && strings.HasPrefix(strings.ToLower(k.ask("has the client a Telegram bot? [y/N]")), "y"):
		k.hasBot = true
		if k.token, err = k.readSecret(token.TokenName()); err != nil {
			return err
		}
	}
	if k.hasBot && len(k.allow) == 0 && len(token.Allow) == 0 {
		if !k.Prompt || k.dry {
			return &usageError{msg: "a bot without anybody who may use it would not start", hint: "say who: --allow telegram:12345678:owner"}
		}
		p, err := parsePerson("telegram:" + k.ask("the Telegram number of its owner") + ":owner")
		if err != nil {
			return err
		}
		k.allow = []profile.Person{p}
	}
	return nil
}

func (k *onboarding) ask(what string) string {
	fmt.Fprintf(k.Stderr, "%s: ", what)
	var b []byte
	one := make([]byte, 1) // no more than the line: what follows may be a secret
	for {
		n, err := k.Stdin.Read(one)
		if n == 0 || err != nil || one[0] == '\n' {
			return strings.TrimSpace(string(b))
		}
		b = append(b, one[0])
	}
}

// parsePerson reads telegram:ID[:ROLE].
func parsePerson(s string) (profile.Person, error) {
	parts := strings.Split(s, ":")
	bad := &usageError{msg: fmt.Sprintf("--allow %q is not of the form telegram:ID[:owner|member|viewer]", s), hint: "--allow telegram:12345678:owner"}
	if len(parts) < 2 || len(parts) > 3 || parts[0] != "telegram" {
		return profile.Person{}, bad
	}
	p := profile.Person{ID: parts[1]}
	if len(parts) == 3 {
		p.Role = parts[2]
	}
	c := profile.Config{Telegram: profile.Telegram{Allow: []profile.Person{p}}}
	if c.Validate() != nil {
		return p, bad
	}
	return p, nil
}

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

func (k *onboarding) printPlan(plan []clientStep) error {
	lines := []string{}
	for _, s := range plan {
		lines = append(lines, shellLine(s.argv))
	}
	if k.json() {
		return k.emit(map[string][]string{"commands": lines})
	}
	for _, l := range lines {
		fmt.Fprintln(k.Stdout, l)
	}
	return nil
}

// carryOut runs a plan. If a step fails, what the ones before made is removed.
func (k *onboarding) carryOut(ctx context.Context, plan []clientStep) error {
	for i, s := range plan {
		if err := k.step(ctx, s.argv, s.stdin, k.Stderr); err != nil {
			for j := i - 1; j >= 0; j-- {
				if undo := plan[j].undo; undo != nil {
					if left := k.step(context.WithoutCancel(ctx), undo, "", io.Discard); left != nil {
						k.say("could not take back: %s", shellLine(undo))
					}
				}
			}
			return &boards.Rejection{Code: "not_added", Detail: fmt.Sprintf("client %s was not added: this failed: %s", k.name, shellLine(s.argv)),
				Hint: "what was made before it has been removed; mend the cause and do it again"}
		}
	}
	if k.json() {
		return k.emit(map[string]string{"client": k.name, "profile": k.name, "home": k.home.Dir()})
	}
	fmt.Fprintf(k.Stdout, "client %s is ready. %s\n", k.name, k.next())
	return nil
}

func (k *onboarding) next() string {
	if k.flag("os-user") {
		return "Look: runuser -u " + accountOf(k.name) + " -- hermes -p " + k.name + " status"
	}
	return "Look: hermes -p " + k.name + " status"
}

// step runs one command as a process of its own; hermes is this program.
func (k *onboarding) step(ctx context.Context, argv []string, stdin string, errs io.Writer) error {
	program := argv[0]
	if program == "hermes" {
		program = k.program
	}
	cmd := exec.CommandContext(ctx, program, argv[1:]...)
	cmd.Dir, cmd.Stdin = k.Dir, strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if err != nil { // what went well is said once, at the end
		io.Copy(errs, &out)
	}
	return err
}
