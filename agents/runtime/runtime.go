package runtime

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/agents"
)

// Adapter is one kind of runtime. It has no state and is safe for concurrent use.
type Adapter interface {
	// Kind is the runtime's name in a configuration.
	Kind() string

	// Version says which program is wanted and how to ask it. It is zero for
	// runtimes that are part of hermes and for command, whose program is the
	// operator's affair.
	Version() Version

	// Plan says how an attempt is launched. The facts were made from a valid
	// agent of this kind. An error means that the attempt cannot be launched
	// as configured.
	Plan(f *Facts) (*Plan, error)

	// Kept reports whether a state folder has what it takes to go on with a
	// conversation. The folder was written by an agent: it is looked at, and
	// not believed.
	Kept(state fs.FS, conversation string) bool

	// read takes one line of output, which is JSON, and returns what a person
	// should read of it; false if the line is not one that it knows.
	read(line []byte, s *Summary) (string, bool)
}

// Facts is what a plan is made from. Paths are as seen inside the sandbox.
type Facts struct {
	Agent  *agents.Agent
	Model  string // instead of the agent's; empty = the agent's
	Prompt string // what the agent is told first; see [Prompt]

	Begin  string // id for a new conversation, from [NewConversation]
	Resume string // id of the conversation to go on with; empty = begin

	Turns  int   // at most so many answers of the model; 0 = as the agent says
	Budget int64 // millionths of a dollar that the program shall stop at by itself; 0 = leave it to the endpoint

	BaseURL string // where the model is, without /v1: http://127.0.0.1:8787
	Token   string // what the endpoint knows the attempt by

	Task, Run, Board string
	Program          string   // absolute, of runtimes that have one
	Mounts           []string // host paths shown read-only
	Skills           []Skill  // what it can read up on
	Places           Places
}

// Places are the folders of an attempt, and what lies in them.
type Places struct {
	Hermes    string // the program
	Socket    string // of the worker
	Workspace string
	Inputs    string
	Outputs   string
	State     string // kept between attempts, writable
	Config    string // the plan's files, read-only
}

// Plan is how an attempt is launched.
type Plan struct {
	Argv  []string
	Dir   string // to start in; empty = the workspace
	Env   map[string]string
	Files map[string]string // by their names in Places.Config; none of them is secret
	Home  string            // a folder of this name must be in the state folder; empty = none
	Sweep []string          // may not be in the state folder: an agent could have left settings for its next attempt
	Keep  map[string]string // files in the state folder, written anew, of programs that want them there
	Stdin string

	// Conversation is the id that the conversation will have; empty if the
	// program will say so in its output.
	Conversation string
}

// Lay makes the host's state and config folders what the plan says; both must
// be there, and config be empty. It follows no link out of them: an agent could
// write to the state folder before.
func (p *Plan) Lay(state, config string) error {
	root, err := os.OpenRoot(state)
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	defer root.Close()
	for _, name := range p.Sweep {
		if err := root.RemoveAll(name); err != nil {
			return fmt.Errorf("state folder: %w", err)
		}
	}
	if p.Home != "" {
		if info, err := root.Lstat(p.Home); err == nil && !info.IsDir() {
			if err := root.Remove(p.Home); err != nil {
				return fmt.Errorf("state folder: %w", err)
			}
		}
		if err := root.MkdirAll(p.Home, 0o700); err != nil {
			return fmt.Errorf("state folder: %w", err)
		}
	}
	for name, text := range p.Keep {
		if err := root.RemoveAll(name); err != nil {
			return fmt.Errorf("state folder: %w", err)
		}
		if err := root.WriteFile(name, []byte(text), 0o600); err != nil {
			return fmt.Errorf("state folder: %w", err)
		}
	}
	for name, text := range p.Files {
		file := filepath.Join(config, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return fmt.Errorf("files of the plan: %w", err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return fmt.Errorf("files of the plan: %w", err)
		}
	}
	return nil
}

// adapters are all there are.
var adapters = map[string]Adapter{
	"builtin": builtin{}, "claude": claude{}, "codex": codex{}, "command": command{},
	"hermes": python{}, "model": model{}, "opencode": opencode{},
}

// For finds the adapter of a kind.
func For(kind string) (Adapter, error) {
	a, ok := adapters[kind]
	if !ok {
		return nil, fmt.Errorf("runtime %q is unknown (%s)", kind, strings.Join(slices.Sorted(maps.Keys(adapters)), ", "))
	}
	return a, nil
}

// model is the model of the attempt; empty is the program's own choice.
func (f *Facts) model() string {
	if f.Model != "" {
		return f.Model
	}
	return f.Agent.Runtime.Model
}

func (f *Facts) turns() int {
	if f.Turns == 0 || f.Agent.Runtime.MaxTurns != 0 && f.Agent.Runtime.MaxTurns < f.Turns {
		return f.Agent.Runtime.MaxTurns
	}
	return f.Turns
}

// conversation is the id of the conversation, of programs that let us choose.
func (f *Facts) conversation() string {
	if f.Resume != "" {
		return f.Resume
	}
	return f.Begin
}

// kanban is the name of our MCP server with every program: what a model sees
// its tools by begins with it.
const kanban = "kanban"

// tools is the command that serves the tools of the board. Everything is in
// its arguments: not every program passes its environment on.
func (f *Facts) tools() []string {
	return []string{f.Places.Hermes, "worker", "mcp", "--socket", f.Places.Socket, "--outputs", f.Places.Outputs}
}

// instructionsFile is the plan's file with what the agent is told besides its task.
const instructionsFile = "instructions.md"

// instruct adds what the agent is told to the plan and returns where it is;
// empty if it is told nothing.
func (p *Plan) instruct(f *Facts) string {
	told := f.told()
	if told == "" {
		return ""
	}
	p.Files[instructionsFile] = told
	return path.Join(f.Places.Config, instructionsFile)
}

// sweep lists names in a folder.
func sweep(dir string, names []string) (out []string) {
	for _, n := range names {
		out = append(out, path.Join(dir, n))
	}
	return out
}
