package model

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go/v3"
	openaioption "github.com/openai/openai-go/v3/option"

	"github.com/hermesboard/hermes/agents"
)

// These tests hold what is said here against the modules of the APIs' makers:
// what they know of a request must be all of it, and what they read of an
// answer must be what is read here.

func raws(texts ...string) (out []json.RawMessage) {
	for _, s := range texts {
		out = append(out, json.RawMessage(s))
	}
	return out
}

var equalRaw = cmp.Comparer(func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })

var everything = &question{
	model: "m-1", system: "Be brief.",
	tools: []tool{{name: "shell", what: "Run it.", schema: schema(object{"command": prop("string", "what")}, "command")}},
	messages: []message{
		{Said: "Work."},
		{Thoughts: raws(`{"type":"thinking","thinking":"Hm.","signature":"s1"}`, `{"type":"redacted_thinking","data":"d"}`), Text: "I look.",
			Calls: []call{{ID: "a", Name: "shell", Args: []byte(`{"command":"ls"}`)}, {ID: "b", Name: "shell", Args: []byte(`{}`)}}},
		{Results: []result{{ID: "a", Text: "x"}, {ID: "b", Text: "wrong", Refused: true}}},
		{Said: "Notice."},
		{Text: "Done."},
		{Said: "Go on."},
	},
}

func TestRequestsAreWhatTheMakersKnow(t *testing.T) {
	for kind, params := range map[string]any{agents.Anthropic: &anthropic.MessageNewParams{}, agents.OpenAIChat: &openai.ChatCompletionNewParams{}} {
		t.Run(kind, func(t *testing.T) {
			a, _ := apiOf(kind)
			ours := encoded(a.encode(everything).(object))
			if err := json.Unmarshal(ours, params); err != nil {
				t.Fatal(err)
			}
			theirs, err := json.Marshal(params)
			if err != nil {
				t.Fatal(err)
			}
			want, got := object{}, object{}
			if err := json.Unmarshal(ours, &want); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(theirs, &got); err != nil {
				t.Fatal(err)
			}
			delete(want, "stream") // which theirs sets by itself
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-ours +theirs):\n%s", diff)
			}
		})
	}
}

// canned answers every request with a stream.
type canned string

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(strings.NewReader(string(c)))}, nil
}

func TestAnswersAreWhatTheMakersRead(t *testing.T) {
	const call = `{\"command\":\"ls\"}`
	t.Run(agents.Anthropic, func(t *testing.T) {
		stream := ""
		for _, data := range []string{
			`{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m-1","content":[],"usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}}}`,
			`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"I look."}}`, `{"type":"content_block_stop","index":0}`,
			`{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"a","name":"shell","input":{}}}`, `{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"` + call + `"}}`, `{"type":"content_block_stop","index":1}`,
			`{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":7}}`, `{"type":"message_stop"}`} {
			var event struct{ Type string }
			if err := json.Unmarshal([]byte(data), &event); err != nil {
				t.Fatal(err)
			}
			stream += "event: " + event.Type + "\n" + sse(data)
		}
		svc := anthropic.NewMessageService(anthropicoption.WithAPIKey("k"), anthropicoption.WithBaseURL("http://model"), anthropicoption.WithHTTPClient(&http.Client{Transport: canned(stream)}))
		var theirs anthropic.Message
		s := svc.NewStreaming(t.Context(), anthropic.MessageNewParams{})
		for s.Next() {
			if err := theirs.Accumulate(s.Current()); err != nil {
				t.Fatal(err)
			}
		}
		ours, err := parse(agents.Anthropic, stream)
		if err != nil || s.Err() != nil {
			t.Fatal(err, s.Err())
		}
		if len(theirs.Content) != 2 || ours.text != theirs.Content[0].Text || ours.calls[0].ID != theirs.Content[1].ID || ours.calls[0].Name != theirs.Content[1].Name ||
			string(ours.calls[0].Args) != string(theirs.Content[1].Input) || ours.tokens.Input != theirs.Usage.InputTokens || ours.tokens.Output != theirs.Usage.OutputTokens || ours.tokens.CacheRead != theirs.Usage.CacheReadInputTokens {
			t.Errorf("got %+v, want %s", ours, theirs.RawJSON())
		}
	})
	t.Run(agents.OpenAIChat, func(t *testing.T) {
		stream := sse(`{"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"I look."}}]}`,
			`{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"shell","arguments":""}}]}}]}`,
			`{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"`+call+`"}}]}}]}`,
			`{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`,
			`{"id":"c","choices":[],"usage":{"prompt_tokens":15,"completion_tokens":7,"total_tokens":22,"prompt_tokens_details":{"cached_tokens":5}}}`, "[DONE]")
		svc := openai.NewChatCompletionService(openaioption.WithAPIKey("k"), openaioption.WithBaseURL("http://model"), openaioption.WithHTTPClient(&http.Client{Transport: canned(stream)}))
		var theirs openai.ChatCompletionAccumulator
		s := svc.NewStreaming(t.Context(), openai.ChatCompletionNewParams{})
		for s.Next() {
			theirs.AddChunk(s.Current())
		}
		ours, err := parse(agents.OpenAIChat, stream)
		if err != nil || s.Err() != nil || len(theirs.Choices) != 1 || len(theirs.Choices[0].Message.ToolCalls) != 1 {
			t.Fatal(err, s.Err(), theirs)
		}
		m := theirs.Choices[0].Message
		if f := m.ToolCalls[0]; ours.text != m.Content || ours.calls[0].ID != f.ID || ours.calls[0].Name != f.Function.Name || string(ours.calls[0].Args) != f.Function.Arguments ||
			ours.tokens.Input+ours.tokens.CacheRead != theirs.Usage.PromptTokens || ours.tokens.Output != theirs.Usage.CompletionTokens {
			t.Errorf("got %+v, want %+v", ours, theirs)
		}
	})
}
