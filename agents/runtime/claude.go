package runtime

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// claude is Claude Code.
type claude struct{}

func (claude) Kind() string { return "claude" }

func (claude) Version() Version {
	return Version{Program: "claude", Tested: "2.1.330", Args: []string{"--version"}, Install: "npm install -g @anthropic-ai/claude-code@%s"}
}

// claudeDir is its configuration in the state folder: it keeps conversations there.
const claudeDir = "claude"

// claudeSettings are what it would read there.
var claudeSettings = []string{".claude.json", "settings.json", "CLAUDE.md", "agents", "commands", "hooks", "plugins", "rules", "skills"}

// claudeEnv is the same for every attempt.
var claudeEnv = map[string]string{
	"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", // telemetry to the same host
	"CLAUDE_CODE_DISABLE_CLAUDE_MDS":           "1", // words of the workspace as instructions
	"CLAUDE_CODE_DISABLE_AUTO_MEMORY":          "1",
	"CLAUDE_CODE_MAX_RETRIES":                  "3", // or it would try for minutes what cannot succeed
	"DISABLE_AUTOUPDATER":                      "1",
	"ENABLE_TOOL_SEARCH":                       "false", // or it hides our tools behind a search
	"MCP_TIMEOUT":                              "30000",
	"MCP_TOOL_TIMEOUT":                         "180000",
	"XDG_CACHE_HOME":                           "/tmp/.cache",
}

// claudeFlags keep it from everything but the plan: no settings, hooks or
// files of instructions (restricted, setting-sources), no other servers
// (strict-mcp-config), and a no to whatever nobody allowed (dontAsk). Its
// minimal mode (bare) would do the same, but has three tools of its own only.
var claudeFlags = []string{"-p", "--output-format", "stream-json", "--verbose",
	"--restricted", "--setting-sources", "", "--strict-mcp-config", "--permission-mode", "dontAsk", "--disable-slash-commands"}

func (claude) Plan(f *Facts) (*Plan, error) {
	p := &Plan{Stdin: f.Prompt, Conversation: f.conversation(), Home: claudeDir, Sweep: sweep(claudeDir, claudeSettings), Files: map[string]string{}, Env: map[string]string{
		"CLAUDE_CONFIG_DIR": path.Join(f.Places.State, claudeDir), "ANTHROPIC_BASE_URL": f.BaseURL, "ANTHROPIC_API_KEY": f.Token,
	}}
	for k, v := range claudeEnv {
		p.Env[k] = v
	}
	if small := f.Agent.Runtime.SmallModel; small != "" {
		p.Env["ANTHROPIC_DEFAULT_HAIKU_MODEL"] = small
	} else if m := f.model(); m != "" {
		p.Env["ANTHROPIC_DEFAULT_HAIKU_MODEL"] = m
	}
	serve := f.tools()
	p.Files["mcp.json"] = pretty(object{"mcpServers": object{kanban: object{
		"command": serve[0], "args": serve[1:], "alwaysLoad": true,
	}}})

	args := append([]string{f.Program}, claudeFlags...)
	args = append(args, "--mcp-config", path.Join(f.Places.Config, "mcp.json"))
	if f.Resume != "" {
		args = append(args, "--resume", f.Resume)
	} else {
		args = append(args, "--session-id", f.Begin)
	}
	if m := f.model(); m != "" {
		args = append(args, "--model", m)
	}
	if file := p.instruct(f); file != "" {
		args = append(args, "--append-system-prompt-file", file)
	}
	if n := f.turns(); n > 0 {
		args = append(args, "--max-turns", strconv.Itoa(n))
	}
	if f.Budget > 0 {
		args = append(args, "--max-budget-usd", dollars(f.Budget))
	}
	for _, m := range f.reads() {
		args = append(args, "--add-dir", m)
	}
	// Lists are last: these flags take all that follows.
	names := make([]string, len(f.Agent.Runtime.Tools))
	for i, t := range f.Agent.Runtime.Tools {
		names[i], _, _ = strings.Cut(t, "(")
	}
	args = append(args, "--tools", strings.Join(names, ","))
	p.Argv = append(append(args, "--allowedTools", "mcp__"+kanban), f.Agent.Runtime.Tools...)
	return p, nil
}

func (claude) Kept(state fs.FS, id string) bool {
	return anyFile(state, claudeDir+"/projects/*/"+id+".jsonl")
}
