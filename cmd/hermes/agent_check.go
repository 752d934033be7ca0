package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/runtime"
	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

func agentCheckVerb(env Env) *cli.Command {
	return verb(env, "check", "NAME", "prove that an agent works here, by a test task", `
It is started in its sandbox on a board of its own, in a folder that holds
hostile settings, and has to ask a question, to be answered, and to complete.
What its model costs for that is paid. Nothing of it stays.

Exits with 1 if a check fails.`, nil, runAgentCheck)
}

// agentFinding is what one check came to.
type agentFinding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitzero"` // what to do, where it failed
}

// examination is the check of one agent.
type examination struct {
	Agent      string         `json:"agent"`
	Findings   []agentFinding `json:"checks"`
	Problems   int            `json:"problems"`
	CostMicros int64          `json:"cost_micros"`

	x *call
}

func (e *examination) say(name string, ok bool, fix, format string, v ...any) {
	f := agentFinding{Name: name, OK: ok, Detail: line(fmt.Sprintf(format, v...))}
	if !ok {
		f.Fix = fix
		e.Problems++
	}
	e.Findings = append(e.Findings, f)
	if e.x.json() {
		return
	}
	if ok {
		fmt.Fprintf(e.x.Stdout, "%-10s %s\n", name, f.Detail)
		return
	}
	fmt.Fprintf(e.x.Stdout, "%-10s FAILED: %s\n", name, f.Detail)
	if fix != "" {
		fmt.Fprintf(e.x.Stdout, "%-10s %s\n", "", line(fix))
	}
}

func runAgentCheck(ctx context.Context, x *call) error {
	names, err := x.args(1, 1, "the name of an agent")
	if err != nil {
		return err
	}
	known, _, err := x.knownAgents()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := sandbox.Supervise(); err != nil {
		return err
	}
	e := &examination{Agent: names[0], Findings: []agentFinding{}, x: x}
	if err := e.run(ctx, known); err != nil {
		return err
	}
	if x.json() {
		if err := x.emit(e); err != nil {
			return err
		}
	} else {
		word := "ok"
		if e.Problems > 0 {
			word = "not ok"
		}
		fmt.Fprintf(x.Stdout, "%-10s %s, %s\n", word, plural(len(e.Findings), "check", "checks"), plural(e.Problems, "problem", "problems"))
	}
	if e.Problems > 0 {
		return exitError(exitRefused)
	}
	return nil
}

// run makes the checks in an order in which each needs those before it.
func (e *examination) run(ctx context.Context, known *roster) error {
	agent, err := known.agents.Agent(ctx, e.Agent)
	if problem, ok := errors.AsType[*agents.Problem](err); ok {
		e.say(lineOf[problem.Code], false, remedy(problem), "%s", problem.Detail)
		return nil
	} else if err != nil {
		return err
	}
	e.say("profile", true, "", "agent %s, %s, %s", agent.Name, agent.EventRole(), filepath.Dir(filepath.Dir(agent.Dir)))
	box, err := known.agents.Sandboxes.Open(agent.Terminal.Backend, agent.Terminal.Settings())
	if err != nil {
		return err
	}
	e.backend(ctx, agent, box)
	if err := e.program(agent); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hc")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	t, err := newTrial(ctx, e.x, dir, agent, known.agents.Sandboxes)
	if err != nil {
		return err
	}
	defer t.close()
	if err := e.look(ctx, t, box); err != nil {
		return err
	}
	return e.work(ctx, t)
}

// lineOf is the line that a problem of an agent belongs to.
var lineOf = map[string]string{"agent_unknown": "profile", "agent_config": "profile", "runtime_missing": "agent", "sandbox_gap": "backend"}

// remedy is what helps against a problem of an agent.
func remedy(p *agents.Problem) string {
	switch p.Code {
	case "agent_unknown":
		return "hermes agent list"
	case "sandbox_gap":
		return "hermes sandbox list"
	}
	return "hermes agent show " + p.Agent
}

func (e *examination) backend(ctx context.Context, agent *agents.Agent, box *sandbox.Sandbox) {
	can := box.Capabilities()
	if !can.Has(driver.Files) {
		e.say("backend", true, "", "%s isolates nothing: the agent can read this user's files, the key among them", box.Name())
		return
	}
	r := box.Probe(ctx)
	e.say("backend", r.Available, "hermes sandbox list", "%s: %s", strings.TrimSpace(box.Name()+" "+r.Version), can)
	if image := agent.Terminal.Settings().Image; image != "" {
		e.say("image", true, "", "%s", image)
	}
}

// program says which program was found, and that its version was asked for.
func (e *examination) program(agent *agents.Agent) error {
	ad, err := runtime.For(agent.Runtime.Kind)
	if err != nil {
		return err
	}
	if v := ad.Version(); v.Program != "" {
		e.say("agent", true, "", "%s %s in the sandbox, which is the version that is wanted", agent.Runtime.Kind, v.Wanted(agent))
		return nil
	}
	e.say("agent", true, "", "%s %s", agent.Runtime.Kind, agent.Runtime.Name)
	return nil
}

