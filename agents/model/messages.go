package model

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/hermesboard/hermes/agents"
)

// maxOutput bounds one answer: what every model of the last years can give.
const maxOutput = 8192

func messagesHeader(h http.Header, token string) {
	h.Set("X-Api-Key", token)
	h.Set("Anthropic-Version", "2023-06-01")
}

// encodeMessages makes a request of the Anthropic Messages API. What stays the
// same from request to request is marked to be cached.
func encodeMessages(q *question) any {
	cached := object{"type": "ephemeral"}
	in := object{"model": q.model, "max_tokens": maxOutput, "stream": true}
	if q.system != "" {
		in["system"] = []object{{"type": "text", "text": q.system, "cache_control": cached}}
	}
	var tools []object
	for _, t := range q.tools {
		tools = append(tools, object{"name": t.name, "description": t.what, "input_schema": t.schema})
	}
	if tools != nil {
		in["tools"] = tools
	}
	type turn struct {
		Role    string   `json:"role"`
		Content []object `json:"content"`
	}
	var turns []turn
	for i := range q.messages {
		role, parts := messageParts(&q.messages[i])
		if n := len(turns); n > 0 && turns[n-1].Role == role { // one speaks after the other
			turns[n-1].Content = append(turns[n-1].Content, parts...)
			continue
		}
		turns = append(turns, turn{role, parts})
	}
	if n := len(turns); n > 0 && turns[n-1].Role == "user" {
		turns[n-1].Content[len(turns[n-1].Content)-1]["cache_control"] = cached
	}
	in["messages"] = turns
	return in
}

func messageParts(m *message) (role string, parts []object) {
	switch {
	case m.Said != "":
		return "user", []object{{"type": "text", "text": m.Said}}
	case len(m.Results) > 0:
		for _, r := range m.Results {
			part := object{"type": "tool_result", "tool_use_id": r.ID, "content": []object{{"type": "text", "text": r.Text}}}
			if r.Refused {
				part["is_error"] = true
			}
			parts = append(parts, part)
		}
		return "user", parts
	}
	for _, t := range m.Thoughts {
		var part object
		if json.Unmarshal(t, &part) == nil && isThought(part["type"]) {
			parts = append(parts, part)
		}
	}
	if strings.TrimSpace(m.Text) != "" { // an empty one is refused
		parts = append(parts, object{"type": "text", "text": m.Text})
	}
	for _, c := range m.Calls {
		parts = append(parts, object{"type": "tool_use", "id": c.ID, "name": c.Name, "input": c.Args})
	}
	if len(parts) == 0 {
		parts = []object{{"type": "text", "text": "(nothing)"}}
	}
	return "assistant", parts
}

func isThought(kind any) bool { return kind == "thinking" || kind == "redacted_thinking" }

// messagesReader takes the events of an answer.
type messagesReader struct {
	reply  reply
	blocks []*messagesBlock
	stop   string
	whole  bool
}

// messagesBlock is a part of an answer as it grows.
type messagesBlock struct {
	Type  string          `json:"type"`
	Text  string          `json:"text"`
	ID    string          `json:"id"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
	Think string          `json:"thinking"`
	Sign  string          `json:"signature"`
	Data  string          `json:"data"`

	text, args, think, sign bytes.Buffer
}

type messagesUsage struct {
	Input      *int64 `json:"input_tokens"`
	Output     *int64 `json:"output_tokens"`
	CacheRead  *int64 `json:"cache_read_input_tokens"`
	CacheWrite *int64 `json:"cache_creation_input_tokens"`
}

// add takes over what is said: later figures are of the whole answer.
func (u *messagesUsage) add(t *agents.Tokens) {
	for to, from := range map[*int64]*int64{&t.Input: u.Input, &t.Output: u.Output, &t.CacheRead: u.CacheRead, &t.CacheWrite: u.CacheWrite} {
		if from != nil && *from >= 0 {
			*to = *from
		}
	}
}

func (r *messagesReader) event(data []byte) error {
	var in struct {
		Type    string `json:"type"`
		Index   int    `json:"index"`
		Message struct {
			Usage messagesUsage `json:"usage"`
		} `json:"message"`
		Block *messagesBlock `json:"content_block"`
		Delta struct {
			Text  string `json:"text"`
			Args  string `json:"partial_json"`
			Think string `json:"thinking"`
			Sign  string `json:"signature"`
			Stop  string `json:"stop_reason"`
		} `json:"delta"`
		Usage messagesUsage `json:"usage"`
		Error *apiError     `json:"error"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return nonsense("an event of the answer is not JSON: %.100q", data)
	}
	switch in.Type {
	case "message_start":
		in.Message.Usage.add(&r.reply.tokens)
	case "content_block_start":
		if in.Block == nil || in.Index != len(r.blocks) || in.Index >= maxBlocks {
			return nonsense("part %d of the answer comes after %d parts", in.Index, len(r.blocks))
		}
		b := in.Block
		b.text.WriteString(b.Text)
		b.think.WriteString(b.Think)
		b.sign.WriteString(b.Sign)
		r.blocks = append(r.blocks, b)
	case "content_block_delta":
		if in.Index < 0 || in.Index >= len(r.blocks) {
			return nonsense("part %d of the answer never began", in.Index)
		}
		b := r.blocks[in.Index]
		b.text.WriteString(in.Delta.Text)
		b.args.WriteString(in.Delta.Args)
		b.think.WriteString(in.Delta.Think)
		b.sign.WriteString(in.Delta.Sign)
	case "message_delta":
		r.stop = in.Delta.Stop
		in.Usage.add(&r.reply.tokens)
	case "message_stop":
		r.whole = true
	case "error":
		return in.Error.inStream()
	}
	return nil
}

// maxBlocks bounds the parts of an answer.
const maxBlocks = 1000

func (r *messagesReader) end() (*reply, error) {
	if !r.whole {
		return nil, errCutOff
	}
	for _, b := range r.blocks {
		switch b.Type {
		case "text":
			r.reply.text += b.text.String()
		case "tool_use":
			args := b.args.Bytes()
			if len(args) == 0 {
				args = b.Input
			}
			r.reply.calls = append(r.reply.calls, call{ID: b.ID, Name: b.Name, Args: args})
		case "thinking":
			r.reply.thoughts = append(r.reply.thoughts, encoded(object{"type": b.Type, "thinking": b.think.String(), "signature": b.sign.String()}))
		case "redacted_thinking":
			r.reply.thoughts = append(r.reply.thoughts, encoded(object{"type": b.Type, "data": b.Data}))
		}
	}
	switch r.stop {
	case "max_tokens", "model_context_window_exceeded":
		r.reply.stop = tooLong
	case "refusal":
		r.reply.stop = declined
	}
	return &r.reply, nil
}

func encoded(v object) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts can be encoded
	}
	return b
}
