//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/runtime/runtimetest"
	"github.com/hermesboard/hermes/projections"
)

// modelAgent writes an agent that asks a model. What it is told is who it is.
func (p *place) modelAgent(name, role, kind, upstream, backend, sources string) {
	p.t.Helper()
	dir := filepath.Join(p.dir, "agents", name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		p.t.Fatal(err)
	}
	config := fmt.Sprintf(`
role: %s
instructions: "You are the %s."
runtime: {kind: model, model: m-1, tools: [read, write, list, shell], max_turns: 20}
model_endpoint: {kind: %s, upstream: %q}
terminal: {backend: %s, mounts: [%q]}
`, role, name, kind, upstream, backend, sources)
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(config), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// researchers play the research recipe: what each says depends on who it was
// told to be, and on what its tools have answered so far.
type researchers struct {
	t       *testing.T
	sources string
}

func (s *researchers) answer(_ int, r *runtimetest.Request) runtimetest.Reply {
	call := func(tool string, args map[string]any) runtimetest.Reply {
		return runtimetest.Reply{Tool: tool, Args: args}
	}
	n := len(r.Results)
	switch {
	case r.Heard("You are the orchestrator."):
		if n < 2 {
			return call("kanban_create", map[string]any{"title": fmt.Sprintf("Research part %d", n+1), "assignee": "researcher", "body": fmt.Sprintf("The facts in part%d.txt.", n+1)})
		}
		parts := append(created(s.t, r.Results[0]), created(s.t, r.Results[1])...)
		if n == 2 {
			return call("kanban_create", map[string]any{"title": "Write the brief", "assignee": "writer", "parents": parts})
		}
		return call("kanban_complete", map[string]any{"summary": "two researchers and a writer", "created_cards": append(parts, created(s.t, r.Results[2])...)})
	case r.Heard("You are the researcher."):
		part := "1"
		if r.Heard("part2.txt") {
			part = "2"
		}
		switch n {
		case 0:
			return call("shell", map[string]any{"command": "cat " + filepath.Join(s.sources, "part"+part+".txt")})
		case 1:
			_, fact, _ := strings.Cut(r.Results[0], "\n")
			return call("write_file", map[string]any{"path": "$HERMES_OUTPUTS/notes" + part + ".md", "content": "Noted: " + fact})
		}
		return call("kanban_complete", map[string]any{"summary": "noted", "artifacts": []string{"notes" + part + ".md"}})
	case r.Heard("You are the writer."):
		return s.write(n, r, call)
	}
	s.t.Errorf("somebody unknown asks: %q", r.Said)
	return runtimetest.Reply{Text: "Who are you?"}
}

// write asks a person, and goes on where it stopped.
func (s *researchers) write(n int, r *runtimetest.Request, call func(string, map[string]any) runtimetest.Reply) runtimetest.Reply {
	switch {
	case n == 0:
		return call("list_files", map[string]any{"path": "$HERMES_INPUTS"})
	case n <= 2:
		var notes []string
		for _, line := range strings.Split(r.Results[0], "\n") {
			if name, _, ok := strings.Cut(line, "  "); ok && strings.HasSuffix(name, ".md") {
				notes = append(notes, "$HERMES_INPUTS/"+strings.TrimPrefix(name, "inputs/"))
			}
		}
		if len(notes) != 2 {
			s.t.Errorf("the writer finds %q", r.Results[0])
			return runtimetest.Reply{Text: "Where are the notes?"}
		}
		slices.Sort(notes)
		return call("read_file", map[string]any{"path": notes[n-1]})
	case n == 3:
		return call("kanban_block", map[string]any{"reason": "In which language?"})
	case n == 4 && !r.Heard("in Portuguese"):
		s.t.Errorf("the answer was not told: %q", r.Said)
		return runtimetest.Reply{Text: "What was the answer?"}
	case n == 4:
		return call("write_file", map[string]any{"path": "$HERMES_OUTPUTS/brief.md", "content": r.Results[1] + r.Results[2]})
	}
	return call("kanban_complete", map[string]any{"summary": "the brief", "artifacts": []string{"brief.md"}})
}

// created reads the ids from an answer of kanban_create.
func created(t *testing.T, result string) []string {
	var in struct {
		Tasks []string `json:"tasks"`
	}
	if err := json.Unmarshal([]byte(result), &in); err != nil || len(in.Tasks) != 1 {
		t.Errorf("kanban_create answered %q", result)
	}
	return in.Tasks
}

// TestResearchByModel plays the research recipe with nothing but a model: the
// orchestrator makes the tasks, the researchers read and hand over notes, the
// writer asks a question and goes on in the same conversation.
func TestResearchByModel(t *testing.T) {
	for _, kind := range []string{agents.Anthropic, agents.OpenAIChat} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			backend := "local"
			if _, err := exec.LookPath("bwrap"); err == nil && kind == agents.Anthropic {
				backend = "bubblewrap"
			}
			sources := t.TempDir()
			for name, fact := range map[string]string{"part1.txt": "the moon pulls", "part2.txt": "the sun helps"} {
				if err := os.WriteFile(filepath.Join(sources, name), []byte(fact), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			script := &researchers{t: t, sources: sources}
			model := &runtimetest.Model{Script: script.answer}
			web := httptest.NewServer(model)
			defer web.Close()
			p := newPlace(t, nil, nil)
			p.modelAgent("orchestrator", "orchestrator", kind, web.URL, backend, sources)
			p.modelAgent("researcher", "worker", kind, web.URL, backend, sources)
			p.modelAgent("writer", "worker", kind, web.URL, backend, sources)
			p.gateway()
			p.must("kanban", "recipe", "run", "research", "--input", "topic=tides")
			p.endsAs("t1", "completed")
			for _, id := range []string{"t2", "t3"} {
				p.endsAs(id, "completed")
			}
			eventually(t, "the writer asks", p.blocked("t4"))
			p.must("kanban", "unblock", "t4", "in Portuguese")
			p.endsAs("t4", "blocked", "completed")
			d := p.show("t4")
			if !slices.ContainsFunc(d.Handoff.Artifacts, func(a projections.ArtifactRow) bool { return a.Name == "brief.md" && a.Size > 20 }) {
				t.Errorf("got %+v, handed over %+v", d.Runs, d.Handoff)
			}
			if d.Runs[1].Usage.TokensOut == 0 {
				t.Errorf("got usage %+v, want what the endpoint counted", d.Runs[1].Usage)
			}
			requests := model.Requests()
			if last := requests[len(requests)-1]; last.API != map[string]string{agents.Anthropic: "messages", agents.OpenAIChat: "chat"}[kind] || !strings.Contains(last.Results[2], "the sun helps") {
				t.Errorf("got the last request %s", last.Body)
			}
			if t.Failed() {
				t.Log(p.must("kanban", "log", "t4"))
			}
		})
	}
}
