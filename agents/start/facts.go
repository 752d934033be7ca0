package start

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/runtime"
	"github.com/hermesboard/hermes/agents/supervise"
	"github.com/hermesboard/hermes/agents/workspace"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// probeAgain is after how long a sandbox that did not work is tried again.
const probeAgain = 30 * time.Second

// Roster answers whether the agents of a profile can be started here. Probes
// of sandboxes are kept; configuration is read each time. It is safe for
// concurrent use.
type Roster struct {
	Profile   string
	Load      func(name string) (*agents.Agent, error) // reads an agent; nil = as it stands in Profile
	Default   string                                   // backend of agents that name none
	Sandboxes *sandbox.Registry
	// Background, if set, is that in which programs are asked for their version:
	// [Roster.Agent] does not wait for it and answers with the problem "checking"
	// meanwhile. Whoever ends it calls Wait.
	Background context.Context

	mu     sync.Mutex
	probes map[backend]probed // guarded by mu

	versions printed // of programs

	trying sync.Mutex
	gits   map[place]tried // guarded by trying
}

// backend is one as an agent's settings want it.
type backend struct {
	name string
	set  sandbox.Settings
}

// place is where an agent looks for its programs.
type place struct {
	backend
	agent, search, mounts string
}

type tried struct {
	err   error
	until time.Time // zero = for ever
}

type probed struct {
	report sandbox.Report
	until  time.Time // zero = for ever
}

// load reads an agent's configuration.
func load(as func(string) (*agents.Agent, error), profile, name string) (*agents.Agent, error) {
	if as != nil {
		return as(name)
	}
	return agents.Load(profile, name)
}

// Agent returns an agent that can be started, with its backend filled in, or a
// *[agents.Problem].
func (r *Roster) Agent(ctx context.Context, name string) (*agents.Agent, error) {
	a, err := load(r.Load, r.Profile, name)
	if err != nil {
		return nil, err
	}
	if a.Terminal.Backend == "" {
		a.Terminal.Backend = r.Default
	}
	problem := func(code string, err error) error {
		return &agents.Problem{Code: code, Agent: name, Detail: fmt.Sprintf("agent %s: %v", name, err)}
	}
	box, err := r.Sandboxes.Open(a.Terminal.Backend, a.Terminal.Settings())
	if err != nil {
		return nil, problem("sandbox_gap", err)
	}
	a.Terminal.Backend = box.Name() // not an alias
	need, err := needs(a, box)
	if err != nil {
		return nil, problem("agent_config", err)
	}
	if err := box.Check(need); err != nil {
		return nil, problem("sandbox_gap", err)
	}
	// A backend that isolates nothing has nothing to prove, and can be tried
	// only by a supervisor, which this process is not.
	if rep := r.probe(ctx, box, a.Terminal.Settings()); box.Name() != "local" && !rep.Available {
		return nil, problem("sandbox_gap", fmt.Errorf("sandbox %s does not work here: %s", box.Name(), rep.Reason))
	}
	if err := folders(a); err != nil {
		return nil, problem("agent_config", err)
	}
	if err := program(a, box); err != nil {
		return nil, problem("runtime_missing", err)
	}
	if _, err := supervise.Credential(a); err != nil {
		return nil, problem("agent_config", err)
	}
	if err := r.runs(ctx, a, box); errors.Is(err, errChecking) {
		return nil, problem("checking", err)
	} else if err != nil {
		return nil, problem("runtime_missing", err)
	}
	return a, nil
}

// Fits reports whether an agent can work in a workspace: for a clone it needs
// git. The error is a *[agents.Problem]. The first time it tries that out in the
// agent's sandbox; what does not work is tried again after a while.
func (r *Roster) Fits(ctx context.Context, name string, w events.Workspace) error {
	if w.Kind != events.Repo {
		return nil
	}
	a, err := r.Agent(ctx, name)
	if err != nil {
		return err
	}
	box, err := r.Sandboxes.Open(a.Terminal.Backend, a.Terminal.Settings())
	if err != nil {
		return &agents.Problem{Code: "sandbox_gap", Agent: name, Detail: fmt.Sprintf("agent %s: %v", name, err)}
	}
	r.trying.Lock()
	defer r.trying.Unlock()
	where := place{backend{box.Name(), a.Terminal.Settings()}, name, searchPath(a), strings.Join(a.Terminal.Mounts, "\x00")}
	if t, ok := r.gits[where]; ok && (t.until.IsZero() || time.Now().Before(t.until)) {
		return t.err
	}
	t := tried{err: workspace.Check(ctx, a, where.search, box)}
	if ctx.Err() != nil {
		return t.err // says nothing about the sandbox
	}
	if t.err != nil {
		t.until = time.Now().Add(probeAgain)
	}
	if r.gits == nil {
		r.gits = make(map[place]tried)
	}
	r.gits[where] = t
	return t.err
}

