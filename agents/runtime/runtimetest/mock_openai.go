package runtimetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/agents"
)

// mockCodexArgs reads "exec FLAGS [resume ID] -" and the settings in it.
func mockCodexArgs(args []string) (set map[string]any, model, resume string, flags []string, err error) {
	set = map[string]any{}
	for i := 1; i < len(args); i++ {
		switch a := args[i]; a {
		case "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--ignore-user-config", "--ignore-rules":
			flags = append(flags, a)
		case "--model":
			i++
			model = args[i]
		case "-c":
			i++
			key, value, _ := strings.Cut(args[i], "=")
			var v any
			if err := json.Unmarshal([]byte(value), &v); err != nil {
				return nil, "", "", nil, fmt.Errorf("%s: %w", args[i], err)
			}
			set[key] = v
		case "resume":
			i++
			resume = args[i]
		case "-":
			return set, model, resume, flags, nil
		default:
			return nil, "", "", nil, fmt.Errorf("unexpected argument %q", a)
		}
	}
	return nil, "", "", nil, errors.New("no prompt")
}

func mockCodex(args []string) int {
	if slices.Equal(args, []string{"--version"}) {
		fmt.Println("codex-cli 0.169.0")
		return 0
	}
	set, model, resume, flags, err := mockCodexArgs(args)
	home := os.Getenv("CODEX_HOME")
	if _, statErr := os.Stat(home); err != nil || statErr != nil || len(flags) != 5 {
		fmt.Fprintln(os.Stderr, "codex:", err, statErr, flags)
		return 2
	}
	text := func(key string) string { s, _ := set[key].(string); return s }
	l := &loop{api: agents.OpenAIResponses, url: strings.TrimSuffix(text("model_providers.hermes.base_url"), "/v1"), key: os.Getenv(text("model_providers.hermes.env_key")),
		model: model, space: "mcp__kanban", system: text("developer_instructions") + told(filepath.Join(home, "AGENTS.md"))}
	if set["project_doc_max_bytes"] != 0.0 {
		l.system += told("AGENTS.md")
	}
	var catalog struct {
		Models []struct {
			Slug                 string
			Shell_type           string
			Supports_search_tool bool
		}
	}
	load(text("model_catalog_json"), &catalog)
	if len(catalog.Models) != 1 || catalog.Models[0].Slug != model {
		fmt.Fprintln(os.Stderr, "codex: unknown model")
		return 1
	}
	argv := []string{text("mcp_servers.kanban.command")}
	for _, a := range set["mcp_servers.kanban.args"].([]any) {
		argv = append(argv, a.(string))
	}
	defer l.close()
	if err := l.connect(argv); err != nil && set["mcp_servers.kanban.required"] == true {
		fmt.Fprintln(os.Stderr, "Error: required MCP servers failed to initialize: kanban")
		return 1
	}
	if catalog.Models[0].Supports_search_tool || text("mcp_servers.kanban.default_tools_approval_mode") != "approve" {
		l.tools = nil
	}
	l.own = map[string]func(map[string]any) string{"request_user_input": func(map[string]any) string { return "nobody is there" }}
	if catalog.Models[0].Shell_type == "unified_exec" && set["features.shell_tool"] == true {
		l.own["exec_command"] = func(a map[string]any) string { return shell(a["cmd"].(string)) }
	}
	id := resume
	if id == "" {
		id = fmt.Sprintf("01a204ec-7592-7dc3-8287-%012d", os.Getpid())
	}
	file := filepath.Join(home, "sessions", "2026", "11", "22", "rollout-2026-11-22T20-00-00-"+id+".jsonl")
	if known := load(file, &l.history); known != (resume != "") {
		fmt.Fprintln(os.Stderr, "codex: no rollout found")
		return 1
	}
	emit(object{"type": "thread.started", "thread_id": id})
	emit(object{"type": "turn.started"})
	item := func(i object) { emit(object{"type": "item.completed", "item": i}) }
	l.onText = func(s string) { item(object{"type": "agent_message", "text": s}) }
	l.onTurn = func(agents.Tokens) {}
	l.onCall = func(tool string, args json.RawMessage, answer string, failed bool) {
		i := object{"type": "mcp_tool_call", "server": "kanban", "tool": tool, "arguments": args, "result": object{"content": []any{object{"type": "text", "text": answer}}}, "error": nil}
		if failed {
			i["error"] = object{"message": answer}
		}
		item(i)
	}
	err = l.run(stdin())
	for retry := 1; retry <= 3 && isRefusal(err); retry++ {
		emit(object{"type": "error", "message": fmt.Sprintf("Reconnecting... %d/3 (%v)", retry, err)})
		l.history = l.history[:len(l.history)-1]
		err = l.run(lastPrompt)
	}
	save(file, l.history)
	if err != nil {
		emit(object{"type": "turn.failed", "error": object{"message": "unexpected status: " + err.Error()}})
		return 1
	}
	emit(object{"type": "turn.completed", "usage": object{"input_tokens": l.tokens.Input + l.tokens.CacheRead, "cached_input_tokens": l.tokens.CacheRead, "output_tokens": l.tokens.Output}})
	return 0
}

