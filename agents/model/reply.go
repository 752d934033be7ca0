package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/hermesboard/hermes/agents"
)

// reply is an answer of a model.
type reply struct {
	thoughts []json.RawMessage
	text     string
	calls    []call // arguments as the model wrote them
	stop     stop
	tokens   agents.Tokens
}

// stop is why a model ended its answer.
type stop uint8

const (
	said     stop = iota // all it wanted to say
	tooLong              // it was cut off at the limit of an answer
	declined             // the provider or the model did not want to answer
)

// Bounds of the calls of one answer.
const (
	maxCalls = 32
	maxArgs  = 512 << 10
)

// isName reports whether every API takes it for the id of a call or the name of
// a tool.
func isName(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	return s != "" && len(s) <= 64 && strings.Trim(s, letters) == ""
}

// message makes of an answer what can be kept and said to any API again. Calls
// that cannot be carried out stay, so that the model is told why. n is how many
// messages there are already: ids made here have it in them.
func (r *reply) message(n int) message {
	m := message{Thoughts: r.thoughts, Text: r.text}
	seen := map[string]bool{}
	for i, c := range r.calls {
		if i == maxCalls {
			break
		}
		if !isName(c.ID) || seen[c.ID] {
			c.ID = "call-" + strconv.Itoa(n) + "-" + strconv.Itoa(i)
		}
		seen[c.ID] = true
		c.wrong = r.wrong(i)
		if !isName(c.Name) {
			c.Name = "no_such_tool"
		}
		if c.Args = given(c.Args); c.Args == nil || c.wrong != "" {
			c.Args = json.RawMessage("{}")
		}
		m.Calls = append(m.Calls, c)
	}
	return m
}

// wrong says why a call cannot be carried out as it is written.
func (r *reply) wrong(i int) string {
	c := r.calls[i]
	args := given(c.Args)
	switch {
	case !isName(c.Name):
		return fmt.Sprintf("%.100q is not the name of a tool", c.Name)
	case len(args) > maxArgs:
		return fmt.Sprintf("the arguments have %d bytes, at most %d are taken: write large files in parts", len(args), maxArgs)
	case r.stop == tooLong && i == len(r.calls)-1 && !isObject(args):
		return "your answer was cut off at its limit in the middle of this call: say less at once"
	case args != nil && !isObject(args):
		return fmt.Sprintf("the arguments are not a JSON object: %.200q", args)
	}
	return ""
}

// given is what was written of arguments; nil if nothing was.
func given(args []byte) []byte {
	args = bytes.TrimSpace(args)
	if len(args) == 0 || string(args) == "null" {
		return nil
	}
	return args
}

func isObject(b []byte) bool { return len(b) > 0 && b[0] == '{' && json.Valid(b) }
