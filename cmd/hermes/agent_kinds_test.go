//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/hermesboard/hermes/agents/runtime/runtimetest"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/sandbox/bwrapbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest/executable"
)

// canary is the key of these tests: it may be nowhere but in the profile's .env
// and at the provider.
const canary = "sk-canary-6f1ed002ab5595859014ebf0951522d9"

// modelled is a place whose agent, clerk, is an imitation of Claude Code in
// bubblewrap without a network, and a provider that answers by a script.
type modelled struct {
	*place
	model *runtimetest.Model
}

func newModelled(t *testing.T, change func(*events.Policy), script func(n int, r *runtimetest.Request) runtimetest.Reply) *modelled {
	t.Helper()
	if r := bwrapbox.New(nil).Probe(t.Context()); !r.Available {
		if os.Getenv("CI") == "true" {
			t.Fatal(r.Reason)
		}
		t.Skip("bubblewrap: " + r.Reason)
	}
	m := &modelled{place: newPlace(t, nil, change), model: &runtimetest.Model{Script: script}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if key := r.Header.Get("X-Api-Key"); key != canary && r.URL.Path == "/v1/messages" {
			t.Errorf("the provider was shown another key, of %d bytes", len(key))
		}
		m.model.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	m.write(".env", "CLERK_KEY="+canary+"\n")
	m.write("agents/clerk/config.yaml", fmt.Sprintf(`runtime:
  kind: claude
  command: %s
  model: claude-sonnet-5-5
  tools: [Write]
model_endpoint:
  kind: anthropic
  upstream: %s
  credential: {env: CLERK_KEY}
  prices:
    - {model: "claude-*", input: 3000000, output: 15000000, as_of: 2026-11-22}
terminal:
  backend: bubblewrap
`, imitation(t, "claude"), server.URL))
	return m
}

// imitation is a file with the name of a program: the test's own, which plays
// it when it is called so.
func imitation(t *testing.T, name string) string {
	t.Helper()
	self, err := exec.LookPath("hermes")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name)
	executable.Copy(t, self, file)
	return file
}

func (m *modelled) write(name, text string) {
	m.t.Helper()
	file := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *modelled) read(name string) string {
	m.t.Helper()
	b, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b)
}

// secret looks for the key in everything the home has but the .env.
func (m *modelled) secret() {
	m.t.Helper()
	err := filepath.WalkDir(m.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || path == filepath.Join(m.dir, ".env") {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), canary) {
			m.t.Errorf("the key is in %s", path)
		}
		return err
	})
	if err != nil {
		m.t.Error(err)
	}
}

// answers waits until the answer to why a task stands still has some words.
func (m *modelled) answers(id, want string) {
	m.t.Helper()
	var out string
	defer func() {
		if m.t.Failed() {
			m.t.Logf("why %s: got\n%s", id, out)
		}
	}()
	eventually(m.t, "why "+id+" names "+want, func() bool {
		out = m.must("kanban", "why", id)
		return strings.Contains(out, want)
	})
}

type (
	modelRequest = runtimetest.Request
	modelReply   = runtimetest.Reply
)

func says(replies ...modelReply) func(int, *modelRequest) modelReply {
	return func(n int, _ *modelRequest) modelReply {
		if n < len(replies) {
			return replies[n]
		}
		return modelReply{Text: "All done."}
	}
}

