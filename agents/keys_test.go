package agents

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// examples are configurations that the documentation points to, one a runtime.
const examples = "../cmd/hermes/testdata/agents"

// example loads one as a profile would have it.
func example(t *testing.T, kind string) *Agent {
	t.Helper()
	profile := t.TempDir()
	if err := os.CopyFS(filepath.Join(profile, "agents"), os.DirFS(examples)); err != nil {
		t.Fatal(err)
	}
	a, err := Load(profile, kind)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestExamples(t *testing.T) {
	for _, kind := range Kinds {
		t.Run(kind, func(t *testing.T) {
			a := example(t, kind)
			if a.Runtime.Kind != kind || a.Description == "" {
				t.Errorf("got %+v, want an agent of runtime %s with a description", a, kind)
			}
			if kind == "claude" && !strings.Contains(a.Told, "cite what you use") || kind == "codex" && !strings.Contains(a.Told, "Run the tests") {
				t.Errorf("got instructions %q", a.Told)
			}
			profile := t.TempDir()
			if err := Save(profile, a); err != nil {
				t.Fatal(err)
			}
			if kind == "claude" {
				if err := os.WriteFile(filepath.Join(profile, "agents", kind, "SOUL.md"), []byte(a.Told), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			again, err := Load(profile, kind)
			if err != nil {
				t.Fatal(err)
			}
			again.Dir = a.Dir
			if diff := cmp.Diff(a, again); diff != "" {
				t.Errorf("saved and loaded (-want +got):\n%s", diff)
			}
		})
	}
	names, err := List(filepath.Dir(examples))
	if err != nil || !slices.Equal(names, Kinds) {
		t.Errorf("got examples %v, %v, want one of each of %v", names, err, Kinds)
	}
}

// keyPaths lists every key that a type has, those of lists included.
func keyPaths(t reflect.Type, prefix string) (paths []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		if name := keyName(t.Field(i)); name != "" {
			paths = append(append(paths, prefix+name), keyPaths(t.Field(i).Type, prefix+name+".")...)
		}
	}
	return paths
}

func TestKeysComplete(t *testing.T) {
	paths := keyPaths(reflect.TypeFor[Agent](), "")
	for _, p := range paths {
		if !strings.HasSuffix(keys[p].about, ".") {
			t.Errorf("key %s is described as %q, want a sentence", p, keys[p].about)
		}
	}
	for p, k := range keys {
		if !slices.Contains(paths, p) {
			t.Errorf("key %s is described, and not there", p)
		}
		for kind := range strings.FieldsSeq(k.kinds) {
			if !slices.Contains(Kinds, kind) {
				t.Errorf("key %s is for runtime %s, which is not there", p, kind)
			}
		}
	}
}

func TestSchema(t *testing.T) {
	var s struct {
		Properties           map[string]any
		AdditionalProperties bool
		Required             []string
		AllOf                []struct {
			If   any
			Then struct{ Properties map[string]any }
		}
	}
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	if s.AdditionalProperties || !slices.Equal(s.Required, []string{"runtime"}) || len(s.AllOf) != len(Kinds) {
		t.Errorf("got additional %v, required %v, %d conditions", s.AdditionalProperties, s.Required, len(s.AllOf))
	}
	runtime := s.Properties["runtime"].(map[string]any)["properties"].(map[string]any)
	if len(runtime) != 10 {
		t.Errorf("got %d keys of runtime, want 10", len(runtime))
	}
	builtin := s.AllOf[slices.Index(Kinds, "builtin")].Then.Properties
	if builtin["model_endpoint"] != false || builtin["runtime"].(map[string]any)["properties"].(map[string]any)["model"] != false {
		t.Errorf("got %v, want the keys that runtime builtin cannot honour refused", builtin)
	}
	if once, again := Schema(), Schema(); string(once) != string(again) {
		t.Error("two schemas differ")
	}
}

func TestRuntimesRefuse(t *testing.T) {
	const endpoint = "\nmodel_endpoint: {kind: anthropic}\n"
	for _, tt := range []struct{ name, yaml, word string }{
		{"small model of codex", "runtime: {kind: codex, model: m, small_model: s}\nmodel_endpoint: {kind: openai-responses}", "runtime codex cannot honour runtime.small_model"},
		{"turns of opencode", "runtime: {kind: opencode, model: m, max_turns: 3}\nmodel_endpoint: {kind: openai-chat}", "runtime opencode cannot honour runtime.max_turns"},
		{"turns of codex", "runtime: {kind: codex, model: m, max_turns: 3}\nmodel_endpoint: {kind: openai-responses}", "runtime codex cannot honour runtime.max_turns"},
		{"endpoint of builtin", "runtime: {kind: builtin, name: writer}" + endpoint, "runtime builtin cannot honour model_endpoint"},
		{"instructions of command", "runtime: {kind: command, command: x}\ninstructions: Be nice.", "runtime command cannot honour instructions"},
		{"tools of builtin", "runtime: {kind: builtin, name: writer, tools: [Bash]}", "runtime builtin cannot honour runtime.tools"},
		{"no endpoint", "runtime: {kind: claude}", "runtime claude wants model_endpoint"},
		{"API", "runtime: {kind: claude}\nmodel_endpoint: {kind: openai-chat}", "runtime claude cannot honour model_endpoint.kind openai-chat"},
		{"unknown API", "runtime: {kind: claude}\nmodel_endpoint: {kind: gopher}", `"gopher" is unknown`},
		{"no model", "runtime: {kind: opencode}" + endpoint, "wants runtime.model"},
		{"flag as model", "runtime: {kind: claude, model: --bare}" + endpoint, "runtime.model"},
		{"flag as tool", "runtime: {kind: claude, tools: [--yolo]}" + endpoint, "runtime.tools"},
		{"two tools in one", "runtime: {kind: claude, tools: ['Read,Bash']}" + endpoint, "runtime.tools"},
		{"tool of codex", "runtime: {kind: codex, model: m, tools: [Bash]}\nmodel_endpoint: {kind: openai-responses}", `no tool "Bash"`},
		{"tool of model", "runtime: {kind: model, model: m, tools: [browse]}" + endpoint, `no tool "browse"`},
		{"argv of claude", "runtime: {kind: claude, command: [claude, --yolo]}" + endpoint, "path of its program alone"},
		{"conversation", "runtime: {kind: claude, conversation: forever}" + endpoint, `"forever"`},
		{"turns", "runtime: {kind: claude, max_turns: -1}" + endpoint, "max_turns"},
		{"hermes without path", "runtime: {kind: hermes, model: m}\nmodel_endpoint: {kind: openai-chat}", "wants runtime.command"},
		{"instructions missing", "runtime: {kind: claude}\ninstructions: rules.md" + endpoint, "rules.md"},
		{"plain http", "runtime: {kind: claude}\nmodel_endpoint: {kind: anthropic, upstream: 'http://api.example.com'}", "use https"},
		{"v1", "runtime: {kind: claude}\nmodel_endpoint: {kind: anthropic, upstream: 'https://api.example.com/v1/'}", "leave out /v1"},
		{"key in the address", "runtime: {kind: claude}\nmodel_endpoint: {kind: anthropic, upstream: 'https://u:p@api.example.com'}", "no place"},
		{"no address", "runtime: {kind: claude}\nmodel_endpoint: {kind: anthropic, upstream: api.example.com}", "not a URL"},
		{"scheme", "runtime: {kind: claude}\nmodel_endpoint: {kind: anthropic, upstream: 'ftp://a.example.com'}", "ftp"},
		{"allow", "runtime: {kind: claude}\nmodel_endpoint: {kind: anthropic, allow: ['POST /v1/../x']}", "exact path"},
		{"allow all", "runtime: {kind: claude}\nmodel_endpoint: {kind: anthropic, allow: ['POST /v1/*']}", "exact path"},
		{"two credentials", "runtime: {kind: claude}\nmodel_endpoint: {kind: anthropic, credential: {env: A, file: b}}", "both env and file"},
		{"credential out of the profile", "runtime: {kind: claude}\nmodel_endpoint: {kind: anthropic, credential: {file: ../b}}", "clean path"},
		{"price without day", "runtime: {kind: claude}\nmodel_endpoint: {kind: anthropic, prices: [{model: m, input: 1, output: 1, as_of: soon}]}", "as_of"},
		{"price below zero", "runtime: {kind: claude}\nmodel_endpoint: {kind: anthropic, prices: [{model: m, input: -1, output: 1, as_of: 2026-11-22}]}", "no price"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(config(t, tt.yaml), "coder")
			wantProblem(t, err, "agent_config", tt.word)
		})
	}
}

// TestKeyInTheWrongPlace has somebody paste the key itself.
func TestKeyInTheWrongPlace(t *testing.T) {
	const secret = "sk-ant-api03-SECRET"
	for _, c := range []string{"{env: " + secret + "}", "{file: '../" + secret + "'}"} {
		_, err := Load(config(t, "runtime: {kind: claude}\nmodel_endpoint: {kind: anthropic, credential: "+c+"}"), "coder")
		wantProblem(t, err, "agent_config", "credential")
		if strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: the error quotes what may be a key", c)
		}
	}
}

