//go:build linux

package runtimetest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/agents"
)

// hermesConfig is that of the public Hermes agent, as far as it matters.
type hermesConfig struct {
	Model struct {
		Base_url, Key_env string
	}
	Mcp_servers map[string]struct {
		Command string
		Args    []string
	}
}

// HermesAgent imitates the public Hermes agent as [Programs] imitate the
// others. It is none of them because its program has the name of ours.
func HermesAgent(args []string) int {
	if slices.Equal(args, []string{"--version"}) {
		fmt.Println("Hermes Agent v0.19.0")
		return 0
	}
	fs := flag.NewFlagSet("hermes chat", flag.ExitOnError)
	text := func(name string) *string { return fs.String(name, "", "") }
	yes := func(name string) *bool { return fs.Bool(name, false, "") }
	query, id, model, toolsets := text("query-file"), text("continue"), text("model"), text("toolsets")
	quiet, bare, create := yes("quiet"), yes("ignore-rules"), yes("create-if-missing")
	turns := fs.Int("max-turns", 0, "")
	text("source")
	if len(args) > 0 && args[0] == "chat" {
		fs.Parse(args[1:])
	}
	if *query != "-" || !*quiet || !*create || *id == "" {
		fmt.Fprintln(os.Stderr, "not headless")
		return 2
	}
	home := os.Getenv("HERMES_HOME")
	var c hermesConfig
	load(filepath.Join(home, "config.yaml"), &c)
	l := &loop{api: agents.OpenAIChat, url: strings.TrimSuffix(c.Model.Base_url, "/v1"), key: os.Getenv(c.Model.Key_env), model: *model, maxTurns: *turns,
		prefix: "mcp_kanban_", system: told(filepath.Join(home, "SOUL.md")), onCall: func(string, json.RawMessage, string, bool) {}, onTurn: func(agents.Tokens) {}, onText: func(s string) { fmt.Println(s) }}
	if env := told(filepath.Join(home, ".env")); strings.Contains(env, "OPENAI_BASE_URL=") {
		l.url = "http://127.0.0.1:9"
	}
	if !*bare {
		l.system += told("AGENTS.md")
	}
	defer l.close()
	for name, server := range c.Mcp_servers {
		if slices.Contains(strings.Split(*toolsets, ","), "mcp-"+name) {
			l.connect(append([]string{server.Command}, server.Args...)) // it goes on without
		}
	}
	if slices.Contains(strings.Split(*toolsets, ","), "terminal") {
		l.own = map[string]func(map[string]any) string{"terminal": func(a map[string]any) string { return shell(a["command"].(string)) }}
	}
	file := filepath.Join(home, "state.db")
	db := map[string][]said{}
	load(file, &db)
	l.history = db[*id]
	err := l.run(stdin())
	db[*id] = l.history
	save(file, db)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
