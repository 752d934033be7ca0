package runtimetest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/hermesboard/hermes/agents"
)

// Programs are the programs that are imitated: their flags, their output, how
// they use our tools and what they can be led astray by. An unknown flag is
// refused. Each takes its arguments and returns its exit code.
var Programs = map[string]func(args []string) int{"claude": mockClaude, "codex": mockCodex, "opencode": mockOpencode}

// said is an entry of a conversation: a text of somebody, or the call of a
// tool, or its result.
type said struct {
	Role string // user, assistant, call, result
	Text string
	Tool string
	Args json.RawMessage
	ID   string
}

// loop is what all such programs do: ask the model, call tools, again.
type loop struct {
	api           string
	url, key      string
	model, system string
	history       []said
	prefix        string // of our tools' names
	space         string // their namespace, if they have one
	ours          *sdk.ClientSession
	tools         []*sdk.Tool
	own           map[string]func(args map[string]any) string
	maxTurns      int
	broke         func() bool
	turns         int
	tokens        agents.Tokens
	onText        func(string)
	onCall        func(tool string, args json.RawMessage, answer string, failed bool)
	onTurn        func(agents.Tokens)
}

// connect starts our server.
func (l *loop) connect(argv []string) error {
	client := sdk.NewClient(&sdk.Implementation{Name: "mock", Version: "1"}, nil)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")} // as bare as some make it
	session, err := client.Connect(context.Background(), &sdk.CommandTransport{Command: cmd}, nil)
	if err != nil {
		return err
	}
	l.ours = session
	list, err := session.ListTools(context.Background(), nil)
	if err == nil {
		l.tools = list.Tools
	}
	return err
}

func (l *loop) close() {
	if l.ours != nil {
		l.ours.Close()
	}
}

// refusal is an answer of the model's API that is a failure.
type refusal struct {
	status  int
	message string
}

func (r *refusal) Error() string { return r.message }

var errTurns, errBroke = fmt.Errorf("too many turns"), fmt.Errorf("too much money")

// run goes on until the model says something without calling a tool.
func (l *loop) run(prompt string) error {
	lastPrompt = prompt
	l.history = append(l.history, said{Role: "user", Text: prompt})
	for {
		if l.maxTurns > 0 && l.turns == l.maxTurns {
			return errTurns
		}
		if l.broke != nil && l.broke() {
			return errBroke
		}
		answer, used, err := l.ask()
		if err != nil {
			return err
		}
		l.turns++
		l.tokens = agents.Tokens{Input: l.tokens.Input + used.Input, Output: l.tokens.Output + used.Output, CacheRead: l.tokens.CacheRead + used.CacheRead}
		l.history = append(l.history, answer)
		if answer.Tool == "" {
			l.onText(answer.Text)
			l.onTurn(used)
			return nil
		}
		result, failed := l.call(answer)
		l.onCall(answer.Tool, answer.Args, result, failed)
		l.onTurn(used)
		l.history = append(l.history, said{Role: "result", ID: answer.ID, Tool: answer.Tool, Text: result})
	}
}

func (l *loop) call(c said) (result string, failed bool) {
	var args map[string]any
	json.Unmarshal(c.Args, &args)
	if own, ok := l.own[c.Tool]; ok {
		return own(args), false
	}
	name, ours := strings.CutPrefix(c.Tool, l.prefix)
	if !ours || l.ours == nil {
		return "No such tool available: " + c.Tool, true
	}
	res, err := l.ours.CallTool(context.Background(), &sdk.CallToolParams{Name: name, Arguments: args})
	if err != nil {
		return err.Error(), true
	}
	for _, part := range res.Content {
		if t, ok := part.(*sdk.TextContent); ok {
			result += t.Text
		}
	}
	return result, res.IsError
}

