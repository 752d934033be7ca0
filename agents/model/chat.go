package model

import (
	"bytes"
	"encoding/json"
	"net/http"
)

func chatHeader(h http.Header, token string) { h.Set("Authorization", "Bearer "+token) }

// encodeChat makes a request of the OpenAI Chat Completions API, with nothing
// in it that other servers of this API do not know.
func encodeChat(q *question) any {
	in := object{"model": q.model, "stream": true, "stream_options": object{"include_usage": true}}
	var tools []object
	for _, t := range q.tools {
		tools = append(tools, object{"type": "function", "function": object{"name": t.name, "description": t.what, "parameters": t.schema}})
	}
	if tools != nil {
		in["tools"] = tools
	}
	messages := []object{}
	if q.system != "" {
		messages = append(messages, object{"role": "system", "content": q.system})
	}
	for i := range q.messages {
		messages = append(messages, chatMessages(&q.messages[i])...)
	}
	in["messages"] = messages
	return in
}

func chatMessages(m *message) (out []object) {
	switch {
	case m.Said != "":
		return []object{{"role": "user", "content": m.Said}}
	case len(m.Results) > 0:
		for _, r := range m.Results {
			out = append(out, object{"role": "tool", "tool_call_id": r.ID, "content": r.Text})
		}
		return out
	}
	said := object{"role": "assistant", "content": m.Text}
	var calls []object
	for _, c := range m.Calls {
		calls = append(calls, object{"id": c.ID, "type": "function", "function": object{"name": c.Name, "arguments": string(c.Args)}})
	}
	if calls != nil {
		said["tool_calls"] = calls
	}
	return []object{said}
}

// chatReader takes the chunks of an answer.
type chatReader struct {
	reply reply
	text  bytes.Buffer
	calls []*chatCall
	stop  string
	whole bool
}

// chatCall is a call as it grows.
type chatCall struct {
	id, name string
	args     bytes.Buffer
}

func (r *chatReader) event(data []byte) error {
	if string(data) == "[DONE]" {
		return nil
	}
	var in struct {
		Choices []struct {
			Delta struct {
				Content string `json:"content"`
				Refusal string `json:"refusal"`
				Calls   []struct {
					Index    *int   `json:"index"`
					ID       string `json:"id"`
					Function struct {
						Name      string `json:"name"`
						Arguments string `json:"arguments"`
					} `json:"function"`
				} `json:"tool_calls"`
			} `json:"delta"`
			Finish string `json:"finish_reason"`
		} `json:"choices"`
		Usage *struct {
			Prompt     int64 `json:"prompt_tokens"`
			Completion int64 `json:"completion_tokens"`
			Details    struct {
				Cached int64 `json:"cached_tokens"`
			} `json:"prompt_tokens_details"`
		} `json:"usage"`
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return nonsense("a chunk of the answer is not JSON: %.100q", data)
	}
	if in.Error != nil {
		return in.Error.inStream()
	}
	if u := in.Usage; u != nil {
		t := &r.reply.tokens
		t.CacheRead = min(max(u.Details.Cached, 0), max(u.Prompt, 0))
		t.Input, t.Output = max(u.Prompt, 0)-t.CacheRead, max(u.Completion, 0)
	}
	if len(in.Choices) == 0 {
		return nil
	}
	c := in.Choices[0]
	r.text.WriteString(c.Delta.Content)
	r.text.WriteString(c.Delta.Refusal)
	for i, d := range c.Delta.Calls {
		at := i // servers that send a call at once leave the index out
		if d.Index != nil {
			at = *d.Index
		} else if d.ID != "" {
			at = len(r.calls)
		}
		if at < 0 || at > len(r.calls) || at >= maxBlocks {
			return nonsense("call %d of the answer comes after %d calls", at, len(r.calls))
		}
		if at == len(r.calls) {
			r.calls = append(r.calls, &chatCall{})
		}
		call := r.calls[at]
		if d.ID != "" {
			call.id = d.ID
		}
		call.name += d.Function.Name
		call.args.WriteString(d.Function.Arguments)
	}
	if c.Finish != "" {
		r.stop, r.whole = c.Finish, true
	}
	return nil
}

func (r *chatReader) end() (*reply, error) {
	if !r.whole {
		return nil, errCutOff
	}
	r.reply.text = r.text.String()
	for _, c := range r.calls {
		r.reply.calls = append(r.reply.calls, call{ID: c.id, Name: c.name, Args: c.args.Bytes()})
	}
	switch r.stop {
	case "length":
		r.reply.stop = tooLong
	case "content_filter":
		r.reply.stop = declined
	}
	return &r.reply, nil
}
