package runtime

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hermesboard/hermes/agents"
)

// facts are those of an attempt in a sandbox, for the example of a runtime.
func facts(t *testing.T, kind string) *Facts {
	t.Helper()
	profile := t.TempDir()
	if err := os.CopyFS(filepath.Join(profile, "agents"), os.DirFS("../../cmd/hermes/testdata/agents")); err != nil {
		t.Fatal(err)
	}
	a, err := agents.Load(profile, kind)
	if err != nil {
		t.Fatal(err)
	}
	f := &Facts{Agent: a, Prompt: "the prompt", Begin: NewConversation("acme", kind, "t7.1"), BaseURL: "http://127.0.0.1:8787", Token: "worthless-elsewhere",
		Task: "t7", Run: "t7.1", Board: "acme", Mounts: a.Terminal.Mounts, Places: Places{Hermes: "/run/hermes/bin/hermes", Socket: "/run/hermes/sock/sock",
			Workspace: "/ws", Inputs: "/ws/inputs", Outputs: "/ws/outputs", State: "/state", Config: "/agent"}}
	if len(a.Runtime.Command) > 0 {
		f.Program = a.Runtime.Command[0]
	}
	return f
}

// TestPlans looks at what is the same for every runtime.
func TestPlans(t *testing.T) {
	for kind, adapter := range adapters {
		t.Run(kind, func(t *testing.T) {
			if adapter.Kind() != kind || !slices.Contains(agents.Kinds, kind) {
				t.Fatalf("got kind %s", adapter.Kind())
			}
			f := facts(t, kind)
			p, err := adapter.Plan(f)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Argv) == 0 || !filepath.IsAbs(p.Argv[0]) && kind != "command" {
				t.Fatalf("got argv %q", p.Argv)
			}
			all := strings.Join(p.Argv, "\n")
			for _, text := range p.Files {
				all += text
			}
			for _, text := range p.Keep {
				all += text
			}
			if strings.Contains(all, f.Token) {
				t.Error("the token is in an argument or a file, where others see it")
			}
			if kind == "builtin" || kind == "command" {
				return
			}
			if p.Stdin == "" || !strings.Contains(p.Stdin, f.Prompt) || strings.Contains(all, f.Prompt) {
				t.Errorf("got the prompt %q; it is read from standard input alone", p.Stdin)
			}
			if !strings.Contains(all, f.Places.Socket) {
				t.Error("the worker's socket is in no argument: not every program passes its environment on")
			}
			if p.Home == "" {
				t.Error("the plan has no place in the state folder")
			}
			f.Resume = "0123456789abcdef"
			again, err := adapter.Plan(f)
			if err != nil || !strings.Contains(strings.Join(again.Argv, " ")+again.Files["model.json"], f.Resume) {
				t.Errorf("got %v, argv %q, want the conversation resumed", err, again.Argv)
			}
		})
	}
	if len(adapters) != len(agents.Kinds) {
		t.Errorf("got %d adapters, want one for each of %v", len(adapters), agents.Kinds)
	}
	if _, err := For("gemini"); err == nil || !strings.Contains(err.Error(), "claude, codex") {
		t.Errorf("got %v, want the known runtimes named", err)
	}
}

func TestPlanModel(t *testing.T) {
	p, err := model{}.Plan(facts(t, "model"))
	if err != nil {
		t.Fatal(err)
	}
	var c ModelConfig
	if err := json.Unmarshal([]byte(p.Files["model.json"]), &c); err != nil {
		t.Fatal(err)
	}
	if c.API != agents.Anthropic || c.MaxTurns != 40 || c.Resume || c.Transcript != "/state/model/"+p.Conversation+".jsonl" || !slices.Equal(c.Tools, []string{"read", "list"}) {
		t.Errorf("got %+v", c)
	}
}