// needs is what an agent's sandbox must enforce. A sandbox that isolates
// nothing was chosen by name; it has the host's network unless none is asked for.
func needs(a *agents.Agent, box *sandbox.Sandbox) (driver.Capabilities, error) {
	need, err := driver.ParseCapabilities(a.Terminal.Requires)
	need |= driver.Socket | sandbox.Needs(&sandbox.Spec{Limits: a.Terminal.Limits(), Network: sandbox.FullNetwork})&^driver.NetworkFull
	switch isolated := box.Capabilities().Has(driver.Files); {
	case a.Terminal.Network == "proxy":
		need |= driver.NetworkProxy
	case a.Terminal.Network == "full" && a.Endpoint != nil && isolated:
		err = cmp.Or(err, errors.New("terminal.network full and model_endpoint are at odds: the endpoint is reached on a loopback that is the sandbox's own; set terminal.network to proxy and name the hosts in terminal.allow_hosts"))
	case a.Terminal.Network == "none", a.Terminal.Network == "" && isolated:
		need |= driver.NetworkNone
	default:
		need |= driver.NetworkFull
	}
	return need, err
}

func (r *Roster) probe(ctx context.Context, box *sandbox.Sandbox, set sandbox.Settings) sandbox.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	which := backend{box.Name(), set}
	if p, ok := r.probes[which]; ok && (p.until.IsZero() || time.Now().Before(p.until)) {
		return p.report
	}
	p := probed{report: box.Probe(ctx)}
	if ctx.Err() != nil {
		return p.report // says nothing about the sandbox
	}
	if !p.report.Available {
		p.until = time.Now().Add(probeAgain)
	}
	if r.probes == nil {
		r.probes = make(map[backend]probed)
	}
	r.probes[which] = p
	return p.report
}

// folders checks that what an agent is to be given is there.
func folders(a *agents.Agent) error {
	paths := a.Terminal.Mounts
	if s := a.Runtime.Sources; s != "" {
		paths = append([]string{s}, paths...)
	}
	for _, p := range paths {
		if _, err := os.Stat(p); err != nil {
			return err
		}
	}
	return nil
}

// program checks that a command's program is there, as far as that can be told
// from outside: one with placeholders, or below the workspace, cannot. An
// isolated agent sees of the host's programs those of the system and those in
// its mounts.
func program(a *agents.Agent, box *sandbox.Sandbox) error {
	if a.Runtime.Kind != "command" {
		return nil
	}
	name := a.Runtime.Command[0]
	if strings.Contains(name, "{") || strings.Contains(name, "/") && !filepath.IsAbs(name) {
		return nil
	}
	found, err := runtime.LookPath(name, searchPath(a))
	if err != nil {
		return fmt.Errorf("runtime.command: %w", err)
	}
	if !box.Capabilities().Has(driver.Files) {
		return nil
	}
	real, err := filepath.EvalSymlinks(found)
	if err != nil {
		return fmt.Errorf("runtime.command: %w", err)
	}
	for _, p := range []string{found, real} {
		if !visible(p, a.Terminal.Mounts) {
			return fmt.Errorf("runtime.command: %s is not seen inside sandbox %s; add its folder to terminal.mounts", p, box.Name())
		}
	}
	return nil
}

func searchPath(a *agents.Agent) string {
	if p, ok := a.Terminal.Set["PATH"]; ok {
		return p
	}
	for _, name := range a.Terminal.Env {
		if p := os.Getenv(name); name == "PATH" && p != "" {
			return p
		}
	}
	return agents.DefaultPath
}

func visible(path string, mounts []string) bool {
	for _, dir := range append([]string{"/usr", "/bin", "/sbin", "/lib", "/lib64"}, mounts...) {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}
