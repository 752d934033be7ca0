package agents

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/goccy/go-yaml"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/sandbox"
)

// Agent is one worker of a profile.
type Agent struct {
	Name string `yaml:"-" json:"name"`
	Dir  string `yaml:"-" json:"dir"` // its folder

	Description string `yaml:"description,omitempty" json:"description,omitzero"`
	Role        string `yaml:"role,omitempty" json:"role,omitzero"` // worker (default), orchestrator, reviewer
	// Instructions is what the agent is told besides its task: the name of an
	// .md or .txt file in its folder, or the text itself. Empty = SOUL.md, if
	// there is one.
	Instructions string    `yaml:"instructions,omitempty" json:"instructions,omitzero"`
	Runtime      Runtime   `yaml:"runtime" json:"runtime"`
	Endpoint     *Endpoint `yaml:"model_endpoint,omitempty" json:"model_endpoint,omitzero"` // nil = it calls no model, or one of its own
	Terminal     Terminal  `yaml:"terminal,omitempty" json:"terminal"`

	// Told is the text that Instructions stands for, filled in by Load.
	Told string `yaml:"-" json:"told,omitzero"`
	// NoSkills says that it is given none of its profile's skills.
	NoSkills bool `yaml:"-" json:"no_skills,omitzero"`
}

// Runtime is how an agent is launched. Which kind honours which key is told by
// [Schema].
type Runtime struct {
	Kind string `yaml:"kind" json:"kind"` // one of [Kinds]
	// Name is which builtin: orchestrator, researcher or writer.
	Name string `yaml:"name,omitempty" json:"name,omitzero"`
	// Sources is the folder a builtin reads, given to it read-only.
	Sources string `yaml:"sources,omitempty" json:"sources,omitzero"`
	// Command is the argv of kind command. {workspace} {inputs} {outputs}
	// {task} {run} {board} {socket} and {hermes} are replaced; nothing is ever
	// passed through a shell. Of other kinds it is the path of their program.
	Command    Argv   `yaml:"command,omitempty" json:"command,omitzero"`
	Version    string `yaml:"version,omitempty" json:"version,omitzero"` // of the program; empty = the one that was tested
	Model      string `yaml:"model,omitempty" json:"model,omitzero"`
	SmallModel string `yaml:"small_model,omitempty" json:"small_model,omitzero"` // for side jobs; empty = Model
	// Tools are the runtime's own that the agent may use besides its board's.
	Tools        []string `yaml:"tools,omitempty" json:"tools,omitzero"`
	Conversation string   `yaml:"conversation,omitempty" json:"conversation,omitzero"` // keep (default) or fresh
	MaxTurns     int      `yaml:"max_turns,omitempty" json:"max_turns,omitzero"`       // of the model in one attempt; 0 = no limit
}

// Argv is a program and its arguments; in YAML a single text is the program alone.
type Argv []string

// UnmarshalYAML reads a text or a list of texts.
func (a *Argv) UnmarshalYAML(unmarshal func(any) error) error {
	var program string
	if unmarshal(&program) == nil {
		*a = Argv{program}
		return nil
	}
	return unmarshal((*[]string)(a))
}

// Terminal is where it runs. Keys have the names of the public Python system.
type Terminal struct {
	Backend string            `yaml:"backend,omitempty" json:"backend,omitzero"`                 // sandbox; empty = the profile's, then bubblewrap
	Mounts  []string          `yaml:"mounts,omitempty" json:"mounts,omitzero"`                   // host paths, read-only, seen under the same path
	Env     []string          `yaml:"env_passthrough,omitempty" json:"env_passthrough,omitzero"` // names of variables passed on
	Set     map[string]string `yaml:"env,omitempty" json:"env,omitzero"`                         // variables set
	Network string            `yaml:"network,omitempty" json:"network,omitzero"`                 // none (default), proxy or full
	// AllowHosts are the hosts that network proxy lets through: host, host:port
	// or *.domain; a port left out is 443. Empty = none.
	AllowHosts []string `yaml:"allow_hosts,omitempty" json:"allow_hosts,omitzero"`

	// Limits of a whole run; zero asks for none.
	MemoryMB  int64   `yaml:"container_memory,omitempty" json:"container_memory,omitzero"`
	CPU       float64 `yaml:"container_cpu,omitempty" json:"container_cpu,omitzero"` // in cores
	DiskMB    int64   `yaml:"container_disk,omitempty" json:"container_disk,omitzero"`
	Processes int     `yaml:"container_processes,omitempty" json:"container_processes,omitzero"`

	// Settings of single backends.
	DockerImage      string `yaml:"docker_image,omitempty" json:"docker_image,omitzero"` // docker, podman; runc and gvisor take an archive or a folder
	SingularityImage string `yaml:"singularity_image,omitempty" json:"singularity_image,omitzero"`
	SSHHost          string `yaml:"ssh_host,omitempty" json:"ssh_host,omitzero"`
	SSHPort          int    `yaml:"ssh_port,omitempty" json:"ssh_port,omitzero"`
	SSHUser          string `yaml:"ssh_user,omitempty" json:"ssh_user,omitzero"`
	SSHKey           string `yaml:"ssh_key,omitempty" json:"ssh_key,omitzero"`
	SSHKnownHosts    string `yaml:"ssh_known_hosts,omitempty" json:"ssh_known_hosts,omitzero"`

	// Requires are capabilities the backend must enforce; see hermes sandbox list.
	Requires []string `yaml:"requires,omitempty" json:"requires,omitzero"`
}