func TestPlanClaude(t *testing.T) {
	f := facts(t, "claude")
	f.Turns, f.Budget = 100, 1_250_000
	p, err := claude{}.Plan(f)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(p.Argv, " ")
	for _, want := range []string{"--max-turns 60", "--max-budget-usd 1.25", "--add-dir /srv/acme/sources", "--append-system-prompt-file /agent/instructions.md",
		"--tools Read,Grep,Glob,Write,Edit --allowedTools mcp__kanban Read Grep Glob Write Edit"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	f.Turns, f.Model = 5, "other"
	if p, err = (claude{}).Plan(f); err != nil || !strings.Contains(strings.Join(p.Argv, " "), "--max-turns 5") || !slices.Contains(p.Argv, "other") {
		t.Errorf("got %q, %v, want the attempt's own limit and model", p.Argv, err)
	}
}

// TestLay has an agent leave links and settings for its next attempt.
func TestLay(t *testing.T) {
	dir := t.TempDir()
	state, config, outside := filepath.Join(dir, "state"), filepath.Join(dir, "config"), filepath.Join(dir, "outside")
	for _, d := range []string{state, config, outside} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(filepath.Join(outside, "precious"), []byte("x"), 0o600))
	must(os.Symlink(outside, filepath.Join(state, "home")))
	p := &Plan{Home: "home", Sweep: []string{"home/precious"}, Keep: map[string]string{"home/config": "new"}, Files: map[string]string{"a/b": "text"}}
	if err := p.Lay(state, config); err == nil {
		t.Error("got nothing swept through a link that leads out, want an error")
	}
	p.Sweep = nil
	must(p.Lay(state, config)) // the link itself is replaced
	must(os.Remove(filepath.Join(state, "home/config")))
	must(os.Symlink(filepath.Join(outside, "precious"), filepath.Join(state, "home/config")))
	must(os.Mkdir(filepath.Join(state, "home/skills"), 0o700))
	must(os.WriteFile(filepath.Join(state, "home/skills/evil.md"), []byte("x"), 0o600))
	p.Sweep = []string{"home/skills", "home/none"}
	must(p.Lay(state, config))
	for file, want := range map[string]string{filepath.Join(outside, "precious"): "x", filepath.Join(state, "home/config"): "new", filepath.Join(config, "a/b"): "text"} {
		if b, err := os.ReadFile(file); err != nil || string(b) != want {
			t.Errorf("%s: got %q, %v, want %q", file, b, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(state, "home/skills")); err == nil {
		t.Error("what the agent left is still there")
	}
}

func TestConversation(t *testing.T) {
	first := NewConversation("acme", "coder", "t7.1")
	if !idRule.MatchString(first) || len(first) != 36 || first != NewConversation("acme", "coder", "t7.1") {
		t.Errorf("got id %q", first)
	}
	for _, other := range []string{NewConversation("acme", "coder", "t7.2"), NewConversation("acme", "coder2", "t7.1"), NewConversation("acm", "ecoder", "t7.1")} {
		if other == first {
			t.Error("two conversations have one id")
		}
	}
	dir := t.TempDir()
	state := filepath.Join(dir, "coder")
	file := filepath.Join(state, "claude/projects/-ws", first+".jsonl")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	resumable := func() string { return Resumable(claude{}, state, "2.1.330") }
	c := Conversation{Kind: "claude", Version: "2.1.330", ID: first}
	if got := resumable(); got != "" {
		t.Errorf("got %q before there was one", got)
	}
	if err := Remember(state, c); err != nil {
		t.Fatal(err)
	}
	if got := resumable(); got != "" {
		t.Errorf("got %q without its file", got)
	}
	if err := os.WriteFile(file, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := resumable(); got != first {
		t.Errorf("got %q, want %q", got, first)
	}
	if got := Resumable(claude{}, state, "2.2.0"); got != "" {
		t.Errorf("got %q for another version", got)
	}
	if got := Resumable(codex{}, state, "2.1.330"); got != "" {
		t.Errorf("got %q for another program", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", file); err != nil {
		t.Fatal(err)
	}
	if got := resumable(); got != "" {
		t.Errorf("got %q for a link out of the folder", got)
	}
	for _, bad := range []string{"", "--resume", "../../x", "a b c d e f g h", strings.Repeat("a", 65), "abc\ndefgh"} {
		c.ID = bad
		if err := Remember(state, c); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(ConversationFile(state)); err == nil {
			t.Errorf("a conversation %q is remembered", bad)
		}
	}
}

func TestKept(t *testing.T) {
	const id = "0123456789ab"
	file := &fstest.MapFile{Data: []byte("x")}
	for kind, name := range map[string]string{
		"claude": "claude/projects/-ws/" + id + ".jsonl", "codex": "codex/sessions/2026/11/22/rollout-2026-11-22T20-22-15-" + id + ".jsonl",
		"opencode": "opencode/opencode/opencode.db", "model": "model/" + id + ".jsonl", "hermes": "hermes/state.db",
	} {
		a, err := For(kind)
		if err != nil {
			t.Fatal(err)
		}
		if !a.Kept(fstest.MapFS{name: file}, id) {
			t.Errorf("%s: got a conversation lost that is in %s", kind, name)
		}
		for _, no := range []fs.FS{fstest.MapFS{}, fstest.MapFS{name: &fstest.MapFile{}}, fstest.MapFS{name: &fstest.MapFile{Mode: fs.ModeDir}}} {
			if a.Kept(no, id) {
				t.Errorf("%s: got a conversation kept in %v", kind, no)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	a := &agents.Agent{Runtime: agents.Runtime{Kind: "claude"}}
	v := claude{}.Version()
	for printed, want := range map[string]string{
		"2.1.330 (Claude Code)\n": "", "codex-cli 2.1.330": "", "v2.1.330": "",
		"2.1.331 (Claude Code)": "npm install -g @anthropic-ai/claude-code@2.1.330", "": "printed no version", "error: 12": "printed no version", "2.1.330-beta.1": "2.1.330-beta.1",
	} {
		err := v.Check(a, printed)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", printed, err, want)
		}
	}
	a.Runtime.Version, a.Runtime.Command = "2.1.331", agents.Argv{"/opt/claude"}
	if err := v.Check(a, "2.1.331"); err != nil || v.Path(a) != "/opt/claude" {
		t.Errorf("got %v, path %s, want the agent's own version and path", err, v.Path(a))
	}
}

func TestProgramMounts(t *testing.T) {
	for program, want := range map[string]string{
		"/usr/local/bin/claude": "", "/bin/x": "", "/opt/claude/claude": "/opt/claude/claude", "/home/a/.local/bin/codex": "/home/a/.local/bin/codex",
		"/n/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex": "/n/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl",
	} {
		if got := strings.Join(ProgramMounts(program), ","); got != want {
			t.Errorf("%s: got %q, want %q", program, got, want)
		}
	}
}

func TestPrompt(t *testing.T) {
	first, again := Prompt("CONTEXT", false), Prompt("CONTEXT", true)
	for _, p := range []string{first, again} {
		if !strings.HasSuffix(p, "CONTEXT") || strings.Contains(p, "kanban_") {
			t.Errorf("got %q, want the context and no tool by name", p)
		}
	}
	if first == again {
		t.Error("going on begins like a new task")
	}
}
