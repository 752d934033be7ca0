package start

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// Roster answers whether the agents of a profile can be started here. Probes
// of sandboxes are kept; configuration is read each time. It is safe for
// concurrent use.
type Roster struct {
	Profile   string
	Default   string // backend of agents that name none
	Sandboxes *sandbox.Registry

	mu     sync.Mutex
	probes map[string]sandbox.Report
}

// Agent returns an agent that can be started, with its backend filled in, or a
// *[agents.Problem].
func (r *Roster) Agent(ctx context.Context, name string) (*agents.Agent, error) {
	a, err := agents.Load(r.Profile, name)
	if err != nil {
		return nil, err
	}
	if a.Terminal.Backend == "" {
		a.Terminal.Backend = r.Default
	}
	problem := func(code string, err error) error {
		return &agents.Problem{Code: code, Agent: name, Detail: fmt.Sprintf("agent %s: %v", name, err)}
	}
	box, err := r.Sandboxes.Get(a.Terminal.Backend)
	if err != nil {
		return nil, problem("sandbox_gap", err)
	}
	// A backend that isolates nothing has nothing to prove, and can only be
	// tried by a supervisor.
	if rep := r.probe(ctx, box); box.Capabilities().Has(driver.Files) && !rep.Available {
		return nil, problem("sandbox_gap", fmt.Errorf("sandbox %s does not work here: %s", box.Name(), rep.Reason))
	}
	need, err := driver.ParseCapabilities(a.Terminal.Requires)
	if err != nil {
		return nil, problem("agent_config", err)
	}
	if err := box.Check(need); err != nil {
		return nil, problem("sandbox_gap", err)
	}
	if !box.Capabilities().Has(driver.NetworkNone) && a.Terminal.Network == "none" {
		return nil, problem("sandbox_gap", errors.New("terminal.network none cannot be enforced by sandbox "+box.Name()))
	}
	if err := program(a, box); err != nil {
		return nil, problem("runtime_missing", err)
	}
	return a, nil
}

func (r *Roster) probe(ctx context.Context, box *sandbox.Sandbox) sandbox.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rep, ok := r.probes[box.Name()]; ok {
		return rep
	}
	rep := box.Probe(ctx)
	if r.probes == nil {
		r.probes = make(map[string]sandbox.Report)
	}
	r.probes[box.Name()] = rep
	return rep
}

// program checks that a command's program is there, as far as that can be told
// from outside: programs with placeholders or in the workspace cannot.
func program(a *agents.Agent, box *sandbox.Sandbox) error {
	if a.Runtime.Kind != "command" {
		return nil
	}
	name := a.Runtime.Command[0]
	if filepath.IsAbs(name) || filepath.Base(name) == name && name[0] != '{' {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("runtime.command: %w", err)
		}
	}
	return nil
}
