package agents

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// DefaultPath is where an agent's programs are looked for unless its terminal
// sets another PATH.
const DefaultPath = "/usr/local/bin:/usr/bin:/bin"

// builtins are the names of the agents inside the binary.
var builtins = []string{"orchestrator", "researcher", "writer"}

// problems collects what is wrong with a configuration.
type problems []error

func (p *problems) add(format string, v ...any) { *p = append(*p, fmt.Errorf(format, v...)) }

// Validate reports everything that is wrong with an agent's configuration,
// joined. It looks at the words alone, not at the host.
func (a *Agent) Validate() error {
	var p problems
	if !slices.Contains([]string{"", "worker", "orchestrator", "reviewer"}, a.Role) {
		p.add("role %q is unknown (worker, orchestrator, reviewer)", a.Role)
	}
	a.Runtime.validate(&p)
	a.Terminal.validate(&p)
	return errors.Join(p...)
}

func (r *Runtime) validate(p *problems) {
	switch r.Kind {
	case "builtin":
		if !slices.Contains(builtins, r.Name) {
			p.add("runtime.name %q is no builtin agent (%s)", r.Name, strings.Join(builtins, ", "))
		}
		if len(r.Command) > 0 {
			p.add("runtime builtin cannot honour runtime.command")
		}
		if r.Model != "" {
			p.add("runtime builtin cannot honour runtime.model: it calls no model")
		}
		if r.Sources != "" {
			hostPath(p, "runtime.sources", r.Sources)
		}
	case "command":
		if len(r.Command) == 0 || r.Command[0] == "" {
			p.add("runtime command wants runtime.command, the program and its arguments")
		}
		for _, arg := range r.Command {
			if strings.ContainsRune(arg, 0) {
				p.add("runtime.command: %q holds a NUL byte", arg)
			}
		}
		if r.Name != "" || r.Sources != "" {
			p.add("runtime command cannot honour runtime.name or runtime.sources")
		}
	case "":
		p.add("runtime.kind is missing (builtin, command)")
	default:
		p.add("runtime.kind %q is unknown (builtin, command)", r.Kind)
	}
}

func (t *Terminal) validate(p *problems) {
	if _, err := driver.ParseCapabilities(t.Requires); err != nil {
		p.add("terminal.requires: %w", err)
	}
	for _, m := range t.Mounts {
		hostPath(p, "terminal.mounts", m)
	}
	for _, name := range t.Env {
		variable(p, "terminal.env_passthrough", name)
		if _, ok := t.Set[name]; ok {
			p.add("terminal.env_passthrough: %s is also set by terminal.env", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Set)) {
		variable(p, "terminal.env", name)
		if strings.ContainsRune(t.Set[name], 0) {
			p.add("terminal.env: %s holds a NUL byte", name)
		}
	}
	if !slices.Contains([]string{"", "none", "proxy", "full"}, t.Network) {
		p.add("terminal.network %q is unknown (none, proxy, full)", t.Network)
	}
	if len(t.AllowHosts) > 0 && t.Network != "proxy" {
		p.add("terminal.allow_hosts wants terminal.network proxy")
	}
	if min(float64(t.MemoryMB), t.CPU, float64(t.DiskMB), float64(t.Processes)) < 0 {
		p.add("terminal: a limit is negative")
	}
	if t.DockerImage != "" && t.SingularityImage != "" {
		p.add("terminal.docker_image and terminal.singularity_image are both given")
	}
	if t.SSHPort < 0 || t.SSHPort > 65535 {
		p.add("terminal.ssh_port %d is no port", t.SSHPort)
	}
	for key, file := range map[string]string{"terminal.ssh_key": t.SSHKey, "terminal.ssh_known_hosts": t.SSHKnownHosts} {
		if file != "" {
			hostPath(p, key, file)
		}
	}
}

func hostPath(p *problems, key, path string) {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || path == "/" || strings.ContainsRune(path, 0) {
		p.add("%s: %q is not a clean absolute path below /", key, path)
	}
}

var variableRule = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// variable refuses names that an agent's world is described by: whoever sets
// them would tell it another run's.
func variable(p *problems, key, name string) {
	switch {
	case !variableRule.MatchString(name):
		p.add("%s: %q is not the name of a variable", key, name)
	case strings.HasPrefix(name, "HERMES_") || name == "PWD":
		p.add("%s: %s is set by hermes itself", key, name)
	}
}
