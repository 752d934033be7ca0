package runtimetest

import (
	"encoding/json"
	"strings"
)

// responsesTool is a function, or a namespace of functions.
type responsesTool struct {
	Type  string          `json:"type"`
	Name  string          `json:"name"`
	Tools []responsesTool `json:"tools"`
}

// readResponses reads a request of the OpenAI Responses API.
func readResponses(body []byte) *Request {
	var in struct {
		Model        string          `json:"model"`
		Instructions string          `json:"instructions"`
		Input        json.RawMessage `json:"input"`
		Tools        []responsesTool `json:"tools"`
	}
	json.Unmarshal(body, &in)
	r := &Request{API: "responses", Model: in.Model, Said: []string{in.Instructions}}
	for _, t := range in.Tools {
		if t.Name == "" {
			t.Name = t.Type
		}
		if t.Tools == nil {
			r.Tools = append(r.Tools, t.Name)
		}
		for _, inner := range t.Tools {
			r.Tools = append(r.Tools, t.Name+"/"+inner.Name)
		}
	}
	var items []struct {
		Type    string          `json:"type"`
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
		Output  json.RawMessage `json:"output"`
	}
	json.Unmarshal(in.Input, &items)
	for _, i := range items {
		switch {
		case i.Output != nil:
			r.Results = append(r.Results, texts(i.Output)...)
		case i.Role != "assistant":
			r.Said = append(r.Said, texts(i.Content)...)
		}
	}
	return r
}

func writeResponses(e *events, id string, r *Request, reply Reply) {
	item := object{"type": "message", "id": "msg_" + id, "role": "assistant", "status": "completed",
		"content": []any{object{"type": "output_text", "text": reply.Text, "annotations": []any{}}}}
	if reply.Tool != "" {
		item = object{"type": "function_call", "id": "fc_" + id, "call_id": "call_" + id, "name": reply.Tool,
			"arguments": string(encode(reply.Args)), "status": "completed"}
		if space, name, ok := strings.Cut(reply.Tool, "/"); ok {
			item["namespace"], item["name"] = space, name
		}
	}
	response := object{"id": "resp_" + id, "object": "response", "created_at": 1, "model": r.Model, "status": "in_progress", "output": []any{}}
	e.named(object{"type": "response.created", "sequence_number": 0, "response": response})
	e.named(object{"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item})
	if reply.Tool == "" {
		e.named(object{"type": "response.output_text.delta", "sequence_number": 2, "item_id": "msg_" + id, "output_index": 0, "content_index": 0, "delta": reply.Text})
	}
	e.named(object{"type": "response.output_item.done", "sequence_number": 3, "output_index": 0, "item": item})
	response["status"], response["output"] = "completed", []any{item}
	response["usage"] = object{"input_tokens": InputTokens, "input_tokens_details": object{"cached_tokens": CacheTokens},
		"output_tokens": OutputTokens, "output_tokens_details": object{"reasoning_tokens": 0}, "total_tokens": InputTokens + OutputTokens}
	e.named(object{"type": "response.completed", "sequence_number": 4, "response": response})
}
