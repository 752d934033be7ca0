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

// modelTools are the tools that the model agent has besides its board's, and
// codexTools those that Codex can be given.
var (
	modelTools = []string{"read", "write", "list", "shell"}
	codexTools = []string{"apply_patch", "shell", "view_image"}
)

// problems collects what is wrong with a configuration.
type problems []error

func (p *problems) add(format string, v ...any) { *p = append(*p, fmt.Errorf(format, v...)) }

// Validate reports everything that is wrong with an agent's configuration,
// joined. It looks at the words alone, not at the host.
func (a *Agent) Validate() error {
	var p problems
	if a.Role != "" && !slices.Contains(roles, a.Role) {
		p.add("role %q is unknown (%s)", a.Role, strings.Join(roles, ", "))
	}
	a.Runtime.validate(&p)
	if slices.Contains(Kinds, a.Runtime.Kind) {
		for _, name := range a.unhonoured() {
			p.add("runtime %s cannot honour %s", a.Runtime.Kind, name)
		}
		a.calls(&p)
	}
	if len(a.Instructions) > maxInstructions || strings.ContainsRune(a.Instructions, 0) {
		p.add("instructions: not a text of at most %d bytes", maxInstructions)
	}
	if a.Endpoint != nil {
		a.Endpoint.validate(&p)
	}
	a.Terminal.validate(&p)
	return errors.Join(p...)
}

func (r *Runtime) validate(p *problems) {
	for _, arg := range r.Command {
		if strings.ContainsRune(arg, 0) {
			p.add("runtime.command: %q holds a NUL byte", arg)
		}
	}
	switch r.Kind {
	case "builtin":
		if !slices.Contains(builtins, r.Name) {
			p.add("runtime.name %q is no builtin agent (%s)", r.Name, strings.Join(builtins, ", "))
		}
		if r.Sources != "" {
			hostPath(p, "runtime.sources", r.Sources)
		}
	case "command":
		if len(r.Command) == 0 || r.Command[0] == "" {
			p.add("runtime command wants runtime.command, the program and its arguments")
		}
	case "claude", "codex", "opencode", "hermes":
		if len(r.Command) > 1 || len(r.Command) == 1 && r.Command[0] == "" {
			p.add("runtime.command of runtime %s is the path of its program alone", r.Kind)
		}
		for _, t := range r.Tools {
			if r.Kind == "codex" && !slices.Contains(codexTools, t) {
				p.add("runtime.tools: runtime codex has no tool %q (%s)", t, strings.Join(codexTools, ", "))
			}
		}
		if r.Kind == "hermes" && (len(r.Command) == 0 || r.Version == "") {
			p.add("runtime hermes wants runtime.command, because its program has the name of this one, and runtime.version, because none was tested")
		}
	case "model":
		for _, t := range r.Tools {
			if !slices.Contains(modelTools, t) {
				p.add("runtime.tools: runtime model has no tool %q (%s)", t, strings.Join(modelTools, ", "))
			}
		}
	case "":
		p.add("runtime.kind is missing (%s)", strings.Join(Kinds, ", "))
	default:
		p.add("runtime.kind %q is unknown (%s)", r.Kind, strings.Join(Kinds, ", "))
	}
	if !slices.Contains([]string{"", "keep", "fresh"}, r.Conversation) {
		p.add("runtime.conversation %q is unknown (keep, fresh)", r.Conversation)
	}
	if r.MaxTurns < 0 {
		p.add("runtime.max_turns is negative")
	}
	for key, word := range map[string]string{"model": r.Model, "small_model": r.SmallModel, "version": r.Version} {
		if word != "" && !wordRule.MatchString(word) {
			p.add("runtime.%s: %q is not a name", key, word)
		}
	}
	for _, tool := range r.Tools {
		if !toolRule.MatchString(tool) {
			p.add("runtime.tools: %q is not the name of a tool", tool)
		}
	}
}

// wordRule is for what becomes an argument of a program: it is no flag, and
// nothing a program might read as more than one word.
var wordRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@+~-]{0,199}$`)

// toolRule also admits patterns such as Bash(git log:*).
var toolRule = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,63}(\([^(),\x00-\x1f]{1,200}\))?$`)

// speaks lists the APIs that a runtime can call its model by.
var speaks = map[string][]string{
	"claude": {Anthropic}, "codex": {OpenAIResponses},
	"opencode": {Anthropic, OpenAIResponses, OpenAIChat}, "model": {Anthropic, OpenAIChat},
	"hermes": {OpenAIChat},
}

// SoleAPI is the API by which agents of a runtime call their model, where it
// speaks one only; otherwise it is empty.
func SoleAPI(runtime string) string {
	if apis := speaks[runtime]; len(apis) == 1 {
		return apis[0]
	}
	return ""
}

// calls checks how the runtime reaches its model.
func (a *Agent) calls(p *problems) {
	apis := speaks[a.Runtime.Kind]
	switch {
	case apis == nil:
		return
	case a.Endpoint == nil:
		p.add("runtime %s wants model_endpoint: its model is reached through it alone", a.Runtime.Kind)
	case a.Endpoint.Kind != "" && !slices.Contains(apis, a.Endpoint.Kind):
		p.add("runtime %s cannot honour model_endpoint.kind %s (%s)", a.Runtime.Kind, a.Endpoint.Kind, strings.Join(apis, ", "))
	}
	if a.Runtime.Model == "" && a.Runtime.Kind != "claude" {
		p.add("runtime %s wants runtime.model", a.Runtime.Kind)
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