// Settings are those of its backend.
func (t *Terminal) Settings() sandbox.Settings {
	return sandbox.Settings{Image: cmp.Or(t.DockerImage, t.SingularityImage), Host: t.SSHHost, Port: t.SSHPort,
		User: t.SSHUser, Key: t.SSHKey, KnownHosts: t.SSHKnownHosts}
}

// Limits are those of one run.
func (t *Terminal) Limits() sandbox.Limits {
	return sandbox.Limits{MemoryBytes: t.MemoryMB << 20, MilliCPUs: int(t.CPU * 1000), DiskBytes: t.DiskMB << 20, Processes: t.Processes}
}

// Problem is why an agent cannot be started. Code is a hold's reason.
type Problem struct {
	Code   string // agent_unknown, agent_config, runtime_missing, sandbox_gap, checking
	Agent  string
	Detail string
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

const (
	configFile     = "config.yaml"
	maxConfigBytes = 1 << 20
	// maxInstructions fits, with all else, into one argument of a program.
	maxInstructions = 64 << 10
)

// Load reads agents/<name>/config.yaml below a profile's folder. Any error is a *[Problem].
func Load(profile, name string) (*Agent, error) {
	problem := func(code, format string, v ...any) (*Agent, error) {
		return nil, &Problem{code, name, fmt.Sprintf(format, v...)}
	}
	if !boards.Slug(name) {
		return problem("agent_unknown", "%q is not the name of an agent", name)
	}
	dir := filepath.Join(profile, "agents", name)
	file := filepath.Join(dir, configFile)
	b, err := readConfig(profile, filepath.Join("agents", name, configFile))
	if errors.Is(err, fs.ErrNotExist) {
		return problem("agent_unknown", "there is no agent %s (no %s)", name, file)
	} else if err != nil {
		return problem("agent_config", "%s: %v", file, err)
	}
	a := &Agent{}
	if err := Decode(b, a, yaml.Strict()); err != nil {
		return problem("agent_config", "%s: %v", file, err)
	}
	a.Name, a.Dir = name, dir
	if err := a.Validate(); err != nil {
		return problem("agent_config", "%s: %v", file, err)
	}
	if a.Told, err = a.instructions(profile); err != nil {
		return problem("agent_config", "agent %s: instructions: %v", name, err)
	}
	return a, nil
}

// instructions finds what the agent is told. Only runtimes that pass it on are
// given it.
func (a *Agent) instructions(profile string) (string, error) {
	if !keys["instructions"].honoured(a.Runtime.Kind) {
		return "", nil
	}
	name := cmp.Or(a.Instructions, "SOUL.md")
	if !instructionsFile(name) {
		return a.Instructions, nil
	}
	b, err := readConfig(profile, filepath.Join("agents", a.Name, name))
	switch {
	case errors.Is(err, fs.ErrNotExist) && a.Instructions == "":
		return "", nil
	case err == nil && len(b) > maxInstructions:
		err = fmt.Errorf("%s has more than %d bytes", name, maxInstructions)
	case err == nil && (!utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0):
		err = fmt.Errorf("%s is not a text", name)
	}
	return string(b), err
}

// instructionsFile tells the name of a file from a text.
func instructionsFile(s string) bool {
	ext := filepath.Ext(s)
	return (ext == ".md" || ext == ".txt") && !strings.ContainsAny(s, " \t\r\n/")
}

// readConfig reads a file of a profile. What leads out of the profile, is not
// a regular file or is too large is refused; a named pipe must not block.
func readConfig(profile, name string) ([]byte, error) {
	root, err := os.OpenRoot(profile)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	b, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err == nil && len(b) > maxConfigBytes {
		err = fmt.Errorf("more than %d bytes", maxConfigBytes)
	}
	return b, err
}

// Save writes the agent's config.yaml below a profile's folder, 0600 in a 0700
// folder. The file is replaced whole.
func Save(profile string, a *Agent) error {
	if !boards.Slug(a.Name) {
		return fmt.Errorf("%q is not a name for an agent (want lower-case letters, digits, - and _)", a.Name)
	}
	if err := a.Validate(); err != nil {
		return fmt.Errorf("agent %s: %w", a.Name, err)
	}
	b, err := yaml.Marshal(a)
	if err != nil {
		return fmt.Errorf("agent %s: %w", a.Name, err)
	}
	root, err := os.OpenRoot(profile)
	if err != nil {
		return fmt.Errorf("agent %s: %w", a.Name, err)
	}
	defer root.Close()
	dir := filepath.Join("agents", a.Name)
	if err := root.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("agent %s: %w", a.Name, err)
	}
	file := filepath.Join(dir, configFile)
	if err := Replace(root, file, b); err != nil {
		return fmt.Errorf("agent %s: %w", a.Name, err)
	}
	return nil
}

// List returns the names of a profile's agents, sorted: the folders that have
// a config.yaml.
func List(profile string) ([]string, error) {
	dir := filepath.Join(profile, "agents")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() || !boards.Slug(e.Name()) {
			continue
		}
		if _, err := os.Lstat(filepath.Join(dir, e.Name(), configFile)); err == nil {
			names = append(names, e.Name())
		}
	}
	return names, err
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

// Metered reports whether it is known what the agent's runs consume: from its
// model endpoint, or from what its program reports.
func (a *Agent) Metered() bool {
	return a.Endpoint != nil || a.Runtime.Kind != "builtin" && a.Runtime.Kind != "command"
}
