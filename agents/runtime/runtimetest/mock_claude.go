package runtimetest

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/agents"
)

func emit(v object) {
	b, _ := json.Marshal(v)
	fmt.Println(string(b))
}

// stdin is the prompt.
func stdin() string {
	b, _ := io.ReadAll(os.Stdin)
	return string(b)
}

func load(file string, into any) bool {
	b, err := os.ReadFile(file)
	return err == nil && json.Unmarshal(b, into) == nil
}

func save(file string, v any) {
	os.MkdirAll(filepath.Dir(file), 0o700)
	b, _ := json.Marshal(v)
	os.WriteFile(file, b, 0o600)
}

func shell(command string) string {
	out, _ := exec.Command("sh", "-c", command).CombinedOutput()
	return string(out)
}

// texts of the workspace and the home that a program takes for instructions.
func told(files ...string) (text string) {
	for _, f := range files {
		b, _ := os.ReadFile(f)
		text += string(b) + "\n"
	}
	return text
}

// values are flags that may be given again.
type values []string

func (v *values) String() string     { return strings.Join(*v, " ") }
func (v *values) Set(s string) error { *v = append(*v, s); return nil }

// claudeSettings that a workspace or a home has.
type mockSettings struct {
	Env   map[string]string
	Hooks map[string][]struct{ Hooks []struct{ Command string } }
}

func mockClaude(args []string) int {
	fs := flag.NewFlagSet("claude", flag.ExitOnError)
	text := func(name string) *string { return fs.String(name, "", "") }
	yes := func(name string) *bool { return fs.Bool(name, false, "") }
	var tools, sources values
	print, restricted, strict, verbose, version := yes("p"), yes("restricted"), yes("strict-mcp-config"), yes("verbose"), yes("version")
	yes("disable-slash-commands")
	format, mode, config := text("output-format"), text("permission-mode"), text("mcp-config")
	session, resume, model, system := text("session-id"), text("resume"), text("model"), text("append-system-prompt-file")
	maxTurns := fs.Int("max-turns", 0, "")
	budget := fs.Float64("max-budget-usd", 0, "")
	text("add-dir")
	fs.Var(&tools, "tools", "")
	fs.Var(&sources, "setting-sources", "")
	allowed := text("allowedTools")
	fs.Parse(args)
	if *version {
		fmt.Println("2.1.330 (Claude Code)")
		return 0
	}
	if !*print || *format != "stream-json" || !*verbose || *mode != "dontAsk" {
		fmt.Fprintln(os.Stderr, "not headless")
		return 2
	}
	home := os.Getenv("CLAUDE_CONFIG_DIR")
	l := &loop{api: agents.Anthropic, url: os.Getenv("ANTHROPIC_BASE_URL"), key: os.Getenv("ANTHROPIC_API_KEY"), model: *model, prefix: "mcp__kanban__", maxTurns: *maxTurns, system: told(*system)}
	if !*restricted || !slices.Equal(sources, values{""}) {
		for _, file := range []string{".claude/settings.json", filepath.Join(home, "settings.json")} {
			var s mockSettings
			load(file, &s)
			if u := s.Env["ANTHROPIC_BASE_URL"]; u != "" {
				l.url = u
			}
			for _, hooks := range s.Hooks {
				for _, h := range hooks {
					shell(h.Hooks[0].Command)
				}
			}
		}
	}
	if os.Getenv("CLAUDE_CODE_DISABLE_CLAUDE_MDS") != "1" {
		l.system += told("CLAUDE.md", filepath.Join(home, "CLAUDE.md"))
	}
	type server struct {
		Command    string
		Args       []string
		AlwaysLoad bool
	}
	var servers struct{ MCPServers map[string]server }
	load(*config, &servers)
	if !*strict {
		var more struct{ MCPServers map[string]server }
		load(".mcp.json", &more)
		for _, s := range more.MCPServers {
			shell(s.Args[1])
		}
	}
	defer l.close()
	offered := []string{}
	if s := servers.MCPServers["kanban"]; l.connect(append([]string{s.Command}, s.Args...)) == nil && s.AlwaysLoad {
		for _, t := range l.tools {
			offered = append(offered, l.prefix+t.Name)
		}
	}
	if *allowed != "mcp__kanban" {
		l.tools, offered = nil, nil
	}
	if slices.Equal(tools, values{"Write"}) {
		offered = append(offered, "Write")
		l.own = map[string]func(map[string]any) string{"Write": func(a map[string]any) string {
			return fmt.Sprint(os.WriteFile(a["file_path"].(string), []byte(a["content"].(string)), 0o600))
		}}
	}
	id := *session
	if *resume != "" {
		id = *resume
	}
	file := filepath.Join(home, "projects", "-ws", id+".jsonl")
	if known := load(file, &l.history); known != (*resume != "") {
		fmt.Fprintln(os.Stderr, "no such conversation, or one that is there already")
		return 1
	}
	emit(object{"type": "system", "subtype": "init", "session_id": id, "tools": offered, "model": *model, "claude_code_version": "2.1.330"})
	block := func(kind string, b object) {
		emit(object{"type": kind, "session_id": id, "message": object{"content": []any{b}}})
	}
	l.onText = func(s string) { block("assistant", object{"type": "text", "text": s}) }
	l.onCall = func(tool string, args json.RawMessage, answer string, failed bool) {
		block("assistant", object{"type": "tool_use", "name": tool, "input": args})
		block("user", object{"type": "tool_result", "content": answer, "is_error": failed})
	}
	l.onTurn = func(agents.Tokens) {}
	l.broke = func() bool { return *budget > 0 && float64(l.turns)*0.001 > *budget }
	err := l.run(stdin())
	for retry := 0; retry < 3 && isRefusal(err); retry++ {
		if status := err.(*refusal).status; status == 402 {
			break
		}
		emit(object{"type": "system", "subtype": "api_retry", "error_status": err.(*refusal).status, "retry_delay_ms": 1000})
		l.history = l.history[:len(l.history)-1]
		err = l.run(lastPrompt)
	}
	save(file, l.history)
	end := object{"type": "result", "subtype": "success", "terminal_reason": "completed", "is_error": err != nil, "num_turns": l.turns, "session_id": id, "total_cost_usd": 0.001,
		"usage": object{"input_tokens": l.tokens.Input, "output_tokens": l.tokens.Output, "cache_read_input_tokens": l.tokens.CacheRead}}
	var no *refusal
	switch {
	case errors.Is(err, errTurns):
		end["subtype"], end["terminal_reason"], end["errors"] = "error_max_turns", "max_turns", []string{"Reached maximum number of turns"}
	case errors.Is(err, errBroke):
		end["subtype"], end["terminal_reason"], end["errors"] = "error_max_budget_usd", "budget_exhausted", []string{"Reached maximum budget"}
	case errors.As(err, &no):
		end["api_error_status"], end["result"] = no.status, "API Error: "+no.message
	}
	emit(end)
	if err != nil {
		return 1
	}
	return 0
}

func isRefusal(err error) bool { var r *refusal; return errors.As(err, &r) }

// lastPrompt is what was said last, to be said again.
var lastPrompt string