// TestModelledAgent: an agent asks, is answered, goes on in the same
// conversation and completes. What it cost is on record; its key is not.
func TestModelledAgent(t *testing.T) {
	t.Parallel()
	m := newModelled(t, nil, says(
		modelReply{Tool: "kanban_show"},
		modelReply{Tool: "kanban_block", Args: map[string]any{"reason": "Which colour?", "kind": "needs_input"}},
		modelReply{Text: "I wait."},
		modelReply{Tool: "kanban_complete", Args: map[string]any{"summary": "painted"}},
	))
	id := m.create("clerk")
	m.must("kanban", "dispatch")
	m.endsAs(id, "blocked")
	m.must("kanban", "answer", id, "green")
	m.must("kanban", "dispatch")
	m.endsAs(id, "blocked", "completed")

	asked := m.model.Requests()
	if len(asked) < 4 || !asked[3].Heard("green") || !asked[3].Heard("Nobody watches") {
		t.Errorf("the second attempt did not go on in the conversation of the first (%d requests)", len(asked))
	}
	for _, r := range m.show(id).Runs {
		u := r.Usage
		if u.Source != "endpoint" || u.Model != "claude-sonnet-5-5" || u.TokensIn == 0 || u.TokensOut == 0 || u.CostMicros == 0 || u.Currency != "USD" {
			t.Errorf("%s: got usage %+v", r.Run, u)
		}
	}
	if out := m.must("cost", "--by", "model"); !strings.Contains(out, "claude-sonnet-5-5") {
		t.Errorf("cost: got\n%s", out)
	}
	if out := m.must("kanban", "log", id+".1"); !strings.Contains(out, "I wait.") || strings.Contains(out, `{"type"`) {
		t.Errorf("log: got\n%s", out)
	}
	if out := m.must("kanban", "log", id+".1", "--raw"); !strings.Contains(out, `{"`) || !strings.Contains(out, `"type":"system"`) {
		t.Errorf("raw log: got\n%s", out)
	}
	m.secret()
}

// TestModelFailures: what its provider says of an agent's key, credit and
// limits is the end of its attempt.
func TestModelFailures(t *testing.T) {
	for name, c := range map[string]struct {
		reply modelReply
		want  string
		why   string
	}{
		"key":      {modelReply{Status: 401, Type: "authentication_error", Say: "no"}, "auth", "hermes agent release clerk"},
		"credit":   {modelReply{Status: 402, Type: "billing_error", Say: "no"}, "credit", "hermes agent release clerk"},
		"refused":  {modelReply{Status: 400, Type: "invalid_request_error", Say: "no"}, "invalid_request", "hermes agent release clerk"},
		"overload": {modelReply{Status: 529, Type: "overloaded_error", Say: "no"}, "overloaded", "hermes agent release clerk"},
		"limit": {modelReply{Status: 429, Type: "rate_limit_error", Say: "no", Header: http.Header{"Retry-After": {"3600"}}},
			"rate_limited", "the next one waits"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			once := func(p *events.Policy) { p.BackoffMaxMS = 3_600_000 } // or it is tried again at once
			m := newModelled(t, once, func(int, *modelRequest) modelReply { return c.reply })
			m.gateway()
			id := m.create("clerk")
			m.endsAs(id, c.want)
			m.answers(id, c.why)
			if out := m.must("inbox"); strings.Contains(c.why, "release") && !strings.Contains(out, c.why) {
				t.Errorf("inbox: got\n%s", out)
			}
			if at := m.show(id).RetryAt; name == "limit" && at.Sub(m.show(id).Runs[0].Ended).Minutes() < 55 {
				t.Errorf("got %v, want that the provider's time is kept", at)
			}
			m.secret()
		})
	}
}

// TestModelBudget: a run whose budget is spent gets no further answer.
func TestModelBudget(t *testing.T) {
	for name, set := range map[string]func(*events.Policy){
		"budget.run":             func(p *events.Policy) { p.Budget.Run = 5000 }, // 3300 micros an answer
		"token_budget.run":       func(p *events.Policy) { p.TokenBudget.Run = 2000 },
		"token_budget.agent_day": func(p *events.Policy) { p.TokenBudget.AgentDay, p.HostSlots = 2000, 1 }, // or it is shared
		"budget.board_month":     func(p *events.Policy) { p.Budget.BoardMonth = 5000 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newModelled(t, set, func(int, *modelRequest) modelReply { return modelReply{Tool: "kanban_show"} })
			m.gateway()
			id := m.create("clerk")
			m.endsAs(id, "budget")
			if n := len(m.model.Requests()); n != 2 {
				t.Errorf("got %d answers of the model, want 2", n)
			}
			m.answers(id, "policy set "+name) // once the slot of the run is free
			whose := map[string]string{"token_budget.agent_day": "clerk has spent", "budget.board_month": "the board has spent"}[name]
			eventually(t, "it is on record", func() bool { return strings.Contains(m.must("board", "replay"), whose) })
		})
	}
}

