package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
)

func runConfigCheck(ctx context.Context, x *visit) error {
	wrong := x.configProblems(ctx)
	if x.json() {
		if err := x.emit(map[string][]string{"problems": wrong}); err != nil {
			return err
		}
	} else {
		for _, w := range wrong {
			fmt.Fprintln(x.Stdout, line(w))
		}
		if len(wrong) == 0 {
			fmt.Fprintf(x.Stdout, "profile %s is in order\n", x.me.Name)
		}
	}
	if len(wrong) > 0 {
		return exitError(exitRefused)
	}
	return nil
}

// configProblems are what is wrong with a profile that can be read: as far as
// that can be told without starting anything but the probes of its sandboxes.
func (x *visit) configProblems(ctx context.Context) []string {
	p, wrong := x.me, []string{}
	add := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	secrets, err := profile.LoadSecrets(p.Dir)
	if err != nil {
		add("%v", err)
		secrets = &profile.Secrets{}
	}
	if token, ok := secrets.Get(p.Config.Telegram.TokenName()); ok {
		if !profile.TelegramToken(token) {
			add("%s is no token of a Telegram bot", p.Config.Telegram.TokenName())
		}
		if len(p.Config.Telegram.Allow) == 0 {
			add("there is a bot, but telegram.allow names nobody: its gateway will not start")
		}
	}
	if len(p.Config.Telegram.Allow) > 0 {
		if _, err := botOf(p, secrets); err != nil {
			add("%v: its gateway cannot use it", err)
		}
	}
	unsigned := false
	for _, h := range p.Config.Webhooks {
		if _, ok := secrets.Get(h.Secret); !ok {
			unsigned = true
			add("webhook %s is signed with %s, which is not set", h.Name, h.Secret)
		}
	}
	if !unsigned {
		if _, err := newTeller(p, secrets, nil); err != nil {
			add("%v", err)
		}
	}
	if !p.MayOpenAll() && len(p.Config.Boards) == 0 {
		add("boards: it may open none")
	}
	for _, doubt := range doubts(ctx, p, "terminal") {
		add("%s", doubt)
	}
	names, err := agents.List(p.Dir)
	if err != nil {
		add("%v", err)
	}
	known, err := newRoster(agentsOf(x.house.Dir(), p.Name, ""))
	if err != nil {
		add("%v", err)
		return wrong
	}
	for _, name := range names {
		if _, err := known.agents.Agent(ctx, name); err != nil {
			add("%v", err)
		}
	}
	return wrong
}

func runConfigEdit(ctx context.Context, x *call) error {
	home, dir, err := x.configFolder()
	if err != nil {
		return err
	}
	editor := x.Getenv("VISUAL")
	if editor == "" {
		editor = x.Getenv("EDITOR")
	}
	if editor == "" {
		return &usageError{msg: "neither VISUAL nor EDITOR names an editor", hint: "EDITOR=vi hermes config edit"}
	}
	before, err := os.ReadFile(filepath.Join(dir, profile.ConfigFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.CreateTemp("", "hermes-*.yaml")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(before); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	for {
		cmd := exec.CommandContext(ctx, "sh", "-c", editor+` "$1"`, "sh", f.Name())
		cmd.Stdin, cmd.Stdout, cmd.Stderr = x.Stdin, x.Stdout, x.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", editor, err)
		}
		after, err := os.ReadFile(f.Name())
		if err != nil {
			return err
		}
		var old, c profile.Config
		if err = profile.ParseConfig(after, &c); err == nil {
			err = checkBackend(after)
		}
		if err == nil {
			if profile.ParseConfig(before, &old) == nil && !slices.Equal(old.Boards, c.Boards) {
				if err := x.mayConfigure(home, "boards"); err != nil {
					return err
				}
			}
			return x.saveEdited(dir, before, after)
		}
		if x.say("%v", keyError(err)); !x.Prompt {
			return &boards.Rejection{Code: "bad_config", Detail: "not saved", Hint: "hermes config schema lists the keys"}
		}
		fmt.Fprint(x.Stderr, "Edit it again? [Y/n] ")
		if answer, err := bufio.NewReader(x.Stdin).ReadString('\n'); err != nil || strings.HasPrefix(strings.ToLower(answer), "n") {
			return &boards.Rejection{Code: "not_confirmed", Detail: "not saved"}
		}
	}
}

func (x *call) saveEdited(dir string, before, after []byte) error {
	if string(before) == string(after) {
		x.say("nothing was changed")
		return nil
	}
	return profile.EditConfig(dir, func(now []byte) ([]byte, error) {
		if string(now) != string(before) {
			return nil, &boards.Rejection{Code: "conflict", Detail: "somebody else changed it meanwhile; nothing was saved"}
		}
		return after, nil
	})
}
