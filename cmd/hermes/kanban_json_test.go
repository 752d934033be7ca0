package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

type object = map[string]any

// kind names what a JSON value is.
func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case object:
		return "object"
	case []any:
		return "array"
	}
	return fmt.Sprintf("%T", v)
}

// shaped compares the keys of an object with "key:kind" words; those with a
// question mark may be missing.
func shaped(t *testing.T, what string, v object, words string) {
	t.Helper()
	want := map[string]string{}
	for _, w := range strings.Fields(words) {
		key, kind, _ := strings.Cut(w, ":")
		want[strings.TrimSuffix(key, "?")] = kind
		if _, ok := v[strings.TrimSuffix(key, "?")]; !ok && !strings.HasSuffix(key, "?") {
			t.Errorf("%s has no %s: %v", what, key, slices.Sorted(maps.Keys(v)))
		}
	}
	for key, value := range v {
		if got := kind(value); got != want[key] {
			t.Errorf("%s: %s is %s, want %q", what, key, got, want[key])
		}
	}
}

const (
	cardShape   = "id:string status:string title:string assignee:string tenant:string priority:float64 parents:array hold:object since:string created:string updated:string verdict?:string attempts?:float64 run?:object"
	holdShape   = "reason:string since?:string until?:string detail?:string tasks?:array"
	detailShape = "id:string status:string title:string assignee:string tenant:string priority:float64 parents:array since:string created:string updated:string verdict?:string attempts?:float64 run?:object " +
		"body:string created_by:object runs:array comments:array children:array artifacts:array events:array edges?:array workspace?:object handoff?:object block?:object answer?:object inputs?:array hold?:object " +
		"start_at?:string implementer?:string reviewer?:string"
)

// TestJSON holds the shapes that scripts rely on, for a task in every state.
func TestJSON(t *testing.T) {
	d := newDesk(t)
	file := d.writes("notes.txt", "notes")
	if got := d.does("list", "--json"); strings.TrimSpace(got) != "[]" {
		t.Errorf("list of nothing: got %q, want []", got)
	}
	shaped(t, "create", reads[object](t, d.does("create", "Prices", "--body", "all", "-a", "res", "--json")), cardShape)
	for _, line := range []string{`create Report --parent t1`, `create Late --at 2099-01-01`, `create Idea --triage`, `create Mine`, `attach t1 ` + file,
		`comment t1 quick`, `block t1 which? --option EUR --option USD`, `claim t5`, `create Over`, `complete t6 --summary s --metadata {"n":1}`, `create Away`, `archive t7`} {
		d.does(split(line)...)
	}
	list := reads[[]object](t, d.does("list", "--json", "--archived"))
	if len(list) != 7 {
		t.Fatalf("list: got %d tasks, want 7", len(list))
	}
	for _, card := range list {
		id := card["id"].(string)
		shaped(t, "list "+id, card, cardShape)
		shaped(t, "hold of "+id, card["hold"].(object), holdShape)
		shaped(t, "show "+id, reads[object](t, d.does("show", id, "--json")), detailShape)
		why := reads[object](t, d.does("why", id, "--json"))
		shaped(t, "why "+id, why, "task:string status:string hold:object detail:string next:string blocks?:array")
		shaped(t, "hold of why "+id, why["hold"].(object), holdShape)
		if why["task"] != id || why["status"] != card["status"] || !strings.HasPrefix(why["detail"].(string), id+" is ") {
			t.Errorf("why %s: got %v", id, why)
		}
	}
	show := reads[object](t, d.does("show", "t1", "--json"))
	shaped(t, "block", show["block"].(object), "kind:string by:object since:string reason:string options:array seq:float64 said?:string")
	shaped(t, "comment", show["comments"].([]any)[0].(object), "seq:float64 time:string by:object body:string")
	shaped(t, "artifact", show["artifacts"].([]any)[0].(object), "name:string sha256:string size:float64 by:object seq:float64 kind:string")
	shaped(t, "event", show["events"].([]any)[0].(object), "seq:float64 time:string type:string actor:object what:string run?:string")

	// A verb that changes tasks: one object a task, with its status if it moved;
	// an error of one of several stands with it.
	if got := reads[[]object](t, d.does("prioritize", "t1", "t2", "3", "--json")); len(got) != 2 || got[0]["task"] != "t1" || got[1]["task"] != "t2" {
		t.Errorf("prioritize: got %v", got)
	}
	if got := reads[[]object](t, d.does("unblock", "t1", "--json")); len(got) != 1 || got[0]["status"] != "ready" {
		t.Errorf("unblock: got %v", got)
	}
	out, words, code := d.hermes("kanban", "complete", "t2", "t99", "--json")
	if some := reads[[]map[string]any](t, out); code != 3 || words != "" || some[0]["status"] != "done" || some[1]["error"].(object)["code"] != "not_found" {
		t.Errorf("two ids, one unknown: got exit %d, %s%s", code, out, words)
	}
}

// TestJSONErrors: with --json an error is one object on stderr.
func TestJSONErrors(t *testing.T) {
	d := newDesk(t)
	d.does("create", "x")
	for _, c := range []struct {
		line string
		exit int
		code string
	}{
		{`kanban show t9`, 3, "not_found"},
		{`kanban list -b nope`, 3, "board_not_found"},
		{`kanban unblock t1`, 1, "wrong_status"},
		{`kanban create ""`, 2, "bad_command"},
		{`kanban create`, 2, "usage"},
		{`kanban frob`, 2, "usage"},
		{`kanban list -b a/b`, 2, "bad_slug"},
	} {
		args := split(c.line)
		out, words, exit := d.hermes(append(args, "--json")...)
		all := reads[object](t, words)
		shaped(t, c.line, all, "error:object")
		e := all["error"].(object)
		shaped(t, c.line, e, "code:string message:string hint?:string task?:string")
		if out != "" || exit != c.exit || e["code"] != c.code || strings.Count(words, "\n") != 1 {
			t.Errorf("%s: got exit %d, %swant exit %d and code %s", c.line, exit, words, c.exit, c.code)
		}
	}
}
