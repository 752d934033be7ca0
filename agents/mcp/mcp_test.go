package mcp

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/hermesboard/hermes/agents/agentstest"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// served is the worker socket of a run and an MCP server of it.
type served struct {
	door    *agentstest.Door
	store   *agentstest.Store
	worker  *worker.Server
	server  *Server
	session *sdk.ClientSession // nil until connect
	stop    func()             // of the worker socket
}

func detail(role events.Role, phase events.Status) (d projections.Detail) {
	d.ID, d.Status, d.Title, d.Body = 7, events.Running, "Compare quotes", "Three of them."
	d.CreatedBy = events.Actor{Kind: events.Human, Name: "alice"}
	d.Runs = []projections.RunRow{{Run: events.RunID{Task: 7, N: 1}, Agent: "buyer", Role: events.RoleWorker, Phase: events.Running, Ended: 5, Outcome: events.OutcomeCrashed},
		{Run: events.RunID{Task: 7, N: 2}, Agent: "buyer", Role: role, Phase: phase}}
	d.Artifacts = []projections.ArtifactRow{{Name: "quotes.csv", Size: 4, Kind: "attachment", By: d.CreatedBy}}
	return d
}

func serve(t *testing.T, with ...func(*served)) *served {
	t.Helper()
	dir, err := os.MkdirTemp("", "m") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &served{door: &agentstest.Door{Detail: detail(events.RoleOrchestrator, events.Running)}, store: &agentstest.Store{}}
	s.worker = &worker.Server{
		Door: s.door, Board: events.BoardID{1}, Run: events.RunID{Task: 7, N: 2}, Agent: "buyer", Role: events.RoleOrchestrator, Tenant: "acme", Store: s.store,
		Workspace: events.Workspace{Kind: events.Dir, Path: "/srv/quotes"},
		Verdict: func(ctx context.Context, id events.CommandID, c boards.Command) (boards.Result, error) {
			return s.door.Do(ctx, id, c)
		},
		Context: func(d projections.Detail) string { return "about " + d.Title },
	}
	socket := filepath.Join(dir, "sock")
	s.server = &Server{Client: worker.Dial(socket), Outputs: t.TempDir(), Dir: t.TempDir(), Version: "1.2.3"}
	for _, f := range with {
		f(s)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.worker.Serve(ctx, l) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve the socket: %v", err)
		}
	})
	t.Cleanup(func() { s.server.Client.Close(); s.stop() })
	return s
}

// connect begins a session with the SDK's client.
func (s *served) connect(t *testing.T) *served {
	t.Helper()
	here, there := sdk.NewInMemoryTransports()
	srv, err := s.server.server(t.Context()).Connect(t.Context(), there, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.session, err = sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.session.Close()
		srv.Wait()
	})
	return s
}

func connect(t *testing.T, with ...func(*served)) *served {
	t.Helper()
	return serve(t, with...).connect(t)
}

func as(role events.Role, phase events.Status) func(*served) {
	return func(s *served) { s.door.Detail, s.worker.Role = detail(role, phase), role }
}

// call calls a tool; args are JSON.
func (s *served) call(t *testing.T, name, args string) (map[string]any, *sdk.CallToolResult) {
	t.Helper()
	res, err := s.session.CallTool(t.Context(), &sdk.CallToolParams{Name: name, Arguments: json.RawMessage(args)})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	out, ok := res.StructuredContent.(map[string]any)
	if !ok {
		t.Fatalf("%s: got structured content %T, want an object", name, res.StructuredContent)
	}
	return out, res
}

func (s *served) ok(t *testing.T, name, args string) map[string]any {
	t.Helper()
	out, res := s.call(t, name, args)
	if res.IsError || out["ok"] != true {
		t.Fatalf("%s %s: got %v, want ok", name, args, out)
	}
	return out
}

// refused wants a refusal that a program and a model can both read.
func (s *served) refused(t *testing.T, name, args, code string) worker.Error {
	t.Helper()
	_, res := s.call(t, name, args)
	var env struct{ Error worker.Error }
	if err := json.Unmarshal([]byte(words(t, res)), &env); err != nil {
		t.Fatalf("%s %s: the text of a refusal is not JSON: %v", name, args, err)
	}
	var text any
	json.Unmarshal([]byte(words(t, res)), &text)
	if !res.IsError || env.Error.Code != code || !reflect.DeepEqual(text, res.StructuredContent) {
		t.Fatalf("%s %s: got %+v (error %v), want refusal %s", name, args, res.StructuredContent, res.IsError, code)
	}
	return env.Error
}

func words(t *testing.T, res *sdk.CallToolResult) string {
	t.Helper()
	if len(res.Content) != 1 {
		t.Fatalf("got %d contents, want 1", len(res.Content))
	}
	c, ok := res.Content[0].(*sdk.TextContent)
	if !ok {
		t.Fatalf("got content %T, want text", res.Content[0])
	}
	return c.Text
}

func (s *served) write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(s.server.Outputs, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func names(t *testing.T, s *served) []string {
	t.Helper()
	list, err := s.session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, tool := range list.Tools {
		out = append(out, strings.TrimPrefix(tool.Name, "kanban_"))
	}
	return out
}
