package runtimetest

import (
	"encoding/json"
	"fmt"
)

// readChat reads a request of the OpenAI Chat Completions API.
func readChat(body []byte) *Request {
	var in struct {
		Model    string `json:"model"`
		Messages []struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
		Tools []struct {
			Function struct {
				Name string `json:"name"`
			} `json:"function"`
		} `json:"tools"`
	}
	json.Unmarshal(body, &in)
	r := &Request{API: "chat", Model: in.Model}
	for _, t := range in.Tools {
		r.Tools = append(r.Tools, t.Function.Name)
	}
	for _, m := range in.Messages {
		switch m.Role {
		case "tool":
			r.Results = append(r.Results, texts(m.Content)...)
		case "system", "developer", "user":
			r.Said = append(r.Said, texts(m.Content)...)
		}
	}
	return r
}

func writeChat(e *events, id string, r *Request, reply Reply) {
	chunk := func(delta object, finish any) object {
		return object{"id": "chatcmpl-" + id, "object": "chat.completion.chunk", "created": 1, "model": r.Model,
			"choices": []any{object{"index": 0, "delta": delta, "finish_reason": finish}}}
	}
	delta, finish := object{"role": "assistant", "content": reply.Text}, "stop"
	if reply.Tool != "" {
		finish = "tool_calls"
		delta = object{"role": "assistant", "tool_calls": []any{object{"index": 0, "id": "call_" + id, "type": "function",
			"function": object{"name": reply.Tool, "arguments": string(encode(reply.Args))}}}}
	}
	e.data(chunk(delta, nil))
	last := chunk(object{}, finish)
	last["usage"] = object{"prompt_tokens": InputTokens, "prompt_tokens_details": object{"cached_tokens": CacheTokens},
		"completion_tokens": OutputTokens, "total_tokens": InputTokens + OutputTokens}
	e.data(last)
	fmt.Fprint(e.w, "data: [DONE]\n\n")
}
