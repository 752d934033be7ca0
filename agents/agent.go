package agents

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// Agent is one worker of a profile.
type Agent struct {
	Name string `yaml:"-" json:"name"`
	Dir  string `yaml:"-" json:"dir"` // its folder

	Description string   `yaml:"description" json:"description,omitzero"`
	Role        string   `yaml:"role" json:"role,omitzero"` // worker (default), orchestrator, reviewer
	Runtime     Runtime  `yaml:"runtime" json:"runtime"`
	Terminal    Terminal `yaml:"terminal" json:"terminal"`
}

// Runtime is how an agent is launched.
type Runtime struct {
	Kind string `yaml:"kind" json:"kind"` // builtin or command
	// Name is which builtin: orchestrator, researcher or writer.
	Name string `yaml:"name" json:"name,omitzero"`
	// Sources is the folder a builtin reads, given to it read-only.
	Sources string `yaml:"sources" json:"sources,omitzero"`
	// Command is the argv of kind command. {workspace} {inputs} {outputs}
	// {task} {run} {board} {socket} and {hermes} are replaced; nothing is ever
	// passed through a shell.
	Command []string `yaml:"command" json:"command,omitzero"`
	Model   string   `yaml:"model" json:"model,omitzero"`
}

// Terminal is where it runs. Keys have the names of the public Python system.
type Terminal struct {
	Backend string            `yaml:"backend" json:"backend,omitzero"`                 // sandbox; empty = the profile's, then bubblewrap
	Mounts  []string          `yaml:"mounts" json:"mounts,omitzero"`                   // host paths, read-only, seen under the same path
	Env     []string          `yaml:"env_passthrough" json:"env_passthrough,omitzero"` // names of variables passed on
	Set     map[string]string `yaml:"env" json:"env,omitzero"`                         // variables set
	Network string            `yaml:"network" json:"network,omitzero"`                 // none (default) or full
	// Requires are capabilities the backend must enforce; see hermes sandbox list.
	Requires []string `yaml:"requires" json:"requires,omitzero"`
}

// Problem is why an agent cannot be started. Code is a hold's reason.
type Problem struct {
	Code   string // agent_unknown, agent_config, runtime_missing, sandbox_gap
	Agent  string
	Detail string
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

var nameRule = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// Load reads agents/<name>/config.yaml below a profile's folder. Any error is a *[Problem].
func Load(profile, name string) (*Agent, error) {
	if !nameRule.MatchString(name) {
		return nil, &Problem{"agent_unknown", name, fmt.Sprintf("%q is not the name of an agent", name)}
	}
	dir := filepath.Join(profile, "agents", name)
	root, err := os.OpenRoot(profile)
	if err != nil {
		return nil, &Problem{"agent_unknown", name, fmt.Sprintf("there is no agent %s: %v", name, err)}
	}
	defer root.Close()
	b, err := root.ReadFile(filepath.Join("agents", name, "config.yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Problem{"agent_unknown", name, fmt.Sprintf("there is no agent %s (no %s)", name, filepath.Join(dir, "config.yaml"))}
	} else if err != nil {
		return nil, &Problem{"agent_config", name, err.Error()}
	}
	a := &Agent{Name: name, Dir: dir}
	if err := yaml.UnmarshalWithOptions(b, a, yaml.Strict()); err != nil {
		return nil, &Problem{"agent_config", name, fmt.Sprintf("%s: %v", filepath.Join(dir, "config.yaml"), err)}
	}
	a.Name, a.Dir = name, dir
	if err := a.Validate(); err != nil {
		return nil, &Problem{"agent_config", name, fmt.Sprintf("%s: %v", filepath.Join(dir, "config.yaml"), err)}
	}
	return a, nil
}

// Save writes the agent's config.yaml below a profile's folder, 0600 in a 0700 folder.
func Save(profile string, a *Agent) error {
	if !nameRule.MatchString(a.Name) {
		return fmt.Errorf("%q is not a name for an agent (want lower-case letters, digits, - and _)", a.Name)
	}
	if err := a.Validate(); err != nil {
		return fmt.Errorf("agent %s: %w", a.Name, err)
	}
	b, err := yaml.Marshal(a)
	if err != nil {
		return fmt.Errorf("agent %s: %w", a.Name, err)
	}
	dir := filepath.Join(profile, "agents", a.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.yaml"), b, 0o600)
}

// List returns the names of a profile's agents, sorted.
func List(profile string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(profile, "agents"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && nameRule.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// Validate reports everything that is wrong with an agent's configuration, joined.
func (a *Agent) Validate() error {
	var errs []error
	bad := func(format string, v ...any) { errs = append(errs, fmt.Errorf(format, v...)) }
	switch a.Role {
	case "", "worker", "orchestrator", "reviewer":
	default:
		bad("role %q is unknown (worker, orchestrator, reviewer)", a.Role)
	}
	r := a.Runtime
	switch r.Kind {
	case "builtin":
		if !slices.Contains([]string{"orchestrator", "researcher", "writer"}, r.Name) {
			bad("runtime.name %q is no builtin agent (orchestrator, researcher, writer)", r.Name)
		}
		if len(r.Command) > 0 {
			bad("runtime builtin cannot honour runtime.command")
		}
		if r.Model != "" {
			bad("runtime builtin cannot honour runtime.model: it calls no model")
		}
		if r.Sources != "" && !filepath.IsAbs(r.Sources) {
			bad("runtime.sources %q is not an absolute path", r.Sources)
		}
	case "command":
		if len(r.Command) == 0 || r.Command[0] == "" {
			bad("runtime command wants runtime.command, the program and its arguments")
		}
		if r.Name != "" || r.Sources != "" {
			bad("runtime command cannot honour runtime.name or runtime.sources")
		}
	case "":
		bad("runtime.kind is missing (builtin, command)")
	default:
		bad("runtime.kind %q is unknown (builtin, command)", r.Kind)
	}
	if _, err := driver.ParseCapabilities(a.Terminal.Requires); err != nil {
		bad("terminal.requires: %w", err)
	}
	for _, m := range a.Terminal.Mounts {
		if !filepath.IsAbs(m) || filepath.Clean(m) != m {
			bad("terminal.mounts: %q is not a clean absolute path", m)
		}
	}
	switch a.Terminal.Network {
	case "", "none", "full":
	default:
		bad("terminal.network %q is unknown (none, full)", a.Terminal.Network)
	}
	return errors.Join(errs...)
}

// EventRole is the agent's role as the log knows it.
func (a *Agent) EventRole() events.Role {
	switch a.Role {
	case "orchestrator":
		return events.RoleOrchestrator
	case "reviewer":
		return events.RoleReviewer
	}
	return events.RoleWorker
}
