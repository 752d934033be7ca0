//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents/agentstest"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// workerSocket serves a run of a board in memory: the same at every test.
func workerSocket(t *testing.T) (socket string, door *agentstest.Door) {
	t.Helper()
	dir, err := os.MkdirTemp("", "m") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	door = &agentstest.Door{}
	run := events.RunID{Task: 7, N: 2}
	d := &door.Detail
	d.ID, d.Status, d.Title, d.CreatedBy = 7, events.Running, "Compare quotes", events.Actor{Kind: events.Human, Name: "alice"}
	d.Runs = []projections.RunRow{{Run: run, Agent: "buyer", Role: events.RoleWorker, Phase: events.Running}}
	srv := &worker.Server{
		Door: door, Board: events.BoardID{1}, Run: run, Agent: "buyer", Role: events.RoleWorker, Store: &agentstest.Store{},
		Verdict: func(ctx context.Context, id events.CommandID, c boards.Command) (boards.Result, error) {
			return door.Do(ctx, id, c)
		},
		Context: func(d projections.Detail) string { return "# Task t7: " + d.Title + "\n" },
	}
	socket = filepath.Join(dir, "sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve the socket: %v", err)
		}
	})
	return socket, door
}

// mcpRequests is a session as a client has it; calls have an id and are
// answered one after the other.
var mcpRequests = []string{
	`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`,
	`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
	`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`,
	`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"kanban_show","arguments":{}}}`,
	`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"kanban_create","arguments":{"title":"Ask the third","assignee":"buyer","idempotency_key":"third"}}}`,
	`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"kanban_complete","arguments":{"sumary":"two quotes"}}}`,
	`{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"kanban_complete","arguments":{"summary":"two quotes","artifacts":["quotes.md","missing.md"]}}}`,
	`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"kanban_complete","arguments":{"summary":"two quotes","artifacts":["quotes.md"]}}}`,
	`{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"kanban_comment","arguments":{"body":"too late"}}}`,
	`{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"kanban_delete","arguments":{}}}`,
	`{"jsonrpc":"2.0","id":10,"method":"ping"}`,
}

// TestMCPTranscript holds every byte of a session with the real program.
// go test -run=MCPTranscript -update writes it anew.
func TestMCPTranscript(t *testing.T) {
	socket, door := workerSocket(t)
	outputs := t.TempDir()
	if err := os.WriteFile(filepath.Join(outputs, "quotes.md"), []byte("two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "hermes", "worker", "mcp", "--socket", socket, "--outputs", outputs)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")} // as bare as some clients make it
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var transcript strings.Builder
	lines := bufio.NewReader(out)
	for _, req := range mcpRequests {
		fmt.Fprintf(&transcript, "> %s\n", req)
		if _, err := io.WriteString(in, req+"\n"); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(req, `"id":`) {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("no answer to %s: %v", req, err)
			}
			fmt.Fprintf(&transcript, "< %s\n", spread(t, line))
		}
	}
	in.Close()
	if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
		t.Errorf("got %q, %v after the last answer", rest, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("got %v at the end of the input, want a good end", err)
	}
	got := strings.NewReplacer(strconv.Quote(version()), `"VERSION"`, outputs, "OUTPUTS").Replace(transcript.String())
	sameAsGolden(t, filepath.Join("testdata", "mcp.golden"), got)
	if n := len(agentstest.Find[boards.CompleteTask](door)); n != 1 {
		t.Errorf("got %d verdicts, want 1", n)
	}
}

// spread puts an answer on many lines, so that a change of it can be read.
func spread(t *testing.T, line string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(line), &v); err != nil {
		t.Fatalf("got line %q: %v", line, err)
	}
	b, err := json.MarshalIndent(v, "  ", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func sameAsGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		if i >= len(gotLines) || i >= len(wantLines) || gotLines[i] != wantLines[i] {
			t.Fatalf("line %d of %s differs:\ngot  %s\nwant %s", i+1, path, lineAt(gotLines, i), lineAt(wantLines, i))
		}
	}
}

func lineAt(lines []string, i int) string {
	if i >= len(lines) {
		return "(its end)"
	}
	return lines[i]
}

// inspector is the version of the public MCP client that the server is tried with.
const inspector = "2.12.0"

// TestMCPInspector lets a run of a real board be done by somebody else's MCP
// client, which passes no environment on: it lists the tools, reads the task
// and completes it with a file. Wants npm and a registry: HERMES_TEST_NPM=1,
// or =VERSION for another version of the client.
func TestMCPInspector(t *testing.T) {
	which := os.Getenv("HERMES_TEST_NPM")
	switch which {
	case "":
		t.Skip("HERMES_TEST_NPM is not set: npm would fetch the MCP Inspector")
	case "1":
		which = inspector
	}
	tools := t.TempDir()
	t.Logf("node %s, npm %s", runTool(t, "node", "--version"), runTool(t, "npm", "--version"))
	runTool(t, "npm", "install", "--prefix", tools, "--no-fund", "--no-audit", "--loglevel=error", "@modelcontextprotocol/inspector@"+which)
	versions := regexp.MustCompile(`@modelcontextprotocol/\S+`).FindAllString(runTool(t, "npm", "ls", "--prefix", tools, "--all"), -1)
	slices.Sort(versions)
	t.Logf("%s", slices.Compact(versions))
	seen := t.TempDir()
	script := fmt.Sprintf(`set -e
