package supervise

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/runtime"
	"github.com/hermesboard/hermes/agents/workspace"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/proxy"
)

// socketName is the worker socket in the folder that is shown inside.
const socketName = "sock"

// Where an isolated agent finds what is its own.
const (
	insideState   = "/state"
	insideSources = "/sources"
	insideConfig  = "/agent"
)

// configDir is the folder of a run with the files of its plan.
const configDir = "config"

// launch says what to start, in the sandbox's terms: how that is done, the
// adapter of the agent's runtime knows.
func (r *run) launch(box *sandbox.Sandbox, f folders) (*sandbox.Spec, error) {
	agent := &r.spec.Agent
	spec := &sandbox.Spec{
		Mark: r.spec.Mark, Workspace: f.workspace, Inputs: f.inputs, Outputs: f.outputs,
		SocketDir: r.spec.SocketDir, Program: r.spec.Program, Stdout: r.out, Stderr: r.out,
		Limits: agent.Terminal.Limits(),
	}
	isolated := box.Capabilities().Has(driver.Files)
	switch {
	case !isolated || agent.Terminal.Network == "full":
		spec.Network = sandbox.FullNetwork
	case agent.Terminal.Network == "proxy":
		spec.Network = sandbox.ProxyNetwork
	}
	ad, err := runtime.For(agent.Runtime.Kind)
	if err != nil {
		return nil, err
	}
	env := r.environ()
	program, err := runtime.Program(ad, agent, env["PATH"])
	if err != nil {
		return nil, err
	}
	in, err := r.mounts(spec, f, program, isolated)
	if err != nil {
		return nil, err
	}
	skills, err := r.skills()
	if err != nil {
		return nil, err
	}
	layout := box.Layout(spec)
	if r.checkout != nil {
		layout.Workspace = path.Join(layout.Workspace, workspace.Folder)
		spec.Dir = layout.Workspace
	}
	places := runtime.Places{
		Hermes: layout.Program, Socket: path.Join(layout.SocketDir, socketName), Workspace: layout.Workspace,
		Inputs: layout.Inputs, Outputs: layout.Outputs, State: in.state, Config: in.config,
	}
	facts := r.facts(ad, program, places, f)
	facts.Skills = skills
	plan, err := ad.Plan(facts)
	if err == nil {
		err = plan.Lay(f.state, filepath.Join(r.spec.Dir(), configDir))
	}
	if err != nil {
		return nil, err
	}
	r.plan, r.adapter = plan, ad
	if runtime.Typed(ad) {
		if r.raw, err = openTranscript(filepath.Join(r.spec.Dir(), RawLog)); err != nil {
			return nil, err
		}
		r.stream = runtime.NewStream(ad, r.out, r.raw)
		spec.Stdout = r.stream
	}
	spec.Argv = plan.Argv
	if r.gate != nil && spec.Network == sandbox.NoNetwork { // the relay alone: nothing is told of a proxy that would refuse all
		spec.Argv = proxy.Command(layout.Program, layout.SocketDir, plan.Argv)
	}
	if plan.Stdin != "" {
		spec.Stdin = strings.NewReader(plan.Stdin)
	}
	if plan.Dir != "" {
		spec.Dir = plan.Dir
	}
	if env["HOME"] == "" {
		env["HOME"] = in.state
	}
	maps.Copy(env, agent.Terminal.Set)
	maps.Copy(env, plan.Env)
	maps.Copy(env, r.world(places, in.sources)) // last: nothing can tell an agent another run's
	if len(skills) > 0 {
		env["HERMES_SKILLS"] = path.Join(places.Config, runtime.SkillsDir)
	}
	for k, v := range env {
		spec.Env = append(spec.Env, k+"="+v)
	}
	slices.Sort(spec.Env)
	return spec, nil
}

// environ is what an agent's variables begin with.
func (r *run) environ() map[string]string {
	env := map[string]string{"PATH": agents.DefaultPath, "LANG": "C.UTF-8", "TMPDIR": "/tmp"}
	for _, pass := range r.spec.Env {
		k, v, _ := strings.Cut(pass, "=")
		env[k] = v
	}
	if p, ok := r.spec.Agent.Terminal.Set["PATH"]; ok {
		env["PATH"] = p
	}
	return env
}

