package runtime

import (
	"encoding/json"
	"fmt"
	"strings"
)

// codexLine is what is read of a line of Codex's events.
type codexLine struct {
	Type     string    `json:"type"`
	ThreadID string    `json:"thread_id"`
	Message  string    `json:"message"`
	Item     codexItem `json:"item"`
	Error    struct {
		Message string `json:"message"`
	} `json:"error"`
	Usage struct {
		Input  int64 `json:"input_tokens"` // cached ones included
		Cached int64 `json:"cached_input_tokens"`
		Output int64 `json:"output_tokens"`
	} `json:"usage"`
}

type codexItem struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	Message   string          `json:"message"`
	Tool      string          `json:"tool"`
	Arguments json.RawMessage `json:"arguments"`
	Result    struct {
		Content json.RawMessage `json:"content"`
	} `json:"result"`
	Error struct {
		Message string `json:"message"`
	} `json:"error"`
	Command  string `json:"command"`
	Output   string `json:"aggregated_output"`
	ExitCode int    `json:"exit_code"`
	Changes  []struct {
		Path string `json:"path"`
		Kind string `json:"kind"`
	} `json:"changes"`
}

// Its failures are prose: no class but Other can be told from them. The
// endpoint can tell.
func (codex) read(line []byte, s *Summary) (string, bool) {
	var in codexLine
	if json.Unmarshal(line, &in) != nil {
		return "", false
	}
	switch in.Type {
	case "thread.started":
		s.Conversation = in.ThreadID
		return "(codex, conversation " + in.ThreadID + ")", true
	case "turn.started", "item.started", "item.updated":
		return "", true
	case "item.completed":
		return in.Item.show(s), true
	case "turn.completed":
		s.Class, s.Detail = "", "" // what failed before was tried again
		s.Tokens.Input = in.Usage.Input - in.Usage.Cached
		s.Tokens.CacheRead, s.Tokens.Output = in.Usage.Cached, in.Usage.Output
		return fmt.Sprintf("(ended: %s)", spent(s)), true
	case "turn.failed":
		s.fail(Other, in.Error.Message)
		return "error: " + in.Error.Message, true
	case "error":
		s.fail(Other, in.Message)
		return "(" + in.Message + ")", true
	}
	return "", false
}

// show is what a person should read of something that it did.
func (i *codexItem) show(s *Summary) string {
	switch i.Type {
	case "agent_message", "reasoning":
		return i.Text
	case "mcp_tool_call":
		if i.Error.Message != "" {
			return called(i.Tool, i.Arguments) + "\n" + answered(i.Error.Message, true)
		}
		return called(i.Tool, i.Arguments) + "\n" + answered(blocks(i.Result.Content), false)
	case "command_execution":
		return "→ shell " + clip(i.Command, maxCall) + "\n" + answered(fmt.Sprintf("exit %d %s", i.ExitCode, i.Output), false)
	case "file_change":
		var changes []string
		for _, c := range i.Changes {
			changes = append(changes, c.Kind+" "+c.Path)
		}
		return "→ change " + clip(strings.Join(changes, ", "), maxCall)
	case "error":
		return "error: " + i.Message
	}
	return "(" + i.Type + ")"
}