func TestPrice(t *testing.T) {
	e := &Endpoint{Prices: []Price{
		{Model: "big-1", Input: 3_000_000, Output: 15_000_000, CacheRead: 300_000, CacheWrite: 3_750_000},
		{Model: "big-*", Input: 1_000_000, Output: 1_000_000},
	}}
	tokens := Tokens{Input: 1000, Output: 20, CacheRead: 300, CacheWrite: 7}
	for _, tt := range []struct {
		model string
		want  int64
	}{
		{"big-1", 3000 + 300 + 90 + 27}, // 26.25 of the cache, rounded up with the rest
		{"big-2", 1000 + 20 + 300 + 7},
	} {
		p, ok := e.Price(tt.model)
		if got := p.Cost(tokens); !ok || got != tt.want {
			t.Errorf("%s: got %d, %v, want %d", tt.model, got, ok, tt.want)
		}
	}
	if _, ok := e.Price("small"); ok {
		t.Error("got a price for a model that nobody gave one for")
	}
	most := Price{Input: maxPrice, Output: maxPrice}
	if got := most.Cost(Tokens{Input: 1e9, Output: 1e9, CacheRead: 1e9, CacheWrite: 1e9}); got != 4e12 {
		t.Errorf("got %d for a great many tokens, want 4e12", got)
	}
}