// TestModelBudgetTold: people hear that most of a run's budget is spent while
// the run goes on.
func TestModelBudgetTold(t *testing.T) {
	t.Parallel()
	told := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(told) })
	m := newModelled(t, func(p *events.Policy) { p.TokenBudget.Run = 2500 }, func(n int, _ *modelRequest) modelReply {
		if n == 2 {
			<-told
		}
		return modelReply{Tool: "kanban_show"}
	})
	t.Cleanup(goOn) // the provider's server ends with its answers
	m.gateway()
	id := m.create("clerk")
	defer func() {
		if t.Failed() {
			t.Log(m.must("board", "replay"))
		}
	}()
	spent := regexp.MustCompile("attempt 1 of " + id + " has spent 20(21|40) of 2500 tokens") // with the beginning of the second answer, or all of it
	eventually(t, "it is on record", func() bool { return spent.MatchString(m.must("board", "replay")) })
	goOn()
	m.endsAs(id, "budget")
}

// TestAgentAddModels: of what an agent calls its model by, only what is not
// plain has to be said.
func TestAgentAddModels(t *testing.T) {
	p := newPlace(t, nil, nil)
	p.must("agent", "add", "coder", "--runtime", "claude", "--key", "ANTHROPIC_API_KEY", "--tools", "Read,Edit", "--", "/opt/claude/claude")
	p.must("agent", "add", "fixer", "--runtime", "codex", "--key", "OPENAI_API_KEY", "--model", "m", "--", "/opt/codex/bin/codex")
	for name, api := range map[string]string{"coder": "anthropic", "fixer": "openai-responses"} {
		b, err := os.ReadFile(filepath.Join(p.dir, "agents", name, "config.yaml"))
		if err != nil || !strings.Contains(string(b), "kind: "+api) {
			t.Errorf("%s: got\n%s%v", name, b, err)
		}
	}
	if _, errs, code := p.hermes("agent", "add", "lead", "--runtime", "model", "--model", "m", "--key", "ANTHROPIC_API_KEY"); code != 2 || !strings.Contains(errs, "--api") {
		t.Errorf("got exit %d, %s", code, errs)
	}
	if out := p.must("config", "schema", "agent"); !json.Valid([]byte(out)) || !strings.Contains(out, `"model_endpoint"`) {
		t.Errorf("got the schema\n%s", out)
	}
}

// TestModelledLocal: without isolation the endpoint is an address of this host.
func TestModelledLocal(t *testing.T) {
	t.Parallel()
	m := newModelled(t, nil, says(modelReply{Tool: "kanban_complete", Args: map[string]any{"summary": "painted"}}))
	m.write("agents/clerk/config.yaml", strings.Replace(m.read("agents/clerk/config.yaml"), "backend: bubblewrap", "backend: local", 1))
	id := m.create("clerk")
	m.must("kanban", "dispatch")
	m.endsAs(id, "completed")
	r := m.show(id).Runs[0]
	if r.Usage.CostMicros == 0 || len(r.Egress) != 1 || r.Egress[0].Host != "127.0.0.1" || r.Egress[0].BytesIn == 0 {
		t.Errorf("got usage %+v, egress %+v", r.Usage, r.Egress)
	}
	m.secret()
}

// TestModelledOwn: the agent of our own needs no other program.
func TestModelledOwn(t *testing.T) {
	t.Parallel()
	m := newModelled(t, nil, testTask)
	config := m.read("agents/clerk/config.yaml")
	begin, end := strings.Index(config, "  command: "), strings.Index(config, "  model: ")
	config = strings.Replace(config[:begin]+config[end:], "kind: claude", "kind: model", 1)
	m.write("agents/clerk/config.yaml", strings.Replace(config, "tools: [Write]", "tools: [write]", 1))
	if out, errs, code := m.hermes("agent", "check", "clerk"); code != 0 {
		t.Errorf("got exit %d\n%s%s", code, out, errs)
	}
	m.secret()
}
