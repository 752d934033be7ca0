package model

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	jsonx "github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/agents/mcp"
	"github.com/hermesboard/hermes/agents/worker"
)

// tool is a tool as the model is told of it; own ones have a function.
type tool struct {
	name, what string
	schema     map[string]any
	do         func(ctx context.Context, args json.RawMessage) (string, error) // nil = of the board
}

// Board are the tools of the run; see [mcp.Tools].
type Board interface {
	Call(ctx context.Context, name string, args json.RawMessage) mcp.Result
}

// toolbox is everything that a model can call.
type toolbox struct {
	list  []tool
	board Board
}

// own are the tools besides those of the board, by their names in a
// configuration.
func own(b *bench) map[string]tool {
	where := prop("string", "relative to the workspace, or absolute; $HERMES_INPUTS/ and $HERMES_OUTPUTS/ may begin it")
	return map[string]tool{
		"read": {"read_file", fmt.Sprintf("Read a text file of the workspace, $HERMES_INPUTS, $HERMES_OUTPUTS or another folder that you were given. Answers at most %d bytes, from offset.", maxRead),
			schema(object{"path": where, "offset": prop("integer", "the byte to begin at; 0 if left out")}, "path"), taking(b.read)},
		"write": {"write_file", "Write a text file in the workspace or in $HERMES_OUTPUTS, the folders it lies in included. What was there before is replaced.",
			schema(object{"path": where, "content": prop("string", "the whole text"), "append": prop("boolean", "add it to the end of what is there")}, "path", "content"), taking(b.write)},
		"list": {"list_files", fmt.Sprintf("List a folder and all that is in it, at most %d entries.", maxListed),
			schema(object{"path": prop("string", "as of read_file; the workspace if left out")}), taking(b.list)},
		"shell": {"shell", fmt.Sprintf("Run a command with /bin/sh in the workspace, unattended. Answers its exit status and the first and last of its output, at most %d bytes.", maxShown),
			schema(object{"command": prop("string", "what to run"), "timeout_seconds": prop("integer", fmt.Sprintf("how long it may take: %d if left out, %d at most", int(shellTime.Seconds()), int(maxShellTime.Seconds())))}, "command"), taking(b.shell)},
	}
}

func prop(kind, what string) object { return object{"type": kind, "description": what} }

func schema(properties object, required ...string) object {
	s := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// call carries out a call.
func (tb *toolbox) call(ctx context.Context, c call) mcp.Result {
	if c.wrong != "" {
		return mcp.Result{Text: c.wrong, Refused: true}
	}
	for _, t := range tb.list {
		if t.name != c.Name {
			continue
		}
		if t.do == nil {
			return tb.board.Call(ctx, c.Name, c.Args)
		}
		text, err := t.do(ctx, c.Args)
		if err != nil {
			return mcp.Result{Text: oneLine(err.Error(), 2000), Refused: true}
		}
		return mcp.Result{Text: text}
	}
	return mcp.Result{Text: tb.unknown(c.Name), Refused: true}
}

func (tb *toolbox) unknown(name string) string {
	var names []string
	for _, t := range tb.list {
		names = append(names, t.name)
	}
	hint := "there are: " + strings.Join(names, ", ")
	if best := worker.Nearest(name, names); best != "" {
		hint = "did you mean " + best + "?"
	}
	return fmt.Sprintf("there is no tool %.100q; %s", name, hint)
}

// taking reads the arguments of a tool strictly into the struct that it takes.
func taking[A any](do func(context.Context, A) (string, error)) func(context.Context, json.RawMessage) (string, error) {
	return func(ctx context.Context, raw json.RawMessage) (string, error) {
		var a A
		if err := jsonx.Unmarshal(raw, &a, jsonx.RejectUnknownMembers(true)); err != nil {
			return "", fmt.Errorf("the arguments do not fit: %.300s", err.Error())
		}
		return do(ctx, a)
	}
}
