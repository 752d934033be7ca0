package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
)

func configCommand(env Env) *cli.Command {
	return noun(env, "config", "the configuration of a profile",
		verb(env, "set", "KEY VALUE", "set a key; comments and all else stay", `
Lists and objects are YAML or JSON. A key whose name ends in _TOKEN, _KEY,
_SECRET or _PASSWORD is a secret: it goes to .env and is never an argument; with
- for its value it is read from standard input, or asked for. A gateway that runs
follows within a second; what it cannot follow, hermes gateway status says.

  hermes -p acme config set terminal.backend docker
  hermes -p acme config set agent.disabled_toolsets '["flowzap","creative","media"]'
  hermes -p acme config set TELEGRAM_BOT_TOKEN -`, nil, runConfigSet),
		verb(env, "get", "KEY", "print the value of a key; of a secret only whether it is set", "Example:\n  hermes config get terminal.backend", nil, runConfigGet),
		verb(env, "unset", "KEY", "take a key out", "Example:\n  hermes config unset terminal.backend", nil, runConfigUnset),
		verb(env, "list,ls,show", "", "print the keys that are set", "", nil, asProfile(0, 0, "no arguments", runConfigList)),
		verb(env, "check", "", "say what is wrong with configuration, secrets and agents", "", nil, asProfile(0, 0, "no arguments", runConfigCheck)),
		verb(env, "edit", "", "open it in $EDITOR; what is wrong is not saved", "", nil, runConfigEdit),
		verb(env, "schema", "[agent]", "list every key there is; of an agent, as JSON Schema", "Example:\n  hermes config schema agent > agent.schema.json", nil, runConfigSchema),
	)
}

// keyError turns what is wrong with a key into an answer with a hint.
func keyError(err error) error {
	var key *profile.KeyError
	if !errors.As(err, &key) {
		return err
	}
	hint := "hermes config schema lists the keys"
	if key.Near != "" {
		hint = "did you mean " + key.Near + "?"
	}
	return &usageError{msg: key.Error(), hint: hint}
}

func runConfigSet(ctx context.Context, x *call) error {
	a, err := x.args(1, 2, "a key and its value")
	if err != nil {
		return err
	}
	home, dir, err := x.configFolder()
	if err != nil {
		return err
	}
	if profile.IsSecretKey(a[0]) {
		return x.setSecret(home, dir, strings.ToUpper(a[0]), a[1:])
	}
	if len(a) < 2 {
		return &usageError{msg: "wants a key and its value", hint: "hermes config set --help"}
	}
	if err := x.mayConfigure(home, a[0]); err != nil {
		return err
	}
	value := a[1]
	if value == "-" {
		if value, err = x.readFile("-", 1<<20); err != nil {
			return err
		}
	}
	err = profile.EditConfig(dir, func(file []byte) ([]byte, error) {
		file, err := profile.Set(file, a[0], value)
		if err == nil {
			err = checkBackend(file)
		}
		return file, err
	})
	if err != nil {
		return keyError(err)
	}
	x.sayDoubts(ctx, dir, a[0])
	return x.saySet(a[0])
}

// mayConfigure keeps a profile that may not open every board from giving
// itself more than it was given.
func (x *call) mayConfigure(home, key string) error {
	p, err := x.profileIn(home)
	if err != nil || p.MayOpenAll() || key != "boards" {
		return nil // one that cannot be read is being mended
	}
	return &boards.Rejection{Code: "not_operator", Detail: "which boards profile " + p.Name + " may open is the operator's affair",
		Hint: "hermes -p default profile boards " + p.Name + " BOARD…"}
}

func (x *call) saySet(key string) error {
	if x.json() {
		return x.emit(map[string]string{"set": key})
	}
	if !x.flag("quiet") {
		x.say("%s is set", key)
	}
	return nil
}

// configFolder is the folder of the profile that is meant, whatever its
// configuration holds: that may be what is to be mended.
func (x *call) configFolder() (home, dir string, err error) {
	h, err := x.home()
	if err != nil {
		return "", "", err
	}
	defer h.Close()
	name := x.profileName(h.Dir())
	if !profile.ValidName(name) {
		return "", "", usagef("%q is not the name of a profile (want lower-case letters, digits, - and _)", name)
	}
	dir = profile.Dir(h.Dir(), name)
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return "", "", unknownProfile(h.Dir(), name)
	}
	return h.Dir(), dir, nil
}

// setSecret takes a secret from standard input, never from the arguments, which
// other users of this host could see.
func (x *call) setSecret(home, dir, name string, rest []string) error {
	if len(rest) > 0 && rest[0] != "-" {
		line := "hermes config set " + name + " -"
		if p := x.profileName(home); p != profile.Default {
			line = "hermes -p " + p + " config set " + name + " -"
		}
		return &usageError{msg: name + " is a secret: an argument would show it to other users of this host and stay in the shell's history",
			hint: line + "   reads it from standard input, or asks for it"}
	}
	value, err := x.readSecret(name)
	if err == nil {
		err = checkToken(dir, name, value)
	}
	if err != nil {
		return err
	}
	if err := profile.EditSecrets(dir, func(s *profile.Secrets) error { return s.Set(name, value) }); err != nil {
		return err
	}
	return x.saySet(name)
}

// checkToken refuses what cannot be the token of the profile's bot.
func checkToken(dir, name string, value profile.Secret) error {
	var c profile.Config
	if b, err := os.ReadFile(filepath.Join(dir, profile.ConfigFile)); err == nil {
		_ = profile.ParseConfig(b, &c) // what is wrong with it is said elsewhere
	}
	if name == c.Telegram.TokenName() {
		return checkBotToken(name, value)
	}
	return nil
}