// world tells an agent what it works on, and where.
func (r *run) world(p runtime.Places, sources string) map[string]string {
	a := r.spec.Assignment
	return map[string]string{
		"HERMES_BOARD": a.Slug, "HERMES_TASK": a.Run.Task.String(), "HERMES_RUN": a.Run.String(), "HERMES_TENANT": a.Tenant,
		"HERMES_WORKSPACE": p.Workspace, "HERMES_INPUTS": p.Inputs, "HERMES_OUTPUTS": p.Outputs,
		"HERMES_WORKER_SOCKET": p.Socket, "HERMES_STATE": p.State, "HERMES_SOURCES": sources, "HERMES_BIN": p.Hermes,
		"HERMES_MODEL": a.Model,
	}
}

// inside is where an agent finds what was mounted.
type inside struct{ state, config, sources string }

// mounts adds to spec what is shown to an agent besides its workspace.
func (r *run) mounts(spec *sandbox.Spec, f folders, program string, isolated bool) (in inside, err error) {
	agent := &r.spec.Agent
	mount := func(host, inside string, writable bool) string {
		m := sandbox.Mount{Host: host, Inside: inside, Writable: writable}
		if !isolated {
			m.Inside = host
		}
		spec.Mounts = append(spec.Mounts, m)
		return m.Inside
	}
	in.state = mount(f.state, insideState, true)
	config := filepath.Join(r.spec.Dir(), configDir)
	if err := errors.Join(os.RemoveAll(config), os.Mkdir(config, 0o700)); err != nil {
		return in, err
	}
	in.config = mount(config, insideConfig, false)
	if host := agent.Runtime.Sources; host != "" {
		if err := r.outside(host); err != nil {
			return in, fmt.Errorf("runtime.sources: %w", err)
		}
		in.sources = mount(host, insideSources, false)
	}
	for _, m := range agent.Terminal.Mounts {
		if err := r.outside(m); err != nil {
			return in, fmt.Errorf("terminal.mounts: %w", err)
		}
		mount(m, m, false)
	}
	if program != "" && isolated {
		for _, m := range runtime.ProgramMounts(program) {
			if err := r.outside(m); err != nil {
				return in, fmt.Errorf("runtime.command: %w", err)
			}
			if !slices.ContainsFunc(agent.Terminal.Mounts, func(dir string) bool { return within(m, dir) }) {
				mount(m, m, false)
			}
		}
	}
	return in, nil
}

// facts is what the runtime's plan is made from.
func (r *run) facts(ad runtime.Adapter, program string, places runtime.Places, f folders) *runtime.Facts {
	agent, a := &r.spec.Agent, r.spec.Assignment
	resume := ""
	if a.Continues != (events.RunID{}) && agent.Runtime.Conversation != "fresh" {
		resume = runtime.Resumable(ad, f.state, ad.Version().Wanted(agent))
	}
	facts := &runtime.Facts{
		Agent: agent, Model: a.Model, Prompt: runtime.Prompt(agents.Context(r.detail, time.Now()), resume != ""),
		Begin: runtime.NewConversation(a.Board.String(), a.Agent, a.Run.String()), Resume: resume,
		Task: a.Run.Task.String(), Run: a.Run.String(), Board: a.Slug,
		Program: program, Mounts: agent.Terminal.Mounts, Places: places,
	}
	if r.gate != nil {
		facts.BaseURL, facts.Token = r.gate.baseURL, r.gate.token
	}
	if a.Policy.Currency == "USD" && agent.Endpoint != nil && len(agent.Endpoint.Prices) == 0 {
		// Without prices the endpoint bounds tokens alone; the program's own reckoning is in dollars.
		for _, b := range r.budgets {
			if b.CostMicros > 0 && (facts.Budget == 0 || b.CostMicros < facts.Budget) {
				facts.Budget = b.CostMicros
			}
		}
	}
	return facts
}
