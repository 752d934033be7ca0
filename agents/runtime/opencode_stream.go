package runtime

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// opencodeLine is what is read of a line of OpenCode's events.
type opencodeLine struct {
	Type      string `json:"type"`
	SessionID string `json:"sessionID"`
	Part      struct {
		Text  string `json:"text"`
		Tool  string `json:"tool"`
		State struct {
			Status string          `json:"status"`
			Input  json.RawMessage `json:"input"`
			Output string          `json:"output"`
			Error  string          `json:"error"`
		} `json:"state"`
		Reason string  `json:"reason"`
		Cost   float64 `json:"cost"`
		Tokens struct {
			Input     int64 `json:"input"`
			Output    int64 `json:"output"`
			Reasoning int64 `json:"reasoning"`
			Cache     struct {
				Read  int64 `json:"read"`
				Write int64 `json:"write"`
			} `json:"cache"`
		} `json:"tokens"`
	} `json:"part"`
	Error struct {
		Name string `json:"name"`
		Data struct {
			Message string            `json:"message"`
			Status  int               `json:"statusCode"`
			Headers map[string]string `json:"responseHeaders"`
		} `json:"data"`
	} `json:"error"`
}

func (opencode) read(line []byte, s *Summary) (string, bool) {
	var in opencodeLine
	if json.Unmarshal(line, &in) != nil {
		return "", false
	}
	if in.SessionID != "" && s.Conversation == "" {
		s.Conversation = in.SessionID
	}
	p := &in.Part
	switch in.Type {
	case "step_start":
		return "", true
	case "text", "reasoning":
		return p.Text, true
	case "tool_use":
		answer := p.State.Output
		if p.State.Error != "" {
			answer = p.State.Error
		}
		return called(p.Tool, p.State.Input) + "\n" + answered(answer, p.State.Status == "error"), true
	case "step_finish":
		s.Turns++
		s.Tokens.Input += p.Tokens.Input
		s.Tokens.Output += p.Tokens.Output + p.Tokens.Reasoning
		s.Tokens.CacheRead += p.Tokens.Cache.Read
		s.Tokens.CacheWrite += p.Tokens.Cache.Write
		s.Cost += int64(math.Ceil(p.Cost * 1e6))
		if p.Reason == "stop" {
			return fmt.Sprintf("(ended: %d turns, %s)", s.Turns, spent(s)), true
		}
		return "", true
	case "error":
		return opencodeError(&in, s), true
	}
	return "", false
}

func opencodeError(in *opencodeLine, s *Summary) string {
	e := &in.Error
	switch class := ofStatus(e.Data.Status); {
	case class != "":
		s.fail(class, e.Data.Message)
	case e.Name == "ProviderAuthError":
		s.fail(Auth, e.Data.Message)
	default:
		s.fail(Other, e.Name+": "+e.Data.Message)
	}
	if n, err := strconv.Atoi(e.Data.Headers["retry-after"]); err == nil && n > 0 {
		s.Retry = time.Duration(n) * time.Second
	}
	return fmt.Sprintf("error: %s %s", e.Name, e.Data.Message)
}