// look finds out what is seen and reached from inside, with a program of ours
// in the agent's place and a key that is none.
func (e *examination) look(ctx context.Context, t *trial, box *sandbox.Sandbox) error {
	if !box.Capabilities().Has(driver.Files) {
		e.say("network", true, "", "that of the host: nothing is refused")
		return nil
	}
	p, err := t.probe(ctx)
	if err != nil {
		e.say("network", false, "hermes sandbox check "+box.Name(), "the sandbox could not be looked into: %v", err)
		return nil
	}
	if t.agent.Endpoint != nil {
		where := append(p.Found, t.shown()...)
		e.say("key", len(where) == 0, "take it out of terminal.env, terminal.env_passthrough and terminal.mounts",
			"%s", found(where, p.Looked))
	}
	if t.agent.Terminal.Network == "full" {
		e.say("network", true, "", "that of the host: nothing is refused")
		return nil
	}
	var open, shut []string
	for _, a := range t.addresses() {
		name := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(a, "http://"), "127.0.0.1:8787"), "/")
		if p.Answers[a] == refusedAnswer {
			shut = append(shut, name)
		} else {
			open = append(open, fmt.Sprintf("%s answered %q", name, p.Answers[a]))
		}
	}
	e.say("network", len(open) == 0, "look at terminal.network, terminal.allow_hosts and model_endpoint.allow",
		"%s", strings.Join(append(open, strings.Join(shut, ", ")+" refused"), ", "))
	return nil
}

func found(where []string, looked int) string {
	if len(where) == 0 {
		return fmt.Sprintf("not visible inside: %d files and processes looked into", looked)
	}
	return "visible inside: " + strings.Join(where[:min(len(where), 5)], ", ")
}

// work lets the agent do the test task and judges what it did.
func (e *examination) work(ctx context.Context, t *trial) error {
	began := time.Now()
	first, err := t.attempt(ctx, t.agent)
	if err != nil {
		return err
	}
	speaks := t.agent.Endpoint != nil && t.agent.Runtime.Kind != "command"
	if speaks {
		e.settings(t)
		e.tools(t)
		e.model(t, first)
		e.price(t.agent.Endpoint, first.Usage.Model)
	}
	last := first
	if speaks && first.Outcome.String() == "blocked" {
		if last, err = t.goOn(ctx); err != nil {
			return err
		}
	}
	e.CostMicros = t.cost
	completed := last.Outcome.String() == "completed"
	e.say("verdict", completed, "hermes agent show "+e.Agent+"; the end of its output: "+tail(last.Evidence),
		"a test task ended as %s in %s, %s%s", last.Outcome, time.Since(began).Round(100*time.Millisecond), money(t.cost, "USD"), because(last.Reason))
	if speaks && t.agent.Runtime.Conversation != "fresh" {
		e.say("continues", t.continued(), "set runtime.conversation to fresh if it cannot go on", "%s", t.seenAgain())
	}
	if left := t.leaked(); t.secret() != "" {
		e.say("records", len(left) == 0, "report this: a key was written down", "%s", found(left, t.looked))
	}
	return nil
}

// price says what the model costs, by which budgets of money are kept.
func (e *examination) price(endpoint *agents.Endpoint, model string) {
	if model == "" {
		return // it was not asked
	}
	if p, known := endpoint.Price(model); known {
		e.say("price", true, "", "%s: %s read and %s written for a million tokens, as of %s", model, money(p.Input, "USD"), money(p.Output, "USD"), p.AsOf)
		return
	}
	e.say("price", len(endpoint.Prices) == 0, "add "+model+" to model_endpoint.prices",
		"nobody has said what %s costs: budgets of money are kept as far as its program reports it, those of tokens always", model)
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// tail is the end of an output in a line.
func tail(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		s = s[i+1:]
	}
	if s == "" {
		return "nothing"
	}
	return s
}

// settings judges whether the agent was led by what lay in its workspace.
func (e *examination) settings(t *trial) {
	led := t.misled()
	e.say("config", len(led) == 0, "use a version of "+t.agent.Runtime.Kind+" that was tested", "%s", map[bool]string{
		true: "settings, hooks, servers and instructions in the workspace are ignored", false: strings.Join(led, ", ")}[len(led) == 0])
}

// tools judges whether the agent saw the tools of its board on its first turn.
func (e *examination) tools(t *trial) {
	have, missing := t.tools()
	fix := "hermes kanban log shows what the program says of its server"
	if len(missing) == 0 {
		e.say("tools", true, "", "%d of %d kanban tools seen by the agent on its first turn", have, have)
		return
	}
	e.say("tools", false, fix, "not seen by the agent on its first turn: %s", strings.Join(missing, ", "))
}

// model judges whether the model answers.
func (e *examination) model(t *trial, first ended) {
	host := t.host()
	for _, a := range t.turns() {
		if a.Status < 300 {
			e.say("model", true, "", "%s answered in %s with this profile's key", host, a.Took.Round(time.Millisecond))
			return
		}
	}
	fix := "look at model_endpoint.upstream and runtime.model"
	switch first.Outcome.String() {
	case "auth":
		fix = "put a key that is valid into the profile's .env"
	case "credit":
		fix = "the account needs credit"
	case "invalid_request":
		fix = "see what it said with hermes kanban log; look at runtime.model, model_endpoint.kind and the account's credit"
	case "rate_limited", "overloaded":
		fix = "try again later"
	}
	e.say("model", false, fix, "%s did not answer%s", host, because(first.Reason))
}
