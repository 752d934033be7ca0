package runtime

import (
	"encoding/json"
	"io/fs"
	"path"

	"github.com/hermesboard/hermes/agents"
)

// opencode is OpenCode.
type opencode struct{}

func (opencode) Kind() string { return "opencode" }

func (opencode) Version() Version {
	return Version{Program: "opencode", Tested: "1.18.33", Args: []string{"--version"}, Install: "npm install -g opencode-ai@%s"}
}

// opencodeDir is its home in the state folder: it keeps conversations there.
const opencodeDir = "opencode"

// opencodeEnv keeps it from settings of the workspace and from the network.
var opencodeEnv = map[string]string{
	"OPENCODE_DISABLE_PROJECT_CONFIG":  "1", // or the workspace's settings beat ours
	"OPENCODE_DISABLE_AUTOUPDATE":      "1",
	"OPENCODE_DISABLE_MODELS_FETCH":    "1",
	"OPENCODE_DISABLE_LSP_DOWNLOAD":    "1",
	"OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
	"OPENCODE_DISABLE_CLAUDE_CODE":     "1", // no CLAUDE.md, no skills of others
	"OPENCODE_DISABLE_EXTERNAL_SKILLS": "1",
	"OPENCODE_DISABLE_SHARE":           "1",
	"OPENCODE_DISABLE_TERMINAL_TITLE":  "1",
	"OPENCODE_PURE":                    "1", // no plugins
}

// opencodeAPIs are the modules, all part of the program, that speak an API.
var opencodeAPIs = map[string]string{
	agents.Anthropic: "@ai-sdk/anthropic", agents.OpenAIResponses: "@ai-sdk/openai", agents.OpenAIChat: "@ai-sdk/openai-compatible",
}

func (opencode) Plan(f *Facts) (*Plan, error) {
	p := &Plan{Stdin: f.Prompt, Home: opencodeDir, Sweep: []string{".opencode"}, Files: map[string]string{}, Env: map[string]string{
		"OPENCODE_CONFIG": path.Join(f.Places.Config, "opencode.json"), tokenVariable: f.Token,
	}}
	for k, v := range opencodeEnv {
		p.Env[k] = v
	}
	home := path.Join(f.Places.State, opencodeDir)
	for _, dir := range []string{"DATA", "STATE", "CACHE"} {
		p.Env["XDG_"+dir+"_HOME"] = home
	}
	p.Env["XDG_CONFIG_HOME"] = path.Join(f.Places.Config, "xdg") // read-only: the agent leaves no settings to its next attempt
	main, small := f.model(), f.Agent.Runtime.SmallModel
	if small == "" {
		small = main
	}
	permission := object{"*": "deny", kanban + "_*": "allow", "external_directory": object{"*": "deny"}}
	for _, tool := range f.Agent.Runtime.Tools {
		permission[tool] = "allow"
		permission["external_directory"] = f.opencodeFolders()
	}
	config := object{
		"model": "hermes/" + main, "small_model": "hermes/" + small,
		"enabled_providers": []string{"hermes"},
		"provider": object{"hermes": object{
			"npm": opencodeAPIs[f.Agent.Endpoint.Kind], "name": "hermes",
			"options": object{"baseURL": f.BaseURL + "/v1", "apiKey": "{env:" + tokenVariable + "}"},
			"models":  object{main: object{"name": main}, small: object{"name": small}},
		}},
		"mcp":        object{kanban: object{"type": "local", "command": f.tools(), "enabled": true, "timeout": 30_000}},
		"permission": permission,
		"autoupdate": false, "share": "disabled", "snapshot": false, "formatter": false, "lsp": false,
	}
	if file := p.instruct(f); file != "" {
		config["instructions"] = []string{file}
	}
	p.Files["opencode.json"] = pretty(config)
	// Whatever is switched off, it runs plugins that it finds in its working
	// folder. So that is an empty one, and the workspace is a folder elsewhere.
	p.Dir = path.Join(f.Places.Config, "cwd")
	p.Files["cwd/.keep"] = ""
	p.Stdin = "Your workspace is " + f.Places.Workspace + ", which is not your working folder: use absolute paths, and run commands there.\n\n" + p.Stdin
	p.Files["xdg/opencode/.gitignore"] = "*\n" // it would write one, and cannot
	p.Argv = []string{f.Program, "run", "--format", "json", "--title", "task " + f.Task}
	if f.Resume != "" {
		p.Argv = append(p.Argv, "--session", f.Resume)
	}
	return p, nil
}

func (opencode) Kept(state fs.FS, id string) bool {
	return isFile(state, opencodeDir+"/opencode/opencode.db")
}

// opencodeFolders are the folders it may look at, which are all outside of its
// working folder.
func (f *Facts) opencodeFolders() object {
	may := object{"*": "deny"}
	for _, dir := range append([]string{f.Places.Workspace, f.Places.Inputs, f.Places.Outputs, "/tmp"}, f.reads()...) {
		may[dir], may[path.Join(dir, "*")], may[path.Join(dir, "**")] = "allow", "allow", "allow"
	}
	return may
}

type object = map[string]any

// pretty is JSON for a file.
func pretty(v any) string {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // texts, numbers and bools only
	}
	return string(b) + "\n"
}
