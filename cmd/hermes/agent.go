package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/boards"
)

func agentCommand(env Env) *cli.Command {
	return noun(env, "agent", "the agents of a profile",
		agentAddVerb(env),
		verb(env, "list,ls", "", "list the agents and whether each can be started here", "", nil, runAgentList),
		verb(env, "show", "NAME", "show an agent's configuration and what keeps it from starting", "", nil, runAgentShow),
		agentRemoveVerb(env),
		agentCheckVerb(env),
		agentProbeVerb(env),
		verb(env, "release", "NAME", "let an agent start again that the board holds back", `
An agent is held when it never spoke to its board, or when its key, credit or
provider failed: its tasks would only fail one after the other.`,
			[]cli.Flag{str("reason", "", "why")}, runAgentRelease),
	)
}

type agentRow struct {
	*agents.Agent
	Problem string `json:"problem,omitzero"` // a hold's reason; empty = it can be started
	Detail  string `json:"detail,omitzero"`
}

// agentRow says what is known of an agent here.
func (x *call) agentRow(ctx context.Context, known *roster, name string) agentRow {
	a, err := known.agents.Agent(ctx, name)
	if err == nil {
		return agentRow{Agent: a}
	}
	row := agentRow{Problem: "agent_config", Detail: err.Error()}
	var p *agents.Problem
	if errors.As(err, &p) {
		row.Problem = p.Code
	}
	if row.Agent, err = known.agents.Load(name); err != nil {
		row.Agent = &agents.Agent{Name: name}
	}
	return row
}

func (x *call) knownAgents() (known *roster, profile string, err error) {
	home, err := x.home()
	if err != nil {
		return nil, "", err
	}
	defer home.Close()
	if profile, err = x.profileDir(home); err != nil {
		return nil, "", err
	}
	known, err = newRoster(agentsOf(home.Dir(), x.profileName(home.Dir()), ""))
	return known, profile, err
}

func runAgentList(ctx context.Context, x *call) error {
	known, profile, err := x.knownAgents()
	if err != nil {
		return err
	}
	names, err := agents.List(profile)
	if err != nil {
		return err
	}
	rows := []agentRow{}
	out := [][]string{{"AGENT", "RUNTIME", "SANDBOX", "ROLE", "HERE"}}
	for _, name := range names {
		r := x.agentRow(ctx, known, name)
		here := "can be started"
		if r.Problem != "" {
			here = line(r.Detail)
		}
		rows = append(rows, r)
		out = append(out, []string{name, dash(r.Runtime.Kind), dash(r.Terminal.Backend), r.EventRole().String(), here})
	}
	if x.json() {
		return x.emit(rows)
	}
	if len(names) == 0 {
		x.say("no agents in %s; make one: hermes agent add --help", profile)
		return nil
	}
	table(x.Stdout, x.Width, out)
	return nil
}

func runAgentShow(ctx context.Context, x *call) error {
	a, err := x.args(1, 1, "the name of an agent")
	if err != nil {
		return err
	}
	known, profile, err := x.knownAgents()
	if err != nil {
		return err
	}
	r := x.agentRow(ctx, known, a[0])
	if r.Problem == "agent_unknown" {
		names, _ := agents.List(profile)
		return &boards.Rejection{Code: boards.CodeNotFound, Detail: r.Detail, Hint: suggest(a[0], names, "")}
	}
	if x.json() {
		return x.emit(r)
	}
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(x.Stdout, "%-10s %s\n", name, line(value))
		}
	}
	row("agent", r.Name)
	row("about", r.Description)
	row("folder", r.Dir)
	row("runtime", r.Runtime.Kind+" "+r.Runtime.Name)
	for _, arg := range r.Runtime.Command {
		row("", arg)
	}
	row("sources", r.Runtime.Sources)
	row("sandbox", r.Terminal.Backend)
	row("role", r.EventRole().String())
	row("problem", r.Detail)
	if r.Problem == "" {
		fmt.Fprintln(x.Stdout, "It can be started here.")
	}
	return nil
}

func runAgentRelease(ctx context.Context, x *call) error {
	a, err := x.args(1, 1, "the name of an agent")
	if err != nil {
		return err
	}
	b, err := x.boardToChange(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	if _, err := x.do(ctx, b, boards.ReleaseAgent{Agent: a[0], Reason: x.str("reason")}); err != nil {
		return err
	}
	fmt.Fprintln(x.Stdout, a[0], "may start again")
	return nil
}
