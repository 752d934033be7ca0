package mcp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/agents/agentstest"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
)

const hello = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
`

type answer struct {
	ID     any
	Result json.RawMessage
	Error  *struct {
		Code    int
		Message string
	}
}

// talk sends all of in and returns what came back, by id; those without one under nil.
func (s *served) talk(t *testing.T, in string) map[any][]answer {
	t.Helper()
	var out bytes.Buffer
	if err := s.server.Run(t.Context(), strings.NewReader(in), &out); err != nil {
		t.Fatalf("run: %v", err)
	}
	got := map[any][]answer{}
	for line := range strings.Lines(out.String()) {
		var a answer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("got line %q: %v", line, err)
		}
		got[a.ID] = append(got[a.ID], a)
	}
	return got
}

const show = `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"kanban_show","arguments":{}}}`

func TestGarbage(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		code       int
	}{
		{"words", "hello", -32700},
		{"half a message", `{"jsonrpc":"2.0","id":9,"meth`, -32700},
		{"binary", "\x00\xff\xfe{", -32700},
		{"two on a line", `{"a":1} {"b":2}`, -32700},
		{"a number", "42", -32600},
		{"null", "null", -32600},
		{"a batch", "[" + fmt.Sprintf(show, 8) + "]", -32600},
		{"another protocol", `{"hello":"world"}`, -32600},
		{"an answer to nothing", `{"jsonrpc":"2.0","result":{}}`, -32600},
		{"deep", strings.Repeat("[", 1<<20), -32700},
		{"deep inside", `{"jsonrpc":"2.0","id":8,"method":"tools/list","params":` + strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_001), -32700},
		{"too long", `{"jsonrpc":"2.0","id":8,"method":"` + strings.Repeat("x", maxFrame), -32600},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := serve(t).talk(t, hello+tt.line+"\n\n\r\n"+fmt.Sprintf(show, 2)+"\n")
			if n := got[nil]; len(n) != 1 || n[0].Error == nil || n[0].Error.Code != tt.code {
				t.Errorf("got %+v, want one error %d", n, tt.code)
			}
			if a := got[2.]; len(a) != 1 || a[0].Error != nil {
				t.Errorf("got %+v for the call after it, want its result", a)
			}
		})
	}
}

func TestHalfFrameAtTheEnd(t *testing.T) {
	got := serve(t).talk(t, hello+fmt.Sprintf(show, 2)[:60])
	if len(got[nil]) != 1 || len(got[1.]) != 1 {
		t.Errorf("got %+v", got)
	}
	if got := serve(t).talk(t, hello+fmt.Sprintf(show, 2)); len(got[2.]) != 1 {
		t.Errorf("got %+v, want the last line answered without its end", got)
	}
	if got := serve(t).talk(t, ""); len(got) != 0 {
		t.Errorf("got %+v of nothing", got)
	}
}

// TestEndOfInput: calls that were sent before the end are carried out and answered.
func TestEndOfInput(t *testing.T) {
	s := serve(t)
	ready, release := make(chan bool), make(chan bool)
	s.door.Before = func(ctx context.Context, what string) error {
		if what == "complete_task" {
			close(ready)
			<-release
		}
		return nil
	}
	in, feed := io.Pipe()
	var out bytes.Buffer
	ended := make(chan error)
	go func() { ended <- s.server.Run(t.Context(), in, &out) }()
	s.write(t, "r.md", "r")
	io.WriteString(feed, hello+`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"kanban_complete","arguments":{"summary":"x","artifacts":["r.md"]}}}`+"\n")
	<-ready
	feed.Close()
	close(release)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if len(agentstest.Find[boards.CompleteTask](s.door)) != 1 || !strings.Contains(out.String(), `"status":"done"`) {
		t.Errorf("got commands %v, output %q", s.door.Commands(), out.String())
	}
}

func TestCancelled(t *testing.T) {
	s := serve(t)
	in, feed := io.Pipe()
	defer feed.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.server.Run(ctx, in, io.Discard) }()
	io.WriteString(feed, hello)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// TestBrokenOutput: a client that is gone ends the server.
func TestBrokenOutput(t *testing.T) {
	s := serve(t)
	in, feed := io.Pipe()
	out, w := io.Pipe()
	out.Close()
	ended := make(chan error)
	go func() { ended <- s.server.Run(t.Context(), in, w) }()
	io.WriteString(feed, hello+fmt.Sprintf(show, 2)+"\n")
	feed.Close()
	if err := <-ended; !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want %v", err, io.ErrClosedPipe)
	}
}

func TestReadLine(t *testing.T) {
	r := bufio.NewReaderSize(strings.NewReader("12345678901234567890\n1234567890\n\n x \r\nend"), 16)
	for _, want := range []struct {
		line string
		err  error
	}{{"", errTooLong}, {"1234567890", nil}, {"", nil}, {"x", nil}, {"end", io.EOF}, {"", io.EOF}} {
		line, err := readLine(r, 12)
		if string(line) != want.line || err != want.err {
			t.Errorf("got %q, %v; want %q, %v", line, err, want.line, want.err)
		}
	}
}

// FuzzArguments: whatever a model sends is read or refused in words it can act on.
func FuzzArguments(f *testing.F) {
	for i, args := range []string{`{}`, `null`, ``, `{"title":"x","parents":["t1"]}`, `{"summary":"\ud800"}`, `{"a":1,"a":2}`, `{"task_id":"t1","body":""}`, "{\"note\":\"\xff\"}"} {
		f.Add(i, []byte(args))
	}
	f.Fuzz(func(t *testing.T, i int, args []byte) {
		tool := tools[uint(i)%uint(len(tools))]
		_, err := tool.read(args)
		var e *worker.Error
		if err != nil && (!errors.As(err, &e) || e.Message == "" || e.Code != "bad_command") {
			t.Errorf("%s %q: got %v, want a refusal", tool.name, args, err)
		}
		if err != nil && !json.Valid([]byte(failed(err).StructuredContent.(json.RawMessage))) {
			t.Errorf("%s %q: the refusal of %v is not JSON", tool.name, args, err)
		}
	})
}
