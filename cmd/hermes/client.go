package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/urfave/cli/v2"

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
			}, asOperator(1, 1, "a name for the client", runClientAdd)),
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

func runClientAdd(ctx context.Context, x *visit) (err error) {
	k := &onboarding{call: x.call, name: x.words[0], home: x.house, dry: x.flag("dry-run")}
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
		if err := k.readToken(token.TokenName()); err != nil {
			return err
		}
	case k.Prompt && !k.dry && k.old == nil && strings.HasPrefix(strings.ToLower(k.ask("has the client a Telegram bot? [y/N]")), "y"):
		k.hasBot = true
		if err := k.insist(func() error { return k.readToken(token.TokenName()) }); err != nil {
			return err
		}
	}
	if k.hasBot && len(k.allow) == 0 && len(token.Allow) == 0 {
		if !k.Prompt || k.dry {
			return &usageError{msg: "a bot without anybody who may use it would not start", hint: "say who: --allow telegram:12345678:owner"}
		}
		return k.insist(func() error {
			p, err := parsePerson("telegram:" + k.ask("the Telegram number of its owner") + ":owner")
			k.allow = []profile.Person{p}
			return err
		})
	}
	return nil
}

// readToken takes the token of the client's bot.
func (k *onboarding) readToken(name string) (err error) {
	if k.token, err = k.readSecret(name); err == nil {
		err = checkBotToken(name, k.token)
	}
	return err
}

// insist has a person answer again, twice at most, what cannot be.
func (k *onboarding) insist(ask func() error) (err error) {
	for range 3 {
		if err = ask(); err == nil {
			return nil
		}
		k.say("%v", err)
	}
	return err
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
	return k.done(map[string]string{"client": k.name, "profile": k.name, "home": k.home.Dir()}, k.name, "client %s is ready. %s", k.name, k.next())
}

func (k *onboarding) next() string {
	if k.flag("os-user") {
		return "Look: hermes status"
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
