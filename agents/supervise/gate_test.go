//go:build linux

package supervise

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/endpoint"
	"github.com/hermesboard/hermes/agents/runtime"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// key may be nowhere but in the profile and at the provider.
const key = "sk-canary-5d0c2f1e9a7b"

// prepareModel is a run whose agent asks its model so many times.
func prepareModel(t *testing.T, answer http.HandlerFunc, times string) *trial {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != key {
			t.Error("the provider was not shown the key")
		}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	tr := prepare(t, "ask", times)
	tr.spec.Agent.Dir = filepath.Join(tr.spec.Home, "agents", "coder")
	tr.spec.Agent.Endpoint = &agents.Endpoint{Kind: agents.Anthropic, Upstream: server.URL, Credential: agents.Credential{Env: "CODER_KEY"}}
	if err := os.WriteFile(filepath.Join(tr.spec.Home, ".env"), []byte("CODER_KEY="+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return tr
}

func answers(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Write([]byte(`{"type":"message","usage":{"input_tokens":90,"output_tokens":10}}`))
}

// TestGate: an agent reaches its model with a token that is worth nothing
// elsewhere; what it used is on record, and the key is in no file of the run.
func TestGate(t *testing.T) {
	tr := prepareModel(t, answers, "2")
	var mu sync.Mutex
	var seen []Asked
	tr.deps.Seen = func(a Asked) { mu.Lock(); seen = append(seen, a); mu.Unlock() }
	got := tr.run(t)
	if u := got.Usage; u.TokensIn != 180 || u.TokensOut != 20 || u.Source != "endpoint" || u.Model != "m" {
		t.Errorf("got usage %+v", u)
	}
	if len(got.Egress) != 1 || got.Egress[0].Host != "127.0.0.1" || got.Egress[0].Requests != 2 {
		t.Errorf("got egress %+v", got.Egress)
	}
	if got.Outcome != events.OutcomeCrashed || !strings.Contains(tr.log(t), "answered 200") {
		t.Errorf("got %v (%s)\n%s", got.Outcome, got.Reason, tr.log(t))
	}
	if len(seen) != 2 || seen[0].Path != "/v1/messages" || seen[0].Status != 200 || !strings.Contains(string(seen[0].Body), `"model"`) {
		t.Errorf("got to see %+v", seen)
	}
	filepath.WalkDir(tr.spec.Home, func(path string, d os.DirEntry, err error) error {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), key) && filepath.Base(path) != ".env" {
			t.Errorf("the key is in %s", path)
		}
		return nil
	})
}

// TestGateFailures: the endpoint knows best why an attempt failed.
func TestGateFailures(t *testing.T) {
	refuse := func(status int, kind, after string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if after != "" {
				w.Header().Set("Retry-After", after)
			}
			w.WriteHeader(status)
			w.Write([]byte(`{"type":"error","error":{"type":"` + kind + `","message":"no"}}`))
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		change func(*trial)
		want   events.Outcome
		retry  bool
		words  string
	}{
		"auth":       {refuse(401, "authentication_error", ""), nil, events.OutcomeAuthFailed, false, "credential"},
		"limit":      {refuse(429, "rate_limit_error", "600"), nil, events.OutcomeRateLimited, true, "too many"},
		"overloaded": {refuse(529, "overloaded_error", ""), nil, events.OutcomeOverloaded, false, "trouble"},
		"purse": {answers, func(tr *trial) {
			tr.spec.Assignment.Purses = []boards.Purse{{Budget: "token_budget.board_day", What: "what is left for the board today", Left: 50, Limit: 1000, Spent: 950}}
		}, events.OutcomeOverBudget, false, "what is left for the board today"},
		"no key": {answers, func(tr *trial) { os.Remove(filepath.Join(tr.spec.Home, ".env")) }, events.OutcomeSpawnFailed, false, "CODER_KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := prepareModel(t, c.answer, "2")
			if c.change != nil {
				c.change(tr)
			}
			got := tr.run(t)
			if got.Outcome != c.want || c.retry != (got.RetryAfter > 0) || !strings.Contains(got.Reason, c.words) {
				t.Errorf("got %v (%s), again after %d ms; want %v with %q", got.Outcome, got.Reason, got.RetryAfter, c.want, c.words)
			}
			if c.want == events.OutcomeOverBudget && got.Usage.TokensIn != 90 {
				t.Errorf("got %d tokens read, want those of one answer", got.Usage.TokensIn)
			}
		})
	}
}

// TestBudgetsOf: the least of all purses counts, in money and in tokens, and
// one that is used up lets nothing be spent.
func TestBudgetsOf(t *testing.T) {
	r := &run{meter: &meter{}}
	r.spec.Assignment.Policy = events.Policy{Currency: "USD"}
	r.budgets = budgetsOf([]boards.Purse{{Budget: "budget.run", What: "a run", Left: 500}, {Budget: "token_budget.task", What: "x", Left: 1300}})
	want := []endpoint.Budget{{CostMicros: 500, What: "a run"}, {Tokens: 1300, What: "x"}}
	if !slices.Equal(r.budgets, want) {
		t.Errorf("got %+v, want %+v", r.budgets, want)
	}
	share, words := r.fullest() // 1234 tokens, no money
	if share != 94 || words != "1234 tokens of 1300 tokens for x" {
		t.Errorf("got %d, %q", share, words)
	}
	for _, left := range []int64{0, -3} {
		r.budgets = budgetsOf([]boards.Purse{{Budget: "budget.task", What: "x", Left: left}, {Budget: "budget.run", Left: 1 << 60}})
		share, words := r.fullest()
		if r.budgets[0].CostMicros != endpoint.Nothing || share != 100 || words != "$0.00 of $0.00 for x" {
			t.Errorf("%d left: got %+v, %d, %q", left, r.budgets[0], share, words)
		}
	}
}

// TestBlameSummary: where no endpoint knows better, the program's output does.
func TestBlameSummary(t *testing.T) {
	ad, err := runtime.For("claude")
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]events.Outcome{
		`{"type":"result","subtype":"error_max_turns","is_error":true,"num_turns":7,"terminal_reason":"max_turns"}`: events.OutcomeNoVerdict,
		`{"type":"result","subtype":"success","is_error":true,"api_error_status":401,"result":"no"}`:                events.OutcomeAuthFailed,
		`not JSON`: events.OutcomeCrashed,
	} {
		r := &run{meter: nothingMetered{}, stream: runtime.NewStream(ad, nil, nil)}
		r.stream.Write([]byte(line + "\n"))
		if got := r.blame(end{outcome: events.OutcomeCrashed}); got.outcome != want {
			t.Errorf("%s: got %v (%s), want %v", line, got.outcome, got.reason, want)
		}
		if got := r.blame(end{outcome: events.OutcomeTimedOut, decided: true}); got.outcome != events.OutcomeTimedOut {
			t.Errorf("%s: got %v for what was decided", line, got.outcome)
		}
	}
}
