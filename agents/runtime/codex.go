package runtime

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// codex is Codex.
type codex struct{}

func (codex) Kind() string { return "codex" }

func (codex) Version() Version {
	return Version{Program: "codex", Tested: "0.169.0", Args: []string{"--version"}, Install: "npm install -g @openai/codex@%s"}
}

// codexDir is its home in the state folder: it keeps conversations there.
const codexDir = "codex"

// codexFlags: its own sandbox is not wanted inside ours, and with nobody to
// ask, what is not bypassed is refused. What it may do is decided by the
// tools it has and by our sandbox.
var codexFlags = []string{"--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--ignore-user-config", "--ignore-rules"}

// codexOff are features that would give it more than the plan says.
var codexOff = []string{"apps", "plugins", "hooks", "multi_agent", "memories", "goals", "tool_suggest", "skill_search",
	"image_generation", "browser_use", "computer_use", "in_app_browser", "sleep_tool", "shell_snapshot",
	"workspace_dependencies", "skill_mcp_dependency_install", "remote_plugin", "enable_request_compression"}

// codexSettings are what it would read in its home.
var codexSettings = []string{"AGENTS.md", "AGENTS.override.md", "config.toml", "hooks.json", "rules", "skills", "plugins", "prompts", "memories"}

// codexBase is what it is told where its own catalog would have a text for
// each model.
const codexBase = `You are an agent that works alone, in a folder, on one task. Use the tools you are given; you have no others. Look before you change something, check what you did, and be brief: what counts is what you do, not what you say.`

// codexModel describes the model to it. Its own catalog would decide by the
// model's name which tools there are, and hide ours behind a search.
func codexModel(f *Facts) object {
	has := func(tool string, is, not any) any {
		if slices.Contains(f.Agent.Runtime.Tools, tool) {
			return is
		}
		return not
	}
	name := f.model()
	return object{
		"slug": name, "display_name": name, "description": name, "visibility": "list", "supported_in_api": true, "priority": 1,
		"supported_reasoning_levels": []any{}, "default_reasoning_summary": "none", "supports_reasoning_summaries": false,
		"base_instructions": codexBase, "support_verbosity": false,
		"shell_type":            has("shell", "unified_exec", "disabled"),
		"apply_patch_tool_type": has("apply_patch", "freeform", nil),
		"input_modalities":      has("view_image", []string{"text", "image"}, []string{"text"}),
		"truncation_policy":     object{"mode": "tokens", "limit": 10_000},
		"context_window":        200_000, "experimental_supported_tools": []any{},
		"supports_parallel_tool_calls": true, "supports_search_tool": false,
	}
}

func (codex) Plan(f *Facts) (*Plan, error) {
	p := &Plan{Stdin: f.Prompt, Home: codexDir, Sweep: sweep(codexDir, codexSettings), Files: map[string]string{
		"models.json": pretty(object{"models": []any{codexModel(f)}}),
	}, Env: map[string]string{"CODEX_HOME": path.Join(f.Places.State, codexDir), tokenVariable: f.Token}}
	args := append([]string{f.Program, "exec"}, codexFlags...)
	args = append(args, "--model", f.model())
	set := func(key string, value any) { args = append(args, "-c", key+"="+toml(value)) }
	set("model_catalog_json", path.Join(f.Places.Config, "models.json"))
	set("model_provider", "hermes")
	set("model_providers.hermes.name", "hermes")
	set("model_providers.hermes.base_url", f.BaseURL+"/v1")
	set("model_providers.hermes.env_key", tokenVariable)
	set("model_providers.hermes.wire_api", "responses")
	set("model_providers.hermes.request_max_retries", 0) // the stream's are enough
	set("model_providers.hermes.stream_max_retries", 3)
	serve := f.tools()
	set("mcp_servers."+kanban+".command", serve[0])
	set("mcp_servers."+kanban+".args", serve[1:])
	set("mcp_servers."+kanban+".required", true) // or it goes to work without its board
	set("mcp_servers."+kanban+".startup_timeout_sec", 30)
	set("mcp_servers."+kanban+".tool_timeout_sec", 180)
	set("mcp_servers."+kanban+".default_tools_approval_mode", "approve")
	set("projects."+toml(f.Places.Workspace)+".trust_level", "untrusted") // its .codex is not read
	set("project_doc_max_bytes", 0)                                       // nor its AGENTS.md
	set("web_search", "disabled")
	set("check_for_update_on_startup", false)
	set("analytics.enabled", false)
	set("history.persistence", "none")
	if told := f.told(); told != "" {
		set("developer_instructions", told)
	}
	for _, feature := range codexOff {
		set("features."+feature, false)
	}
	set("features.shell_tool", slices.Contains(f.Agent.Runtime.Tools, "shell"))
	set("features.view_image", slices.Contains(f.Agent.Runtime.Tools, "view_image"))
	if f.Resume != "" {
		args = append(args, "resume", f.Resume)
	}
	p.Argv = append(args, "-") // the prompt is read from standard input
	return p, nil
}

func (codex) Kept(state fs.FS, id string) bool {
	return anyFile(state, codexDir+"/sessions/*/*/*/rollout-*-"+id+".jsonl")
}

// toml writes a text, number, bool or list of texts. JSON is TOML here.
func toml(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("%T is not for a setting", v))
	}
	return strings.ReplaceAll(string(b), "\x7f", `\u007f`)
}
