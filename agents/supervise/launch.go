package supervise

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/workspace"
	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// socketName is the worker socket in the folder that is shown inside.
const socketName = "sock"

const (
	insideState   = "/state"
	insideSources = "/sources"
)

// launch says what to start: the agent's runtime in the sandbox's terms.
func (r *run) launch(box *sandbox.Sandbox, f folders) (*sandbox.Spec, error) {
	agent, a := r.spec.Agent, r.spec.Assignment
	spec := &sandbox.Spec{
		Mark: r.spec.Mark, Workspace: f.workspace, Inputs: f.inputs, Outputs: f.outputs,
		SocketDir: r.spec.SocketDir, Program: r.spec.Program, Stdout: r.out, Stderr: r.out,
		Limits: agent.Terminal.Limits(),
	}
	isolated := box.Capabilities().Has(driver.Files)
	if !isolated || agent.Terminal.Network == "full" {
		spec.Network = sandbox.FullNetwork
	}
	mount := func(host, inside string, writable bool) string {
		m := sandbox.Mount{Host: host, Inside: inside, Writable: writable}
		if !isolated {
			m.Inside = host
		}
		spec.Mounts = append(spec.Mounts, m)
		return m.Inside
	}
	state, sources := mount(f.state, insideState, true), ""
	if host := agent.Runtime.Sources; host != "" {
		if err := r.outside(host); err != nil {
			return nil, fmt.Errorf("runtime.sources: %w", err)
		}
		sources = mount(host, insideSources, false)
	}
	for _, m := range agent.Terminal.Mounts {
		if err := r.outside(m); err != nil {
			return nil, fmt.Errorf("terminal.mounts: %w", err)
		}
		mount(m, m, false)
	}

	in := box.Layout(spec)
	if r.checkout != nil {
		in.Workspace = path.Join(in.Workspace, workspace.Folder)
		spec.Dir = in.Workspace
	}
	socket := path.Join(in.SocketDir, socketName)
	env := map[string]string{"PATH": agents.DefaultPath, "HOME": state, "LANG": "C.UTF-8", "TMPDIR": "/tmp"}
	for _, pass := range r.spec.Env {
		k, v, _ := strings.Cut(pass, "=")
		env[k] = v
	}
	maps.Copy(env, agent.Terminal.Set)
	maps.Copy(env, map[string]string{ // last: nothing can tell an agent another run's
		"HERMES_BOARD": a.Slug, "HERMES_TASK": a.Run.Task.String(), "HERMES_RUN": a.Run.String(), "HERMES_TENANT": a.Tenant,
		"HERMES_WORKSPACE": in.Workspace, "HERMES_INPUTS": in.Inputs, "HERMES_OUTPUTS": in.Outputs,
		"HERMES_WORKER_SOCKET": socket, "HERMES_STATE": state, "HERMES_SOURCES": sources, "HERMES_BIN": in.Program,
		"HERMES_MODEL": a.Model,
	})
	for k, v := range env {
		spec.Env = append(spec.Env, k+"="+v)
	}
	slices.Sort(spec.Env)

	switch agent.Runtime.Kind {
	case "builtin":
		spec.Argv = []string{in.Program, "worker", "builtin", agent.Runtime.Name}
	case "command":
		replace := strings.NewReplacer("{workspace}", in.Workspace, "{inputs}", in.Inputs, "{outputs}", in.Outputs,
			"{task}", a.Run.Task.String(), "{run}", a.Run.String(), "{board}", a.Slug, "{socket}", socket, "{hermes}", in.Program)
		for _, arg := range agent.Runtime.Command {
			spec.Argv = append(spec.Argv, replace.Replace(arg))
		}
	default:
		return nil, fmt.Errorf("runtime %q is unknown", agent.Runtime.Kind)
	}
	return spec, nil
}
