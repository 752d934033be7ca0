package runtime

import (
	"encoding/json"
	"time"

	"github.com/hermesboard/hermes/agents"
)

// modelLine is what is read of a line of our own agent.
type modelLine struct {
	Type    string        `json:"type"`
	Text    string        `json:"text"`
	Name    string        `json:"name"`
	Refused bool          `json:"refused"`
	Class   Class         `json:"class"`
	Retry   int64         `json:"retry_ms"`
	Turns   int           `json:"turns"`
	Tokens  agents.Tokens `json:"tokens"`
}

func (model) read(line []byte, s *Summary) (string, bool) {
	var in modelLine
	if json.Unmarshal(line, &in) != nil {
		return "", false
	}
	switch in.Type {
	case "text":
		return in.Text, true
	case "call":
		return called(in.Name, json.RawMessage(in.Text)), true
	case "result":
		return answered(in.Text, in.Refused), true
	case "wait":
		return "(" + in.Text + "; it tries again)", true
	case "end":
		s.Turns, s.Tokens = in.Turns, in.Tokens
		if in.Class != "" {
			s.fail(in.Class, in.Text)
			s.Retry = max(time.Duration(min(in.Retry, 1e9))*time.Millisecond, 0)
		}
		return "(" + in.Text + ")", true
	}
	return "", false
}
