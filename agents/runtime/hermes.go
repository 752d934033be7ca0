package runtime

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// python is the public Hermes agent. Its program has the name of ours, so its
// path is always given; no version of it was tested, so that is given, too.
type python struct{ plain }

func (python) Kind() string { return "hermes" }

func (python) Version() Version {
	return Version{Program: "hermes-agent", Args: []string{"--version"}, Install: "pip install git+https://github.com/NousResearch/hermes-agent@v%s"}
}

// pythonDir is its home in the state folder.
const pythonDir = "hermes"

// pythonSettings are what it would read there besides the configuration that
// each attempt writes anew.
var pythonSettings = []string{".env", "auth.json", "SOUL.md", "skills", "hooks", "plugins", "cron"}

func (python) Plan(f *Facts) (*Plan, error) {
	home := path.Join(f.Places.State, pythonDir)
	serve := f.tools()
	config := object{
		"model": object{"provider": "custom", "default": f.model(), "base_url": f.BaseURL + "/v1", "key_env": tokenVariable},
		"mcp_servers": object{kanban: object{
			"command": serve[0], "args": serve[1:], "timeout": 180, "connect_timeout": 30,
		}},
		"approvals": object{"mode": "off"}, // nobody is there to be asked; the sandbox and the toolsets are the limit
		"terminal":  object{"backend": "local", "cwd": f.Places.Workspace},
	}
	p := &Plan{
		Env:   map[string]string{"HERMES_HOME": home, tokenVariable: f.Token, "OPENAI_API_KEY": f.Token, "OPENAI_BASE_URL": f.BaseURL + "/v1"},
		Home:  pythonDir,
		Sweep: sweep(pythonDir, pythonSettings),
		Keep:  map[string]string{pythonDir + "/config.yaml": pretty(config)}, // JSON is YAML
		Stdin: f.Prompt,

		Conversation: f.conversation(),
	}
	if told := f.told(); told != "" { // what it reads by itself is switched off with the workspace's
		p.Stdin = "Your instructions:\n\n" + told + "\n\n" + f.Prompt
	}
	p.Argv = []string{f.Program, "chat", "--query-file", "-", "--quiet", "--ignore-rules", "--source", "tool",
		"--model", f.model(), "--continue", p.Conversation, "--create-if-missing",
		"--toolsets", strings.Join(append([]string{"mcp-" + kanban}, f.Agent.Runtime.Tools...), ",")}
	if n := f.turns(); n > 0 {
		p.Argv = append(p.Argv, "--max-turns", strconv.Itoa(n))
	}
	return p, nil
}

func (python) Kept(state fs.FS, id string) bool { return isFile(state, pythonDir+"/state.db") }
