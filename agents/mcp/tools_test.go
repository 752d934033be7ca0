package mcp

import (
	"encoding/base64"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/agents/agentstest"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func TestOffered(t *testing.T) {
	common := []string{"attach", "attachments", "block", "comment", "create", "heartbeat", "show"}
	for _, tt := range []struct {
		role  events.Role
		phase events.Status
		more  []string
	}{
		{events.RoleWorker, events.Running, []string{"complete", "request_review"}},
		{events.RoleOrchestrator, events.Running, []string{"complete", "request_review", "list", "link", "unblock"}},
		{events.RoleReviewer, events.Review, []string{"approve", "request_changes", "list"}},
		{events.RoleReviewer, events.Running, []string{"complete", "request_review", "list"}},
	} {
		t.Run(tt.role.String()+" "+tt.phase.String(), func(t *testing.T) {
			s := connect(t, as(tt.role, tt.phase))
			want := slices.Sorted(slices.Values(slices.Concat(common, tt.more)))
			if got := names(t, s); !slices.Equal(got, want) {
				t.Errorf("got tools %v, want %v", got, want)
			}
			text := s.session.InitializeResult().Instructions
			if got := strings.Contains(text, "This is a review"); got != (tt.phase == events.Review) {
				t.Errorf("got instructions %q", text)
			}
			if got := strings.Contains(text, "orchestrator"); got != (tt.role == events.RoleOrchestrator) {
				t.Errorf("got instructions %q", text)
			}
		})
	}
}

// TestOfferedToUnknown: where the socket does not say who this is, all tools
// are there and the rules decide.
func TestOfferedToUnknown(t *testing.T) {
	s := serve(t)
	s.stop()
	s.connect(t)
	if got := names(t, s); len(got) != len(tools) {
		t.Errorf("got tools %v, want all %d", got, len(tools))
	}
}

func TestDefinitions(t *testing.T) {
	s := serve(t)
	s.stop()
	s.connect(t)
	list, err := s.session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	reads := []string{"kanban_show", "kanban_list", "kanban_attachments"}
	for _, tool := range list.Tools {
		a := tool.Annotations
		if a == nil || a.DestructiveHint == nil || *a.DestructiveHint || a.OpenWorldHint == nil || *a.OpenWorldHint {
			t.Errorf("%s: got annotations %+v, want destructiveHint and openWorldHint false, in so many words", tool.Name, a)
			continue
		}
		if want := slices.Contains(reads, tool.Name); a.ReadOnlyHint != want {
			t.Errorf("%s: got readOnlyHint %v, want %v", tool.Name, a.ReadOnlyHint, want)
		}
		if tool.Meta["anthropic/alwaysLoad"] != true {
			t.Errorf("%s: got _meta %v, want it always loaded", tool.Name, tool.Meta)
		}
		schema := tool.InputSchema.(map[string]any)
		if schema["type"] != "object" || schema["additionalProperties"] != false || len(tool.Description) < 20 {
			t.Errorf("%s: got schema %v, description %q", tool.Name, schema, tool.Description)
		}
		properties := schema["properties"].(map[string]any)
		for name, p := range properties {
			if p := p.(map[string]any); p["description"] == "" || p["type"] == nil {
				t.Errorf("%s: argument %s has no description or type: %v", tool.Name, name, p)
			}
		}
		if _, keyed := properties["idempotency_key"]; keyed == a.ReadOnlyHint {
			t.Errorf("%s: got an idempotency_key %v, want one on each tool that changes something", tool.Name, keyed)
		}
	}
}

