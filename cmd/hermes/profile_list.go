package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
)

func noSuchProfile(name string) error {
	return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("there is no profile %s", name)}
}

func runProfileList(_ context.Context, x *visit) error {
	home := x.house
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

func runProfileShow(_ context.Context, x *visit) error {
	p, err := x.profileNamed(x.house, strings.Join(x.words, ""))
	if err != nil {
		return err
	}
	r := x.profileRow(x.house, p)
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

type profileRow struct {
	Name        string   `json:"name"`
	Dir         string   `json:"dir"`
	Description string   `json:"description,omitzero"`
	Current     bool     `json:"current"`
	Boards      []string `json:"boards"`
	Board       string   `json:"board,omitzero"`
	Backend     string   `json:"backend,omitzero"`
	Agents      []string `json:"agents"`
	Secrets     []string `json:"secrets"` // their names
	Chat        bool     `json:"chat"`
	Gateway     int      `json:"gateway,omitzero"` // its pid
	Command     string   `json:"command,omitzero"`
	Problem     string   `json:"problem,omitzero"`
}

func (x *call) profileRow(home *registry.Home, p *profile.Profile) profileRow {
	r := profileRow{Name: p.Name, Dir: p.Dir, Description: p.Config.Description, Current: p.Name == x.profileName(home.Dir()),
		Boards: p.Config.Boards, Board: p.Config.Board, Backend: p.Config.Terminal.Backend}
	if len(r.Boards) == 0 && p.MayOpenAll() {
		r.Boards = []string{"*"}
	}
	r.Agents, _ = agents.List(p.Dir)
	if s, err := profile.LoadSecrets(p.Dir); err == nil {
		r.Secrets = s.Names()
	} else {
		r.Problem = err.Error()
	}
	r.Chat = slices.Contains(r.Secrets, p.Config.Telegram.TokenName())
	running, _ := gateways(home, false)
	for _, g := range running {
		if g.Profile == p.Name {
			r.Gateway = g.PID
		}
	}
	if a := x.alias(p.Name); a.ours {
		r.Command = a.path
	}
	return r
}