// mockConfig is OpenCode's, as far as it matters.
type mockConfig struct {
	Model    string
	Provider map[string]struct {
		Options struct{ BaseURL, APIKey string }
	}
	MCP        map[string]struct{ Command []string }
	Permission map[string]any

	Instructions []string
}

func mockOpencode(args []string) int {
	if slices.Equal(args, []string{"--version"}) {
		fmt.Println("1.18.33")
		return 0
	}
	if len(args) < 5 || !slices.Equal(args[:4], []string{"run", "--format", "json", "--title"}) {
		fmt.Fprintln(os.Stderr, "opencode: unexpected arguments", args)
		return 1
	}
	resume := ""
	if len(args) == 7 && args[5] == "--session" {
		resume = args[6]
	}
	var c mockConfig
	load(os.Getenv("OPENCODE_CONFIG"), &c)
	more := []string{filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "opencode", "opencode.json")}
	if os.Getenv("OPENCODE_DISABLE_PROJECT_CONFIG") != "1" {
		more = append(more, "opencode.json")
	}
	for _, file := range more {
		load(file, &c)
	}
	provider := c.Provider["hermes"].Options
	l := &loop{api: agents.OpenAIChat, url: strings.TrimSuffix(provider.BaseURL, "/v1"), key: os.Getenv(strings.Trim(strings.TrimPrefix(provider.APIKey, "{env:"), "}")),
		model: strings.TrimPrefix(c.Model, "hermes/"), prefix: "kanban_",
		system: told(append(c.Instructions, filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "opencode", "AGENTS.md"))...)}
	if os.Getenv("OPENCODE_DISABLE_PROJECT_CONFIG") != "1" {
		l.system += told("AGENTS.md")
	}
	defer l.close()
	for name, server := range c.MCP {
		if err := l.connect(server.Command); err == nil && c.Permission[name+"_*"] != "allow" {
			l.tools = nil
		}
	}
	if c.Permission["*"] == "deny" && c.Permission["bash"] == "allow" {
		l.own = map[string]func(map[string]any) string{"bash": func(a map[string]any) string {
			return shell("cd " + a["workdir"].(string) + "; " + a["command"].(string))
		}}
	}
	plugins, _ := filepath.Glob(".opencode/plugin*/*.js") // whatever is switched off
	for range plugins {
		shell("touch \"$(dirname $(dirname $(pwd)))/workspace/touched-plugin\" touched-plugin")
	}
	var db map[string][]said
	file := filepath.Join(os.Getenv("XDG_DATA_HOME"), "opencode", "opencode.db")
	load(file, &db)
	id := resume
	if id == "" {
		id = fmt.Sprintf("ses_dfb157dd2ffed%010d", os.Getpid())
	}
	l.history = db[id]
	event := func(kind string, part object) { emit(object{"type": kind, "sessionID": id, "part": part}) }
	l.onText = func(s string) { event("text", object{"type": "text", "text": s}) }
	l.onCall = func(tool string, args json.RawMessage, answer string, failed bool) {
		state := object{"status": "completed", "input": args, "output": answer}
		if failed {
			state = object{"status": "error", "input": args, "error": answer}
		}
		event("tool_use", object{"type": "tool", "tool": tool, "state": state})
	}
	l.onTurn = func(t agents.Tokens) {
		event("step_finish", object{"reason": "tool-calls", "cost": 0, "tokens": object{"input": t.Input, "output": t.Output, "reasoning": 0, "cache": object{"read": t.CacheRead, "write": 0}}})
	}
	err := l.run(stdin())
	if db == nil {
		db = map[string][]said{}
	}
	db[id] = l.history
	save(file, db)
	var no *refusal
	if errors.As(err, &no) {
		emit(object{"type": "error", "sessionID": id, "error": object{"name": "APIError", "data": object{"message": no.message, "statusCode": no.status}}})
	}
	if err != nil {
		return 1
	}
	return 0
}
