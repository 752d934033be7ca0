package model

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/mcp"
	"github.com/hermesboard/hermes/agents/runtime"
)

// line is an object of the output.
type line struct {
	Type    string         `json:"type"` // text, call, result, wait or end
	Text    string         `json:"text,omitzero"`
	Name    string         `json:"name,omitzero"` // of a tool
	Refused bool           `json:"refused,omitzero"`
	Class   runtime.Class  `json:"class,omitzero"`
	Retry   int64          `json:"retry_ms,omitzero"`
	Turns   int            `json:"turns,omitzero"`
	Tokens  *agents.Tokens `json:"tokens,omitzero"`
}

// maxLogged bounds the words of one line.
const maxLogged = 4 << 10

// log writes what happens. What cannot be written is lost: nobody would be
// told.
type log struct{ to io.Writer }

func (l log) write(v line) {
	if l.to == nil {
		return
	}
	v.Text = cut(v.Text, maxLogged)
	if b, err := json.Marshal(v); err == nil {
		_, _ = l.to.Write(append(b, '\n'))
	}
}

func (l log) answer(m *message) {
	if m.Text != "" {
		l.write(line{Type: "text", Text: m.Text})
	}
}

func (l log) result(c call, res mcp.Result) {
	l.write(line{Type: "call", Name: c.Name, Text: string(c.Args)})
	l.write(line{Type: "result", Name: c.Name, Text: res.Text, Refused: res.Refused})
}

func (l log) wait(f *Failure, d time.Duration) {
	l.write(line{Type: "wait", Text: f.Detail, Class: f.Class, Retry: d.Milliseconds()})
}

// end says how the attempt ended, and what it took.
func (l log) end(t *tally, how string, err error) {
	v := line{Type: "end", Text: how, Turns: t.turns, Tokens: &t.sum}
	var f *Failure
	switch {
	case errors.As(err, &f):
		v.Class, v.Text, v.Retry = f.Class, f.Detail, f.Retry.Milliseconds()
	case err != nil:
		v.Class, v.Text = runtime.Other, err.Error()
	}
	l.write(v)
}
