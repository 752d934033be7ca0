package model

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/runtime"
)

// parse reads a streamed answer as ask does.
func parse(kind, stream string) (*reply, error) {
	a, _ := apiOf(kind)
	r := a.reader()
	if err := eachEvent(strings.NewReader(stream), r.event); err != nil {
		return nil, err
	}
	return r.end()
}

// sse makes a stream of the data of its events.
func sse(data ...string) string { return "data: " + strings.Join(data, "\n\ndata: ") + "\n\n" }

const (
	begun = `{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}}}`
	ended = `{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":7}}`
	stops = `{"type":"message_stop"}`
)

func TestStreams(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct {
		kind, stream string
		want         *reply
		class        runtime.Class // of the failure, where want is nil; empty = any error
	}{
		"messages": {agents.Anthropic, "event: message_start\r\ndata: " + begun + "\r\n\r\n: a comment\n\n" + sse(`{"type":"ping"}`,
			`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s1"}}`, `{"type":"content_block_stop","index":0}`,
			`{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}`,
			`{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"I "}}`, `{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"look."}}`,
			`{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"a","name":"shell","input":{}}}`,
			`{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"b","name":"list_files","input":{}}}`,
			`{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"command\""}}`,
			`{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":":\"ls\"}"}}`,
			`{"type":"a_new_kind_of_event"}`, ended, stops),
			&reply{thoughts: raws(`{"signature":"s1","thinking":"Hm.","type":"thinking"}`), text: "I look.",
				calls:  []call{{ID: "a", Name: "shell", Args: []byte(`{"command":"ls"}`)}, {ID: "b", Name: "list_files", Args: []byte("{}")}},
				tokens: agents.Tokens{Input: 10, CacheRead: 5, Output: 7}}, ""},
		"messages, cut off at the limit": {agents.Anthropic, sse(begun, strings.Replace(ended, "tool_use", "max_tokens", 1), stops), &reply{stop: tooLong, tokens: agents.Tokens{Input: 10, CacheRead: 5, Output: 7}}, ""},
		"messages, declined":             {agents.Anthropic, sse(begun, strings.Replace(ended, "tool_use", "refusal", 1), stops), &reply{stop: declined, tokens: agents.Tokens{Input: 10, CacheRead: 5, Output: 7}}, ""},
		"messages, a megabyte": {agents.Anthropic, sse(begun, `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"`+big+`"}}`, ended, stops),
			&reply{text: big, tokens: agents.Tokens{Input: 10, CacheRead: 5, Output: 7}}, ""},
		"messages, broken off":     {agents.Anthropic, sse(begun, ended), nil, ""},
		"messages, in trouble":     {agents.Anthropic, sse(begun, `{"type":"error","error":{"type":"overloaded_error","message":"later"}}`), nil, runtime.Overloaded},
		"messages, no JSON":        {agents.Anthropic, sse("<html>"), nil, runtime.Other},
		"messages, a part unbegun": {agents.Anthropic, sse(begun, `{"type":"content_block_delta","index":0,"delta":{"text":"x"}}`), nil, runtime.Other},
		"messages, a wild index":   {agents.Anthropic, sse(begun, `{"type":"content_block_start","index":1000000000,"content_block":{"type":"text"}}`), nil, runtime.Other},
		"messages, below nothing":  {agents.Anthropic, sse(begun, `{"type":"content_block_delta","index":-1,"delta":{"text":"x"}}`), nil, runtime.Other},
		"messages, no part":        {agents.Anthropic, sse(begun, `{"type":"content_block_start","index":0}`), nil, runtime.Other},
		"messages, empty":          {agents.Anthropic, "", nil, ""},
		"a line without end":       {agents.Anthropic, "data: " + strings.Repeat("x", maxLine+1), nil, ""},

		"chat": {agents.OpenAIChat, sse(`{"choices":[{"index":0,"delta":{"role":"assistant","content":"I "}}]}`, `{"choices":[{"delta":{"content":"look."}}]}`,
			`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"shell","arguments":"{\"com"}},{"index":1,"id":"b","function":{"name":"list_files","arguments":""}}]}}]}`,
			`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"mand\":\"ls\"}"}}]}}]}`, `{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}`,
			`{"choices":[],"usage":{"prompt_tokens":15,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":5}}}`, "[DONE]"),
			&reply{text: "I look.", calls: []call{{ID: "a", Name: "shell", Args: []byte(`{"command":"ls"}`)}, {ID: "b", Name: "list_files"}}, tokens: agents.Tokens{Input: 10, CacheRead: 5, Output: 7}}, ""},
		"chat, without indexes": {agents.OpenAIChat, sse(`{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"shell","arguments":"{}"}},{"id":"b","function":{"name":"shell","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`),
			&reply{calls: []call{{ID: "a", Name: "shell", Args: []byte("{}")}, {ID: "b", Name: "shell", Args: []byte("{}")}}}, ""},
		"chat, cut off at the limit": {agents.OpenAIChat, sse(`{"choices":[{"delta":{"content":"and"},"finish_reason":"length"}]}`), &reply{text: "and", stop: tooLong}, ""},
		"chat, broken off":           {agents.OpenAIChat, sse(`{"choices":[{"delta":{"content":"and"}}]}`, "[DONE]"), nil, ""},
		"chat, in trouble":           {agents.OpenAIChat, sse(`{"error":{"message":"busy","type":"server_error","code":503}}`), nil, runtime.Overloaded},
		"chat, a wild index":         {agents.OpenAIChat, sse(`{"choices":[{"delta":{"tool_calls":[{"index":1000000000}]}}]}`), nil, runtime.Other},
		"chat, below nothing":        {agents.OpenAIChat, sse(`{"choices":[{"delta":{"tool_calls":[{"index":-1}]}}]}`), nil, runtime.Other},
		"chat, no JSON":              {agents.OpenAIChat, sse("{"), nil, runtime.Other},
		"chat, usage of nonsense": {agents.OpenAIChat, sse(`{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":-5,"completion_tokens":-1,"prompt_tokens_details":{"cached_tokens":900}}}`),
			&reply{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(c.kind, c.stream)
			if c.want == nil {
				var f *Failure
				if err == nil || c.class != "" && (!errors.As(err, &f) || f.Class != c.class) {
					t.Errorf("got %v, want a failure of class %q", err, c.class)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(reply{}, call{}), equalRaw); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzStreams(f *testing.F) {
	f.Add(sse(begun, `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"b"}}`, ended, stops))
	f.Add(sse(`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a"}]},"finish_reason":"length"}]}`, "[DONE]"))
	f.Fuzz(func(t *testing.T, stream string) {
		for _, kind := range []string{agents.Anthropic, agents.OpenAIChat} {
			r, err := parse(kind, stream)
			if err != nil {
				continue
			}
			if m := r.message(1); m.byModel() && !follows(nil, &m) {
				t.Errorf("%s: got %+v, which cannot be read again", kind, m)
			}
		}
	})
}

// TestSenseless: what does not speak the API is not asked again.
func TestSenseless(t *testing.T) {
	for name, stream := range map[string]string{
		"a page":       "<!doctype html>\n<html>",
		"not a stream": `{"type":"message","content":[]}`,
		"a long line":  `data: {"x":"` + strings.Repeat("x", maxLine),
		"a long event": strings.Repeat("data: "+strings.Repeat("x", maxLine/4)+"\n", 5),
	} {
		t.Run(name, func(t *testing.T) {
			for _, kind := range []string{agents.Anthropic, agents.OpenAIChat} {
				_, err := parse(kind, stream)
				var f *Failure
				if !errors.As(err, &f) || f.again || f.Class != runtime.Overloaded {
					t.Errorf("%s: got %v", kind, err)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		header map[string]string
		body   string
		class  runtime.Class
		retry  string
		again  bool
	}{
		"no key":            {401, nil, `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`, runtime.Auth, "0s", false},
		"no rights":         {403, nil, `{}`, runtime.Auth, "0s", false},
		"no credit":         {402, map[string]string{"X-Should-Retry": "false"}, `{"error":{"type":"billing_error"}}`, runtime.Credit, "0s", false},
		"no quota":          {429, nil, `{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}`, runtime.Credit, "0s", false},
		"too many":          {429, map[string]string{"Retry-After": "30"}, `{"error":{"type":"rate_limit_error"}}`, runtime.RateLimited, "30s", true},
		"too many, told no": {429, map[string]string{"X-Should-Retry": "false"}, ``, runtime.RateLimited, "0s", false},
		"in milliseconds":   {429, map[string]string{"Retry-After-Ms": "1500"}, ``, runtime.RateLimited, "1.5s", true},
		"for ever":          {429, map[string]string{"Retry-After": "1e300"}, ``, runtime.RateLimited, "24h0m0s", true},
		"a word":            {429, map[string]string{"Retry-After": "soon"}, ``, runtime.RateLimited, "0s", true},
		"overloaded":        {529, nil, `{"error":{"type":"overloaded_error"}}`, runtime.Overloaded, "0s", true},
		"a page":            {502, nil, `<html>` + strings.Repeat("x", 1<<16), runtime.Overloaded, "0s", true},
		"our fault":         {400, nil, `{"error":{"type":"invalid_request_error","message":"bad\nthing"}}`, runtime.Invalid, "0s", false},
		"no such model":     {404, nil, `{"error":{"code":404}}`, runtime.Invalid, "0s", false},
		"elsewhere":         {302, map[string]string{"Location": "http://evil.example"}, ``, runtime.Other, "0s", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := map[string][]string{}
			for k, v := range c.header {
				h[k] = []string{v}
			}
			f := refusal(c.status, h, []byte(c.body))
			if f.Class != c.class || f.Retry.String() != c.retry || f.again != c.again || strings.Contains(f.Detail, "\n") || len(f.Detail) > 400 {
				t.Errorf("got %+v", f)
			}
		})
	}
}
