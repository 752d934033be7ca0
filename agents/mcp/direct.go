package mcp

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
)

// Tool is a tool of a run as a model is told of it.
type Tool struct {
	Name   string
	What   string
	Schema map[string]any // of its arguments
}

// Tools are the tools of a run without a protocol in between, for an agent
// that is part of hermes. They are the same as the server's.
type Tools struct {
	List         []Tool
	Instructions string // what the server tells its clients

	run *run
}

// Tools returns what this run may use or, where the socket does not say what it
// may do, all of them. The fields of the server may not change after it.
func (s *Server) Tools(ctx context.Context) *Tools {
	r := &run{Server: s}
	orient, cancel := context.WithTimeout(ctx, orientTime)
	defer cancel()
	self, _ := r.self(orient) // the first call of a tool says what is wrong
	ts := &Tools{Instructions: instructions(self), run: r}
	for _, t := range tools {
		if t.offered(self) {
			ts.List = append(ts.List, Tool{t.name, t.what, schema(t.args)})
		}
	}
	return ts
}

// Result is what a tool answered.
type Result struct {
	Text    string
	Refused bool // nothing was done, and Text says why
	Verdict bool // the run has given its verdict with this call
}

// Call calls a tool. What goes wrong is in the result.
func (ts *Tools) Call(ctx context.Context, name string, args json.RawMessage) Result {
	i := slices.IndexFunc(tools, func(t *tool) bool { return t.name == name })
	if i < 0 || !slices.ContainsFunc(ts.List, func(t Tool) bool { return t.Name == name }) {
		return plain(failed(&worker.Error{Code: string(boards.CodeBadCommand), Message: "this run has no tool of this name"}))
	}
	res, err := ts.run.handler(tools[i])(ctx, &sdk.CallToolRequest{Params: &sdk.CallToolParamsRaw{Name: name, Arguments: args}})
	if err != nil {
		return plain(failed(err))
	}
	out := plain(res)
	out.Verdict = !out.Refused && slices.Contains(verdicts, name)
	return out
}

// verdicts are the tools that end a run.
var verdicts = []string{"kanban_complete", "kanban_request_review", "kanban_request_changes", "kanban_approve", "kanban_block"}

func plain(res *sdk.CallToolResult) Result {
	var text strings.Builder
	for _, c := range res.Content {
		if t, ok := c.(*sdk.TextContent); ok {
			text.WriteString(t.Text)
		}
	}
	return Result{Text: text.String(), Refused: res.IsError}
}