func checkBotToken(name string, value profile.Secret) error {
	if profile.TelegramToken(value) {
		return nil
	}
	return &usageError{msg: "what came for " + name + " is no token of a Telegram bot (want digits, a colon, and at least 20 letters, digits, - and _)", hint: "@BotFather shows it: /mybots, the bot, API Token"}
}

// maxSecret bounds a secret that is typed or piped.
const maxSecret = 64 << 10

// readSecret asks for a secret without showing it, or reads standard input.
func (x *call) readSecret(name string) (profile.Secret, error) {
	var b []byte
	var err error
	if f, ok := x.Stdin.(*os.File); ok && x.Prompt {
		fmt.Fprintf(x.Stderr, "%s: ", name)
		b, err = term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(x.Stderr)
	} else {
		b, err = io.ReadAll(io.LimitReader(x.Stdin, maxSecret+1))
	}
	value := strings.TrimRight(string(b), "\r\n")
	switch {
	case err != nil:
		return profile.Secret{}, fmt.Errorf("read %s: %w", name, err)
	case value == "":
		return profile.Secret{}, &usageError{msg: "no value for " + name + " on standard input", hint: "hermes config set " + name + " - < FILE"}
	case len(value) > maxSecret || strings.ContainsAny(value, "\x00"):
		return profile.Secret{}, usagef("what came for %s is no secret", name)
	}
	return profile.NewSecret(value), nil
}

func runConfigGet(_ context.Context, x *call) error {
	a, err := x.args(1, 1, "a key")
	if err != nil {
		return err
	}
	_, dir, err := x.configFolder()
	if err != nil {
		return err
	}
	if profile.IsSecretKey(a[0]) {
		return x.getSecret(dir, strings.ToUpper(a[0]))
	}
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	p, err := x.profile(home)
	if err != nil {
		return err
	}
	v, ok, err := p.Config.Get(a[0])
	switch {
	case err != nil:
		return keyError(err)
	case x.json():
		return x.emit(v)
	case !ok:
		x.say("%s is not set", a[0])
		return exitError(exitRefused)
	}
	return x.printYAML(v)
}

func (x *call) getSecret(dir, name string) error {
	s, err := profile.LoadSecrets(dir)
	if err != nil {
		return err
	}
	v, ok := s.Get(name)
	if x.json() {
		return x.emit(map[string]any{"name": name, "set": ok})
	}
	if !ok {
		x.say("%s is not set", name)
		return exitError(exitRefused)
	}
	fmt.Fprintln(x.Stdout, v)
	return nil
}

func (x *call) printYAML(v any) error {
	if s, ok := v.(string); ok {
		fmt.Fprintln(x.Stdout, s)
		return nil
	}
	b, err := yaml.MarshalWithOptions(v, yaml.Indent(2), yaml.IndentSequence(true))
	if err == nil {
		_, err = x.Stdout.Write(b)
	}
	return err
}

func runConfigUnset(_ context.Context, x *call) error {
	a, err := x.args(1, 1, "a key")
	if err != nil {
		return err
	}
	home, dir, err := x.configFolder()
	if err != nil {
		return err
	}
	if profile.IsSecretKey(a[0]) {
		name := strings.ToUpper(a[0])
		err = profile.EditSecrets(dir, func(s *profile.Secrets) error {
			if !s.Unset(name) {
				return &api.Error{Code: api.CodeNotFound, Message: name + " is not set"}
			}
			return nil
		})
	} else if err = x.mayConfigure(home, a[0]); err == nil {
		err = keyError(profile.EditConfig(dir, func(file []byte) ([]byte, error) { return profile.Unset(file, a[0]) }))
	}
	if err != nil {
		return err
	}
	if x.json() {
		return x.emit(map[string]string{"unset": a[0]})
	}
	x.say("%s is not set any more", a[0])
	return nil
}

func runConfigList(_ context.Context, x *visit) error {
	p := x.me
	secrets, err := profile.LoadSecrets(p.Dir)
	if err != nil {
		return err
	}
	if x.json() {
		return x.emit(struct {
			Profile string         `json:"profile"`
			Config  profile.Config `json:"config"`
			Secrets []string       `json:"secrets"`
		}{p.Name, p.Config, secrets.Names()})
	}
	for _, k := range profile.Keys() {
		v, ok, err := p.Config.Get(k.Path)
		if err != nil {
			return err
		}
		if ok {
			b, err := yaml.MarshalWithOptions(v, yaml.JSON())
			if err != nil {
				return err
			}
			fmt.Fprintf(x.Stdout, "%s = %s\n", k.Path, line(string(b)))
		}
	}
	for _, name := range secrets.Names() {
		fmt.Fprintf(x.Stdout, "%s = ***\n", name)
	}
	return nil
}

func runConfigSchema(_ context.Context, x *call) error {
	a, err := x.args(0, 1, "nothing, or agent")
	if err != nil {
		return err
	}
	if len(a) == 1 {
		if a[0] != "agent" {
			return usagef("there is no schema of %q: agent, or nothing for a profile", a[0])
		}
		_, err := x.Stdout.Write(agents.Schema())
		return err
	}
	keys := profile.Keys()
	if x.json() {
		return x.emit(keys)
	}
	out := [][]string{{"KEY", "TYPE", "WHAT"}}
	for _, k := range keys {
		out = append(out, []string{k.Path, k.Type, k.About})
	}
	table(x.Stdout, x.Width, out)
	return nil
}