func TestEndpointDefaults(t *testing.T) {
	e := &Endpoint{Kind: Anthropic}
	if e.Target() != "https://api.anthropic.com" || !e.Allows("POST", "/v1/messages") || e.Allows("POST", "/api/event_logging/v2/batch") || e.Allows("GET", "/v1/messages") {
		t.Errorf("got %s, %v", e.Target(), e.Allowed())
	}
	e.Allow, e.Upstream = []string{"GET /x"}, "https://a.example.com/base/"
	if e.Target() != "https://a.example.com/base" || e.Allows("POST", "/v1/messages") || !e.Allows("GET", "/x") {
		t.Errorf("got %s, %v", e.Target(), e.Allowed())
	}
}

func TestInstructions(t *testing.T) {
	const base = "runtime: {kind: claude}\nmodel_endpoint: {kind: anthropic}\n"
	for _, tt := range []struct{ name, line, soul, want string }{
		{"none", "", "", ""},
		{"soul", "", "I am.", "I am."},
		{"text", "instructions: Be brief.", "I am.", "Be brief."},
		{"text of one word with a dot", "instructions: e.g.", "", "e.g."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			profile := config(t, base+tt.line)
			if tt.soul != "" {
				if err := os.WriteFile(filepath.Join(profile, "agents", "coder", "SOUL.md"), []byte(tt.soul), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			a, err := Load(profile, "coder")
			if err != nil || a.Told != tt.want {
				t.Errorf("got %q, %v, want %q", a.Told, err, tt.want)
			}
		})
	}
	profile := config(t, base)
	soul := filepath.Join(profile, "agents", "coder", "SOUL.md")
	if err := os.WriteFile(soul, []byte(strings.Repeat("x", maxInstructions+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(profile, "coder")
	wantProblem(t, err, "agent_config", "more than")
	if err := os.Remove(soul); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", soul); err != nil {
		t.Fatal(err)
	}
	_, err = Load(profile, "coder")
	wantProblem(t, err, "agent_config", "escapes")
}
