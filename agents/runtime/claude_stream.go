package runtime

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/hermesboard/hermes/agents"
)

// claudeLine is what is read of a line of Claude Code's stream.
type claudeLine struct {
	Type      string `json:"type"`
	Subtype   string `json:"subtype"`
	SessionID string `json:"session_id"`

	// init
	Version string   `json:"claude_code_version"`
	Model   string   `json:"model"`
	Tools   []string `json:"tools"`

	// assistant, user
	Message struct {
		Content json.RawMessage `json:"content"`
	} `json:"message"`

	// result
	IsError        bool                 `json:"is_error"`
	ErrorStatus    int                  `json:"api_error_status"`
	TerminalReason string               `json:"terminal_reason"`
	Turns          int                  `json:"num_turns"`
	Cost           float64              `json:"total_cost_usd"`
	Usage          claudeUsage          `json:"usage"`
	Models         map[string]claudeSum `json:"modelUsage"`
	Result         string               `json:"result"`
	Errors         []string             `json:"errors"`

	// api_retry
	RetryStatus int     `json:"error_status"`
	RetryDelay  float64 `json:"retry_delay_ms"`
}

type claudeUsage struct {
	Input      int64 `json:"input_tokens"`
	Output     int64 `json:"output_tokens"`
	CacheRead  int64 `json:"cache_read_input_tokens"`
	CacheWrite int64 `json:"cache_creation_input_tokens"`
}

// claudeSum is what one of several models used.
type claudeSum struct {
	Input      int64 `json:"inputTokens"`
	Output     int64 `json:"outputTokens"`
	CacheRead  int64 `json:"cacheReadInputTokens"`
	CacheWrite int64 `json:"cacheCreationInputTokens"`
}

// block is a part of a message of the Messages API.
type block struct {
	Type    string          `json:"type"`
	Text    string          `json:"text"`
	Name    string          `json:"name"`
	Input   json.RawMessage `json:"input"`
	Content json.RawMessage `json:"content"`
	IsError bool            `json:"is_error"`
}

// claudeEnds are the classes of its own reasons to stop.
var claudeEnds = map[string]Class{
	"error_max_turns": MaxTurns, "max_turns": MaxTurns,
	"error_max_budget_usd": Budget, "max_budget_usd": Budget, "budget_exhausted": Budget,
}

func (claude) read(line []byte, s *Summary) (string, bool) {
	var in claudeLine
	if json.Unmarshal(line, &in) != nil {
		return "", false
	}
	switch in.Type {
	case "system":
		switch in.Subtype {
		case "init":
			return claudeInit(&in, s), true
		case "api_retry":
			return fmt.Sprintf("(the model answered %d; trying again in %v)", in.RetryStatus, time.Duration(in.RetryDelay)*time.Millisecond), true
		}
		return "", true // progress, for displays
	case "assistant", "user":
		return blocks(in.Message.Content), true
	case "result":
		return claudeResult(&in, s), true
	case "rate_limit_event", "stream_event":
		return "", true
	}
	return "", false
}

func claudeInit(in *claudeLine, s *Summary) string {
	s.Program, s.Model, s.Conversation = in.Version, in.Model, in.SessionID
	ours, others := 0, []string{}
	for _, t := range in.Tools {
		if strings.HasPrefix(t, "mcp__"+kanban+"__") {
			ours++
		} else {
			others = append(others, t)
		}
	}
	if ours == 0 {
		s.fail(ToolsMissing, "the agent was not given the tools of its board")
	}
	return fmt.Sprintf("(claude %s, model %s, conversation %s, tools: %d of the board %s)", in.Version, in.Model, in.SessionID, ours, strings.Join(others, " "))
}

func claudeResult(in *claudeLine, s *Summary) string {
	s.Turns, s.Cost = in.Turns, int64(math.Ceil(in.Cost*1e6))
	s.Tokens = agents.Tokens{Input: in.Usage.Input, Output: in.Usage.Output, CacheRead: in.Usage.CacheRead, CacheWrite: in.Usage.CacheWrite}
	if len(in.Models) > 0 { // those of side jobs, too
		s.Tokens = agents.Tokens{}
		for _, m := range in.Models {
			s.Tokens.Input += m.Input
			s.Tokens.Output += m.Output
			s.Tokens.CacheRead += m.CacheRead
			s.Tokens.CacheWrite += m.CacheWrite
		}
	}
	detail := in.Result
	if len(in.Errors) > 0 {
		detail = strings.Join(in.Errors, "; ")
	}
	switch class := claudeEnds[in.Subtype]; {
	case class != "":
		s.fail(class, detail)
	case claudeEnds[in.TerminalReason] != "":
		s.fail(claudeEnds[in.TerminalReason], detail)
	case in.ErrorStatus != 0:
		s.fail(ofStatus(in.ErrorStatus), detail)
	case in.IsError:
		s.fail(Other, detail)
	}
	end := fmt.Sprintf("(ended: %s, %d turns, %s)", in.Subtype, in.Turns, spent(s))
	if in.IsError {
		return "error: " + detail + "\n" + end
	}
	return end
}

// spent says what tokens were used.
func spent(s *Summary) string {
	t := s.Tokens
	text := fmt.Sprintf("%d tokens read, %d from the cache, %d written", t.Input+t.CacheWrite, t.CacheRead, t.Output)
	if s.Cost > 0 {
		text += ", $" + dollars(s.Cost)
	}
	return text
}

// blocks makes the parts of a message readable.
func blocks(content json.RawMessage) string {
	var text string
	if json.Unmarshal(content, &text) == nil {
		return text
	}
	var parts []block
	if json.Unmarshal(content, &parts) != nil {
		return ""
	}
	var lines []string
	for _, p := range parts {
		switch p.Type {
		case "text":
			lines = append(lines, p.Text)
		case "tool_use":
			lines = append(lines, called(p.Name, p.Input))
		case "tool_result":
			lines = append(lines, answered(blocks(p.Content), p.IsError))
		}
	}
	return strings.Join(lines, "\n")
}

// maxCall is how much of a call and of its answer is shown.
const maxCall = 600

// called is the call of a tool, as a line.
func called(tool string, args json.RawMessage) string {
	for _, prefix := range []string{"mcp__" + kanban + "__", kanban + "_" + kanban + "_"} {
		if rest, ok := strings.CutPrefix(tool, prefix); ok {
			tool = kanban + "_" + strings.TrimPrefix(rest, kanban+"_")
		}
	}
	if string(args) == "{}" {
		args = nil
	}
	return strings.TrimRight("→ "+tool+" "+clip(string(args), maxCall), " ")
}

// answered is a tool's answer, as a line.
func answered(text string, failed bool) string {
	if failed {
		text = "error: " + text
	}
	return "← " + clip(strings.Join(strings.Fields(text), " "), maxCall)
}
