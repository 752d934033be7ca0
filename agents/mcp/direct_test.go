package mcp

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// TestDirect: without a protocol in between the tools are the same, and so is
// what they answer.
func TestDirect(t *testing.T) {
	s := connect(t)
	direct := s.server.Tools(t.Context())
	list, err := s.session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	served := map[string]any{}
	for _, tool := range list.Tools {
		served[tool.Name] = []any{tool.Description, tool.InputSchema}
	}
	if len(served) != len(direct.List) || direct.Instructions != s.session.InitializeResult().Instructions {
		t.Errorf("got %d tools and %q, want %d", len(direct.List), direct.Instructions, len(served))
	}
	for _, tool := range direct.List {
		var schema any
		b, err := json.Marshal(tool.Schema)
		if err == nil {
			err = json.Unmarshal(b, &schema)
		}
		if err != nil || !reflect.DeepEqual(served[tool.Name], []any{tool.What, schema}) {
			t.Errorf("%s: got %+v, want %v (%v)", tool.Name, tool, served[tool.Name], err)
		}
	}
	for _, c := range []struct {
		name, args       string
		refused, verdict bool
		text             string
	}{
		{"kanban_show", `{}`, false, false, "about Compare quotes"},
		{"kanban_approve", `{}`, true, false, "no tool of this name"}, // it is no review
		{"kanban_delete", `{}`, true, false, "no tool of this name"},
		{"kanban_complete", `{"sumary":"x"}`, true, false, "did you mean summary?"},
		{"kanban_complete", `{"summary":"x"}`, false, true, `"ok":true`},
		{"kanban_comment", `{"body":"x"}`, true, false, "stale_run"},
	} {
		got := direct.Call(t.Context(), c.name, json.RawMessage(c.args))
		if got.Refused != c.refused || got.Verdict != c.verdict || !strings.Contains(got.Text, c.text) {
			t.Errorf("%s %s: got %+v", c.name, c.args, got)
		}
	}
}