// TestArgumentsMatch: each argument of a tool has a field, and each field an argument.
func TestArgumentsMatch(t *testing.T) {
	fields, used := map[string]bool{}, map[string]bool{}
	typ := reflect.TypeFor[arguments]()
	for i := range typ.NumField() {
		fields[typ.Field(i).Tag.Get("json")] = true
	}
	for _, tool := range tools {
		seen := map[string]bool{}
		for _, a := range tool.args {
			if !fields[a.name] || seen[a.name] {
				t.Errorf("%s: argument %s has no field, or is there twice", tool.name, a.name)
			}
			seen[a.name], used[a.name] = true, true
		}
	}
	for name := range fields {
		if !used[name] {
			t.Errorf("no tool has argument %s", name)
		}
	}
}

func TestChangingTools(t *testing.T) {
	for _, tt := range []struct {
		tool, args string
		want       boards.Command
	}{
		{"create", `{"title":"Ask","assignee":"writer","body":"b","parents":["t7"],"needs":"any","priority":-2,"triage":true,"workspace_kind":"dir","workspace_path":"/srv/quotes","max_runtime_seconds":90,"idempotency_key":"k"}`,
			boards.CreateTasks{Tasks: []boards.NewTask{{Title: "Ask", Assignee: "writer", Body: "b", Priority: -2, Triage: true, MaxRuntimeMS: 90_000,
				Workspace: events.Workspace{Kind: events.Dir, Path: "/srv/quotes"}, Parents: []boards.Parent{{Task: 7, Needs: events.NeedsAny}}}}}},
		{"create", `{"title":"Ask","workspace_kind":null}`, boards.CreateTasks{Tasks: []boards.NewTask{{Title: "Ask"}}}},
		{"link", `{"parent_id":"t8","child_id":"t9","needs":"any"}`, boards.LinkTasks{Parent: 8, Child: 9, Needs: events.NeedsAny}},
		{"complete", `{"summary":"done","metadata":{"n":1},"created_cards":["t101"],"task_id":"t7"}`,
			boards.CompleteTask{Task: 7, Summary: "done", Metadata: []byte(`{"n":1}`), Created: []events.TaskID{101}}},
		{"complete", `{"result":"no","verdict":"fail"}`, boards.CompleteTask{Task: 7, Result: "no", Verdict: events.Fail}},
		{"request_review", `{"summary":"look","reviewer":"bob"}`, boards.RequestReview{Task: 7, Summary: "look", Reviewer: "bob"}},
		{"request_changes", `{"reason":"sums"}`, boards.RequestChanges{Task: 7, Reason: "sums"}},
		{"approve", `{"summary":"fine"}`, boards.ApproveTask{Task: 7, Summary: "fine"}},
		{"block", `{"reason":"which?","kind":"needs_input","options":["a","b"]}`, boards.BlockTask{Task: 7, Reason: "which?", Kind: events.BlockNeedsInput, Options: []string{"a", "b"}}},
		{"unblock", `{"task_id":"t9","answer":"b"}`, boards.UnblockTask{Task: 9, Answer: "b"}},
		{"heartbeat", `{"note":"half","done":1,"total":2,"idempotency_key":"k"}`, boards.Heartbeat{Task: 7, Note: "half", Done: 1, Total: 2}},
		{"comment", `{"body":"hi"}`, boards.CommentTask{Task: 7, Body: "hi"}},
		{"comment", `{"body":"hi","task_id":"t9"}`, boards.CommentTask{Task: 9, Body: "hi"}},
	} {
		t.Run(tt.tool, func(t *testing.T) {
			s := serve(t)
			s.door.Detail.Runs = nil // all tools
			s.connect(t).ok(t, "kanban_"+tt.tool, tt.args)
			if got := s.door.Commands(); len(got) != 1 || !reflect.DeepEqual(got[0], tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestCreateAnswersIDs(t *testing.T) {
	s := connect(t)
	first := s.ok(t, "kanban_create", `{"title":"a","idempotency_key":"k"}`)
	again := s.ok(t, "kanban_create", `{"title":"a","idempotency_key":"k"}`)
	if want := []any{"t101"}; !reflect.DeepEqual(first["tasks"], want) || !reflect.DeepEqual(again["tasks"], want) {
		t.Errorf("got %v and %v, want tasks %v both times", first, again, want)
	}
	s.refused(t, "kanban_create", `{"title":"b","idempotency_key":"k"}`, "idempotency_mismatch")
	if got := len(s.door.Commands()); got != 1 {
		t.Errorf("got %d commands, want 1", got)
	}
}

func TestShow(t *testing.T) {
	s := connect(t)
	s.door.Say(events.Actor{Kind: events.Human, Name: "alice"}, "hurry")
	out, res := s.call(t, "kanban_show", `null`)
	task, _ := out["task"].(map[string]any)
	if out["context"] != "about Compare quotes" || task["id"] != "t7" || task["body"] != nil || len(task["runs"].([]any)) != 2 {
		t.Errorf("got %v", out)
	}
	if got := words(t, res); !strings.HasPrefix(got, "about Compare quotes") || !strings.Contains(got, `comment by "alice": "hurry"`) {
		t.Errorf("got text %q, want the context and the notice", got)
	}
	s.refused(t, "kanban_show", `{"task_id":"t99"}`, "not_found")
}

func TestShowWithoutContext(t *testing.T) {
	s := connect(t, func(s *served) { s.worker.Context = nil })
	out, res := s.call(t, "kanban_show", `{}`)
	if task := out["task"].(map[string]any); task["body"] != "Three of them." || !strings.Contains(words(t, res), "Three of them.") {
		t.Errorf("got %v", out)
	}
}

func TestListAndAttachments(t *testing.T) {
	s := serve(t)
	s.door.Cards = []projections.Card{{ID: 8, Status: events.Ready, Title: "other"}}
	s.connect(t)
	out := s.ok(t, "kanban_list", `{"status":"ready","assignee":"bob","limit":3,"include_archived":true}`)
	if cards := out["cards"].([]any); len(cards) != 1 || cards[0].(map[string]any)["id"] != "t8" {
		t.Errorf("got %v", out)
	}
	tenant := "acme"
	want := projections.ListQuery{Limit: 3, Archived: true, Tenant: &tenant, Assignees: []string{"bob"}, Statuses: []events.Status{events.Ready}}
	if got := s.door.Queries(); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("got queries %+v, want %+v", got, want)
	}
	files := s.ok(t, "kanban_attachments", `{}`)["attachments"].([]any)
	if len(files) != 1 || files[0].(map[string]any)["name"] != "quotes.csv" {
		t.Errorf("got %v", files)
	}
}

func TestArtifacts(t *testing.T) {
	s := connect(t, as(events.RoleWorker, events.Running))
	s.write(t, "sub/notes.md", "notes")
	outside := t.TempDir() + "/report.pdf"
	args := `{"summary":"done","artifacts":["sub/notes.md","` + outside + `"]}`
	if e := s.refused(t, "kanban_complete", args, "artifact_missing"); !strings.Contains(e.Message, "report.pdf") || !strings.Contains(e.Hint, "goes on") {
		t.Errorf("got %+v", e)
	}
	if got := s.door.Commands(); len(got) != 0 {
		t.Fatalf("got %v, want nothing done: a file is missing", got)
	}
	if err := os.WriteFile(outside, []byte("report"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := s.ok(t, "kanban_complete", args)
	done := agentstest.Find[boards.CompleteTask](s.door)
	if len(done) != 1 || !slices.Equal(done[0].Names, []string{"sub/notes.md", "report.pdf"}) || done[0].Artifacts[0].Size != 5 {
		t.Fatalf("got %+v", done)
	}
	if f, err := s.store.Open(done[0].Artifacts[1].SHA256); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
	if got := out["artifacts"].([]any); len(got) != 2 || out["status"] != "done" {
		t.Errorf("got %v", out)
	}
	s.ok(t, "kanban_complete", args) // said again, it is the same
	s.refused(t, "kanban_complete", `{"summary":"other"}`, "stale_run")
}

func TestArtifactsRefused(t *testing.T) {
	s := connect(t)
	s.write(t, "a/x", "1")
	other := t.TempDir() + "/x"
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.write(t, "x", "2")
	for _, tt := range []struct{ list, code, word string }{
		{`["a"]`, "artifact_missing", "folder"},
		{`["/dev/null"]`, "artifact_missing", "not a file"},
		{`["../../etc/nothing"]`, "artifact_missing", "not there"},
		{`["x/y"]`, "artifact_missing", "cannot be read"},
		{`["x","` + other + `"]`, "bad_command", "both"},
	} {
		if e := s.refused(t, "kanban_request_review", `{"summary":"s","artifacts":`+tt.list+`}`, tt.code); !strings.Contains(e.Message, tt.word) {
			t.Errorf("%s: got %q, want it to say %q", tt.list, e.Message, tt.word)
		}
	}
	if got := s.door.Commands(); len(got) != 0 {
		t.Errorf("got %v, want nothing done", got)
	}
}

func TestAttach(t *testing.T) {
	s := connect(t)
	s.write(t, "big", strings.Repeat("x", 3<<20)) // more than a message of the socket has
	s.ok(t, "kanban_attach", `{"path":"big"}`)
	s.ok(t, "kanban_attach", `{"path":"big","filename":"renamed"}`)
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding} {
		s.ok(t, "kanban_attach", `{"filename":"n.txt","content_base64":"`+enc.EncodeToString([]byte("hello"))+`"}`)
	}
	s.ok(t, "kanban_attach", `{"filename":"empty","content_base64":""}`)
	got := agentstest.Find[boards.AttachFile](s.door)
	var all []string
	for _, a := range got {
		all = append(all, a.Name)
	}
	if want := []string{"big", "renamed", "n.txt", "n.txt", "empty"}; !slices.Equal(all, want) || got[0].Artifact.Size != 3<<20 || got[2].Artifact.Size != 5 {
		t.Errorf("got %+v", got)
	}
	large := base64.StdEncoding.EncodeToString(make([]byte, maxContent+1))
	s.refused(t, "kanban_attach", `{"filename":"l","content_base64":"`+large+`"}`, "too_large")
	s.refused(t, "kanban_attach", `{"filename":"l","content_base64":"!"}`, "bad_command")
	s.refused(t, "kanban_attach", `{"content_base64":"aGk="}`, "bad_command")
	s.refused(t, "kanban_attach", `{"filename":"../l","content_base64":"aGk="}`, "bad_command")
	s.refused(t, "kanban_attach", `{"path":"big","content_base64":"aGk="}`, "bad_command")
	s.refused(t, "kanban_attach", `{}`, "bad_command")
	s.refused(t, "kanban_attach", `{"path":"nothing"}`, "artifact_missing")
}

func TestBadArguments(t *testing.T) {
	s := connect(t)
	for _, tt := range []struct{ tool, args, message, hint string }{
		{"complete", `{"sumary":"x"}`, `no argument "sumary"`, "did you mean summary?"},
		{"complete", `{"colour":"red"}`, `no argument "colour"`, "its arguments: summary, result"},
		{"complete", `{}`, "wants a summary or a result", "summary: "},
		{"complete", `{"summary":5}`, "summary of kanban_complete is a string, not 5", ""},
		{"complete", `{"summary":"x","metadata":"{}"}`, "is an object", ""},
		{"complete", `{"summary":"x","artifacts":"a.md"}`, "is an array of strings", ""},
		{"complete", `{"summary":"x","artifacts":[1]}`, "is an array of strings", ""},
		{"complete", `{"summary":"x","verdict":"maybe"}`, `not "maybe"`, "one of: pass, fail"},
		{"complete", `{"summary":"x","created_cards":["7"]}`, "array of ids", ""},
		{"complete", `["summary"]`, "are an object", ""},
		{"create", `{"body":"x"}`, "wants title", "title: what is to be done"},
		{"create", `{"title":null}`, "wants title", ""},
		{"create", `{"title":"x","priority":"high"}`, "priority of kanban_create is an integer", ""},
		{"create", `{"title":"x","priority":1e99}`, "priority of kanban_create is an integer", ""},
		{"create", `{"title":"x","max_runtime_seconds":-1}`, "at least 0", ""},
		{"create", `{"title":"x","triage":"yes"}`, "true or false", ""},
		{"create", `{"title":"x","workspace_path":"/srv"}`, "workspace_path wants", "dir or repo"},
		{"create", `{"title":"x","board":"other"}`, `no argument "board"`, ""},
		{"comment", `{"body":"x","task_id":7}`, "the id of a task", ""},
		{"comment", `{"body":"x","task_id":"seven"}`, "the id of a task", ""},
	} {
		if e := s.refused(t, "kanban_"+tt.tool, tt.args, "bad_command"); !strings.Contains(e.Message, tt.message) || !strings.Contains(e.Hint, tt.hint) {
			t.Errorf("%s: got %q, hint %q; want %q, hint %q", tt.args, e.Message, e.Hint, tt.message, tt.hint)
		}
	}
	if got := s.door.Commands(); len(got) != 0 {
		t.Errorf("got %v, want nothing done", got)
	}
}

func TestOnlyOwnTask(t *testing.T) {
	s := connect(t)
	for _, call := range [][2]string{{"complete", `"summary":"x"`}, {"request_review", `"summary":"x"`}, {"block", `"reason":"x"`}, {"heartbeat", `"note":"x"`}, {"attach", `"path":"x"`}} {
		if e := s.refused(t, "kanban_"+call[0], `{"task_id":"t8",`+call[1]+`}`, "not_yours"); !strings.Contains(e.Message, "which is t7") {
			t.Errorf("%s: got %q", call[0], e.Message)
		}
	}
}

func TestRefusalOfRules(t *testing.T) {
	s := serve(t, as(events.RoleWorker, events.Running))
	s.door.Detail.Runs = nil // the list is offered all the same
	e := s.connect(t).refused(t, "kanban_list", `{}`, "not_yours")
	if e.Hint == "" || e.Retry {
		t.Errorf("got %+v, want the hint of the socket", e)
	}
	if got := s.worker.Refused(); got["not_yours"] != 1 {
		t.Errorf("got refusals %v, want one not_yours on record", got)
	}
}

func TestNoticesAreNotLost(t *testing.T) {
	s := serve(t)
	s.door.Say(events.Actor{Kind: events.Human, Name: "alice"}, "before the start") // heard by the server itself
	s.connect(t)
	got := s.ok(t, "kanban_heartbeat", `{}`)["notices"]
	if list, _ := got.([]any); len(list) != 1 || list[0].(map[string]any)["text"] != "before the start" {
		t.Errorf("got notices %v", got)
	}
	if got := s.ok(t, "kanban_heartbeat", `{}`)["notices"]; got != nil {
		t.Errorf("got notices %v a second time", got)
	}
	s.door.Stop()
	s.refused(t, "kanban_comment", `{"body":"x"}`, "stale_run")
}

func TestSocketGone(t *testing.T) {
	s := connect(t)
	s.stop()
	e := s.refused(t, "kanban_complete", `{"summary":"x"}`, "socket_gone")
	if !e.Retry || e.Hint == "" {
		t.Errorf("got %+v, want it to be tried again", e)
	}
	s.write(t, "x", "1")
	s.refused(t, "kanban_attach", `{"path":"x"}`, "socket_gone")
}

func TestBusyBoard(t *testing.T) {
	s := serve(t)
	s.connect(t)
	s.store.Err = os.ErrPermission
	s.write(t, "x", "1")
	if e := s.refused(t, "kanban_attach", `{"path":"x"}`, "internal"); !e.Retry {
		t.Errorf("got %+v, want it to be tried again", e)
	}
}