// ask makes one request, streaming as they all do.
func (l *loop) ask() (said, agents.Tokens, error) {
	path, body := l.body()
	req, err := http.NewRequest(http.MethodPost, l.url+path, bytes.NewReader(body))
	if err != nil {
		return said{}, agents.Tokens{}, err
	}
	req.Header.Set("Authorization", "Bearer "+l.key)
	if l.api == agents.Anthropic {
		req.Header.Del("Authorization")
		req.Header.Set("X-Api-Key", l.key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return said{}, agents.Tokens{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		var e struct{ Error struct{ Message string } }
		b, _ := io.ReadAll(res.Body)
		json.Unmarshal(b, &e)
		return said{}, agents.Tokens{}, &refusal{res.StatusCode, e.Error.Message}
	}
	return l.listen(res.Body)
}

// body is a request in the words of the API.
func (l *loop) body() (path string, body []byte) {
	var messages, list []any
	for _, h := range l.history {
		messages = append(messages, l.entry(h))
	}
	for _, t := range l.tools {
		list = append(list, l.tool(l.prefix+t.Name))
	}
	if l.space != "" {
		list = []any{object{"type": "namespace", "name": l.space, "tools": list}}
	}
	for name := range l.own {
		list = append(list, l.tool(name))
	}
	in := object{"model": l.model, "stream": true, "tools": list}
	switch l.api {
	case agents.Anthropic:
		path, in["system"], in["messages"] = "/v1/messages", l.system, messages
	case agents.OpenAIResponses:
		path, in["instructions"], in["input"] = "/v1/responses", l.system, messages
	default:
		path, in["messages"] = "/v1/chat/completions", append([]any{object{"role": "system", "content": l.system}}, messages...)
	}
	body, _ = json.Marshal(in)
	return path, body
}

func (l *loop) tool(name string) any {
	switch l.api {
	case agents.Anthropic:
		return object{"name": name}
	case agents.OpenAIResponses:
		return object{"type": "function", "name": name}
	}
	return object{"type": "function", "function": object{"name": name}}
}

func (l *loop) entry(h said) any {
	args := h.Args
	if args == nil {
		args = json.RawMessage("{}")
	}
	switch l.api + " " + h.Role {
	case agents.Anthropic + " call":
		return object{"role": "assistant", "content": []any{object{"type": "tool_use", "id": h.ID, "name": h.Tool, "input": args}}}
	case agents.Anthropic + " result":
		return object{"role": "user", "content": []any{object{"type": "tool_result", "tool_use_id": h.ID, "content": h.Text}}}
	case agents.OpenAIResponses + " call":
		return object{"type": "function_call", "call_id": h.ID, "name": h.Tool, "arguments": string(args)}
	case agents.OpenAIResponses + " result":
		return object{"type": "function_call_output", "call_id": h.ID, "output": h.Text}
	case agents.OpenAIChat + " call":
		return object{"role": "assistant", "tool_calls": []any{object{"id": h.ID, "type": "function", "function": object{"name": h.Tool, "arguments": string(args)}}}}
	case agents.OpenAIChat + " result":
		return object{"role": "tool", "tool_call_id": h.ID, "content": h.Text}
	}
	return object{"role": h.Role, "content": h.Text}
}

// listen reads a streamed answer of any of the APIs.
func (l *loop) listen(r io.Reader) (answer said, used agents.Tokens, err error) {
	answer.Role = "assistant"
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var e mockEvent
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return answer, used, err
		}
		e.apply(&answer, &used)
	}
	if answer.Tool != "" {
		answer.Role = "call"
	}
	return answer, used, lines.Err()
}

// mockEvent is an event of any of the APIs, as far as it matters.
type mockEvent struct {
	Message struct {
		Usage struct{ Input_tokens, Cache_read_input_tokens int64 }
	}
	Content_block struct{ Type, ID, Name string }
	Delta         json.RawMessage
	Usage         struct {
		Output_tokens, Prompt_tokens, Completion_tokens int64
		Prompt_tokens_details                           struct{ Cached_tokens int64 }
	}
	Type string
	Item struct {
		Type, Name, Call_id, Arguments string
		Content                        []struct{ Text string }
	}
	Response struct {
		Usage struct {
			Input_tokens, Output_tokens int64
			Input_tokens_details        struct{ Cached_tokens int64 }
		}
	}
	Choices []struct {
		Delta struct {
			Content    string
			Tool_calls []struct {
				ID       string
				Function struct{ Name, Arguments string }
			}
		}
	}
}

func (e *mockEvent) apply(answer *said, used *agents.Tokens) {
	switch e.Type {
	case "message_start":
		used.Input, used.CacheRead = e.Message.Usage.Input_tokens, e.Message.Usage.Cache_read_input_tokens
	case "content_block_start":
		if e.Content_block.Type == "tool_use" {
			answer.Tool, answer.ID = e.Content_block.Name, e.Content_block.ID
		}
	case "content_block_delta":
		var d struct{ Text, Partial_json string }
		json.Unmarshal(e.Delta, &d)
		answer.Text += d.Text
		answer.Args = append(answer.Args, d.Partial_json...)
	case "message_delta":
		used.Output = e.Usage.Output_tokens
	case "response.output_item.done":
		if e.Item.Type == "function_call" {
			answer.Tool, answer.ID, answer.Args = e.Item.Name, e.Item.Call_id, json.RawMessage(e.Item.Arguments)
		}
		for _, c := range e.Item.Content {
			answer.Text += c.Text
		}
	case "response.completed":
		u := e.Response.Usage
		*used = agents.Tokens{Input: u.Input_tokens - u.Input_tokens_details.Cached_tokens, CacheRead: u.Input_tokens_details.Cached_tokens, Output: u.Output_tokens}
	case "":
		for _, c := range e.Choices {
			answer.Text += c.Delta.Content
			for _, t := range c.Delta.Tool_calls {
				answer.Tool, answer.ID, answer.Args = t.Function.Name, t.ID, json.RawMessage(t.Function.Arguments)
			}
		}
		if u := e.Usage; u.Prompt_tokens > 0 {
			cached := u.Prompt_tokens_details.Cached_tokens
			*used = agents.Tokens{Input: u.Prompt_tokens - cached, CacheRead: cached, Output: u.Completion_tokens}
		}
	}
}
