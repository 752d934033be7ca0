package runtimetest

import "encoding/json"

// readMessages reads a request of the Anthropic Messages API.
func readMessages(body []byte) *Request {
	var in struct {
		Model    string          `json:"model"`
		System   json.RawMessage `json:"system"`
		Messages []struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
		Tools []struct {
			Name string `json:"name"`
		} `json:"tools"`
	}
	json.Unmarshal(body, &in)
	r := &Request{API: "messages", Model: in.Model, Said: texts(in.System)}
	for _, t := range in.Tools {
		r.Tools = append(r.Tools, t.Name)
	}
	for _, m := range in.Messages {
		if m.Role != "user" {
			continue
		}
		r.Said = append(r.Said, texts(m.Content)...)
		var parts []struct {
			Type    string          `json:"type"`
			Content json.RawMessage `json:"content"`
		}
		json.Unmarshal(m.Content, &parts)
		for _, p := range parts {
			if p.Type == "tool_result" {
				r.Results = append(r.Results, texts(p.Content)...)
			}
		}
	}
	return r
}

func writeMessages(e *events, id string, r *Request, reply Reply) {
	usage := object{"input_tokens": InputTokens, "cache_read_input_tokens": CacheTokens, "cache_creation_input_tokens": 0, "output_tokens": 1}
	e.named(object{"type": "message_start", "message": object{"id": "msg_" + id, "type": "message", "role": "assistant",
		"model": r.Model, "content": []any{}, "stop_reason": nil, "stop_sequence": nil, "usage": usage}})
	stop, block, delta := "end_turn", object{"type": "text", "text": ""}, object{"type": "text_delta", "text": reply.Text}
	if reply.Tool != "" {
		stop = "tool_use"
		block = object{"type": "tool_use", "id": "toolu_" + id, "name": reply.Tool, "input": object{}}
		delta = object{"type": "input_json_delta", "partial_json": string(encode(reply.Args))}
	}
	e.named(object{"type": "content_block_start", "index": 0, "content_block": block})
	e.named(object{"type": "content_block_delta", "index": 0, "delta": delta})
	e.named(object{"type": "content_block_stop", "index": 0})
	e.named(object{"type": "message_delta", "delta": object{"stop_reason": stop, "stop_sequence": nil}, "usage": object{"output_tokens": OutputTokens}})
	e.named(object{"type": "message_stop"})
}

func failMessages(r Reply) any {
	return object{"type": "error", "error": object{"type": r.Type, "message": r.Say}}
}