mcp() { %[1]s --cli "$HERMES_BIN" worker mcp --socket "$HERMES_WORKER_SOCKET" --outputs "$HERMES_OUTPUTS" "$@"; }
mcp --method tools/list >%[2]s/list.json
mcp --method tools/call --tool-name kanban_show >%[2]s/show.json
mcp --method tools/call --tool-name kanban_complete --tool-arg sumary=typo >%[2]s/typo.json || true
mcp --method tools/call --tool-name kanban_complete --tool-arg summary=early 'artifacts=["report.md"]' >%[2]s/early.json || true
echo found >"$HERMES_OUTPUTS/report.md"
mcp --method tools/call --tool-name kanban_complete --tool-arg 'summary=two quotes' 'artifacts=["report.md"]' 'metadata={"quotes":2}' >%[2]s/complete.json`,
		filepath.Join(tools, "node_modules", ".bin", "mcp-inspector"), seen)
	p := newPlace(t, map[string]string{"buyer": script}, nil)
	p.gateway()
	p.must("kanban", "create", "Compare quotes", "--assignee", "buyer")
	for deadline := time.Now().Add(2 * time.Minute); !p.done("t1")(); pauseFor(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			log, _, _ := p.hermes("kanban", "log", "t1")
			t.Fatalf("not done in time\n%s\n%s", p.must("kanban", "why", "t1"), log)
		}
	}
	shown := p.must("kanban", "show", "t1", "--json")
	if !strings.Contains(shown, `"status": "done"`) || !strings.Contains(shown, "two quotes") || !strings.Contains(shown, "report.md") {
		t.Errorf("got %s", shown)
	}
	var list struct{ Tools []struct{ Name string } }
	readJSONFile(t, filepath.Join(seen, "list.json"), &list)
	var names []string
	for _, tool := range list.Tools {
		names = append(names, strings.TrimPrefix(tool.Name, "kanban_"))
	}
	if want := []string{"attach", "attachments", "block", "comment", "complete", "create", "heartbeat", "request_review", "show"}; !slices.Equal(names, want) {
		t.Errorf("got tools %v, want %v", names, want)
	}
	type result struct {
		IsError           bool
		StructuredContent struct {
			OK     bool
			Status string
			Error  worker.Error
		}
	}
	var show, typo, early, complete result
	readJSONFile(t, filepath.Join(seen, "show.json"), &show)
	readJSONFile(t, filepath.Join(seen, "typo.json"), &typo)
	readJSONFile(t, filepath.Join(seen, "early.json"), &early)
	readJSONFile(t, filepath.Join(seen, "complete.json"), &complete)
	if show.IsError || !show.StructuredContent.OK || complete.IsError || complete.StructuredContent.Status != "done" {
		t.Errorf("got show %+v, complete %+v", show, complete)
	}
	if e := typo.StructuredContent.Error; !typo.IsError || e.Hint != "did you mean summary?" {
		t.Errorf("got %+v for a typing mistake", typo)
	}
	if e := early.StructuredContent.Error; !early.IsError || e.Code != "artifact_missing" {
		t.Errorf("got %+v for a missing file", early)
	}
}

func runTool(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func readJSONFile(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
}
