package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	jsonx "github.com/go-json-experiment/json"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// reply is what a tool answers, as structured content.
type reply struct {
	OK          bool               `json:"ok"`
	Status      events.Status      `json:"status,omitzero"`
	Tasks       []events.TaskID    `json:"tasks,omitzero"` // created
	Task        *taskFacts         `json:"task,omitzero"`
	Context     string             `json:"context,omitzero"`
	Cards       []projections.Card `json:"cards,omitzero"`
	Artifacts   []worker.Artifact  `json:"artifacts,omitzero"` // handed over by this call
	Attachments []file             `json:"attachments,omitzero"`
	Notices     []worker.Notice    `json:"notices,omitzero"`

	detail *projections.Detail
}

// file is a file of a task.
type file struct {
	Name   string        `json:"name"`
	Kind   string        `json:"kind"` // attachment or result
	Size   int64         `json:"size"`
	SHA256 events.Digest `json:"sha256"`
	By     string        `json:"by"`
}

// taskFacts is a task without the words that the bounded context text has: a
// client that shows a model both would make it read them twice, and unbounded.
type taskFacts struct {
	projections.Card
	Body        string                    `json:"body,omitzero"` // without a context only
	Comments    []projections.CommentRow  `json:"comments,omitzero"`
	Reviewer    string                    `json:"reviewer,omitzero"`
	Implementer string                    `json:"implementer,omitzero"`
	Edges       []events.Edge             `json:"edges,omitzero"`
	Children    []events.TaskID           `json:"children"`
	Workspace   events.Workspace          `json:"workspace,omitzero"`
	MaxRuntime  int64                     `json:"max_runtime_ms,omitzero"`
	Block       *projections.BlockRow     `json:"block,omitzero"`
	Runs        []attempt                 `json:"runs"`
	Artifacts   []projections.ArtifactRow `json:"artifacts"`
	Handoff     *projections.Handoff      `json:"handoff,omitzero"`
	Inputs      []projections.Handoff     `json:"inputs,omitzero"`
	Events      []projections.EventRow    `json:"events"`
}

// attempt is a run in few words.
type attempt struct {
	Run     events.RunID   `json:"run"`
	Agent   string         `json:"agent"`
	Role    events.Role    `json:"role"`
	Phase   events.Status  `json:"phase"`
	Outcome events.Outcome `json:"outcome,omitzero"`
	Verdict string         `json:"verdict,omitzero"`
}

func facts(d *projections.Detail, told bool) *taskFacts {
	t := &taskFacts{Card: d.Card, Reviewer: d.Reviewer, Implementer: d.Implementer, Edges: d.Edges, Children: d.Children, Workspace: d.Workspace,
		MaxRuntime: d.MaxRuntime, Block: d.Block, Runs: []attempt{}, Artifacts: d.Artifacts, Handoff: d.Handoff, Events: d.Events}
	t.Run = nil // the last of Runs
	for _, r := range d.Runs {
		t.Runs = append(t.Runs, attempt{Run: r.Run, Agent: r.Agent, Role: r.Role, Phase: r.Phase, Outcome: r.Outcome, Verdict: r.Verdict})
	}
	if !told {
		t.Body, t.Comments, t.Inputs = d.Body, d.Comments, d.Inputs
	}
	return t
}

// handler makes a tool a handler of the SDK. What goes wrong is a result that
// a model can read, never an error of the protocol.
func (r *run) handler(t *tool) sdk.ToolHandler {
	return func(ctx context.Context, req *sdk.CallToolRequest) (res *sdk.CallToolResult, _ error) {
		defer func() {
			if p := recover(); p != nil {
				res = failed(&worker.Error{Code: api.CodeInternal, Message: fmt.Sprintf("%s: panic: %v", t.name, p)})
			}
		}()
		a, err := t.read(req.Params.Arguments)
		if err != nil {
			return failed(err), nil
		}
		rep, err := t.call(r, ctx, a)
		if err != nil {
			return failed(err), nil
		}
		rep.OK = true
		rep.Notices = append(r.untold(), rep.Notices...)
		return rep.result(), nil
	}
}

// result gives the same as JSON for programs and as text. The text of a task
// is its context: that is what a model starts from.
func (rep *reply) result() *sdk.CallToolResult {
	b, err := jsonx.Marshal(rep, jsonx.Deterministic(true))
	if err != nil {
		return failed(err)
	}
	words := string(b)
	if rep.Context != "" {
		var text strings.Builder
		text.WriteString(rep.Context)
		for _, n := range rep.Notices {
			fmt.Fprintf(&text, "\nNotice: %s by %q: %q", n.What, n.By, n.Text)
		}
		words = text.String()
	}
	return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: words}}, StructuredContent: json.RawMessage(b)}
}

// failed is a refusal as a result.
func failed(err error) *sdk.CallToolResult {
	b, merr := jsonx.Marshal(map[string]*worker.Error{"error": refusal(err)}, jsonx.Deterministic(true))
	if merr != nil {
		b = []byte(`{"error":{"code":"internal","message":"the refusal cannot be written"}}`)
	}
	return &sdk.CallToolResult{IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: string(b)}}, StructuredContent: json.RawMessage(b)}
}

// refusal is an error in the words of the worker protocol. What the socket did
// not say itself means that the socket cannot be reached.
func refusal(err error) *worker.Error {
	var e *worker.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled):
		return &worker.Error{Code: "cancelled", Message: "the call was cancelled; what it asked for may have happened", Hint: "the same idempotency_key has one effect", Retry: true}
	case errors.Is(err, context.DeadlineExceeded):
		return &worker.Error{Code: api.CodeBusy, Message: "no answer in time", Hint: "call again with the same idempotency_key", Retry: true}
	}
	return &worker.Error{Code: "socket_gone", Message: fmt.Sprintf("no answer: %.600s", err.Error()),
		Hint: "wait a little and call again, with the same idempotency_key; if it stays so, the run is over", Retry: true}
}
