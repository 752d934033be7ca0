package runtime

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents"
)

// feed writes output in pieces of n bytes.
func feed(t *testing.T, kind, output string, n int) (log, raw string, sum Summary) {
	t.Helper()
	a, err := For(kind)
	if err != nil {
		t.Fatal(err)
	}
	var l, r bytes.Buffer
	s := NewStream(a, &l, &r)
	for rest := []byte(output); len(rest) > 0; {
		k := min(n, len(rest))
		if got, err := s.Write(rest[:k]); got != k || err != nil {
			t.Fatalf("got %d, %v from Write, want %d", got, err, k)
		}
		rest = rest[k:]
	}
	sum = s.End()
	return l.String(), r.String(), sum
}

func TestStreamReads(t *testing.T) {
	for _, tt := range []struct {
		kind, output, log string
		want              Summary
	}{
		{"claude", `{"type":"system","subtype":"init","session_id":"u-1","tools":["mcp__kanban__kanban_show","Read"],"model":"m","claude_code_version":"2.1.330"}
{"type":"assistant","message":{"content":[{"type":"text","text":"Let me see."},{"type":"tool_use","name":"mcp__kanban__kanban_show","input":{}}]}}
{"type":"user","message":{"content":[{"type":"tool_result","content":[{"type":"text","text":"a\n  b"}]}]}}
{"type":"system","subtype":"api_retry","error_status":529,"retry_delay_ms":1500}
{"type":"result","subtype":"success","num_turns":2,"total_cost_usd":0.0000011,"usage":{"input_tokens":1},"modelUsage":{"m":{"inputTokens":5,"outputTokens":2},"small":{"inputTokens":1,"cacheReadInputTokens":9}}}
`, `(claude 2.1.330, model m, conversation u-1, tools: 1 of the board Read)
Let me see.
→ kanban_show
← a b
(the model answered 529; trying again in 1.5s)
(ended: success, 2 turns, 6 tokens read, 9 from the cache, 2 written, $0.000002)
`, Summary{Program: "2.1.330", Conversation: "u-1", Model: "m", Turns: 2, Cost: 2, Tokens: agents.Tokens{Input: 6, Output: 2, CacheRead: 9}}},
		{"claude", `{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"result":"slow down"}`,
			"error: slow down\n(ended: success, 0 turns, 0 tokens read, 0 from the cache, 0 written)\n", Summary{Class: RateLimited, Detail: "slow down"}},
		{"claude", `{"type":"result","subtype":"error_max_budget_usd","is_error":true,"errors":["Reached maximum budget"]}`,
			"error: Reached maximum budget\n(ended: error_max_budget_usd, 0 turns, 0 tokens read, 0 from the cache, 0 written)\n", Summary{Class: Budget, Detail: "Reached maximum budget"}},
		{"claude", `{"type":"system","subtype":"init","tools":["Bash"]}`, "(claude , model , conversation , tools: 0 of the board Bash)\n",
			Summary{Class: ToolsMissing, Detail: "the agent was not given the tools of its board"}},
		{"codex", `{"type":"thread.started","thread_id":"t-1"}
{"type":"item.completed","item":{"type":"command_execution","command":"ls","aggregated_output":"a\nb\n","exit_code":0}}
{"type":"item.completed","item":{"type":"file_change","changes":[{"path":"a.go","kind":"update"}]}}
{"type":"error","message":"Reconnecting... 1/3"}
{"type":"turn.completed","usage":{"input_tokens":10,"cached_input_tokens":4,"output_tokens":2}}
`, `(codex, conversation t-1)
→ shell ls
← exit 0 a b
→ change update a.go
(Reconnecting... 1/3)
(ended: 6 tokens read, 4 from the cache, 2 written)
`, Summary{Conversation: "t-1", Tokens: agents.Tokens{Input: 6, CacheRead: 4, Output: 2}}},
		{"opencode", `{"type":"error","sessionID":"ses_1","error":{"name":"APIError","data":{"message":"no","statusCode":429,"responseHeaders":{"retry-after":"7"}}}}`,
			"error: APIError no\n", Summary{Conversation: "ses_1", Class: RateLimited, Detail: "no", Retry: 7 * time.Second}},
		{"opencode", `{"type":"error","error":{"name":"ProviderAuthError","data":{"message":"key"}}}`, "error: ProviderAuthError key\n", Summary{Class: Auth, Detail: "key"}},
		{"command", "plain\r\n\n  \n{\"a\":1}\nlast", "plain\n{\"a\":1}\nlast\n", Summary{}},
	} {
		for _, n := range []int{1, 7, 1 << 20} {
			log, raw, sum := feed(t, tt.kind, tt.output, n)
			if log != tt.log {
				t.Errorf("%s in pieces of %d: got log\n%s\nwant\n%s", tt.kind, n, log, tt.log)
			}
			if raw != tt.output {
				t.Errorf("%s in pieces of %d: the raw output differs", tt.kind, n)
			}
			if sum != tt.want {
				t.Errorf("%s in pieces of %d: got %+v, want %+v", tt.kind, n, sum, tt.want)
			}
		}
	}
}

// TestStreamMalformed has programs say what nobody expects of them.
func TestStreamMalformed(t *testing.T) {
	for kind := range adapters {
		for _, line := range []string{"{", "{}", `{"type":5}`, `{"type":"never heard of"}`, `{"type":"assistant","message":7}`, `{"type":"result","usage":"much"}`,
			`{"type":"item.completed","item":null}`, `{"type":"error","error":[]}`, "\x00\xff\xfe", "null", "[1]", strings.Repeat("[", 100_000)} {
			log, _, sum := feed(t, kind, line+"\n", 1<<20)
			if log == "" {
				t.Errorf("%s: %.40q is lost", kind, line)
			}
			if len(log) > maxShown+10 {
				t.Errorf("%s: got %d bytes shown of %.40q", kind, len(log), line)
			}
			if sum.Tokens != (agents.Tokens{}) {
				t.Errorf("%s: got %+v from %.40q", kind, sum, line)
			}
		}
	}
}

// TestStreamLongLine passes a line that is not to be held, and goes on.
func TestStreamLongLine(t *testing.T) {
	a, err := For("claude")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s := NewStream(a, &log, nil)
	piece := bytes.Repeat([]byte("x"), 64<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const size = 200 << 20
	for range size / len(piece) {
		s.Write(piece)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
		t.Errorf("got %d MiB allocated for one line, want it not to be held", used>>20)
	}
	s.Write([]byte("\n" + `{"type":"result","subtype":"success","num_turns":3}` + "\n"))
	if sum := s.End(); sum.Turns != 3 {
		t.Errorf("got %+v after the line, want what came next read", sum)
	}
	if want := fmt.Sprintf("(a line of %d bytes)\n", size); !strings.HasPrefix(log.String(), want) {
		t.Errorf("got log %.80q, want it to begin with %q", log.String(), want)
	}
}
