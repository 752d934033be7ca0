package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

const hostile = "a\x1b[31mred\x1b]0;title\x07\u202e\u200bend\r\u009b2J"

// TestBadInput: every wrong input has a clear error and its exit code, and
// leaves nothing behind.
func TestBadInput(t *testing.T) {
	d := newDesk(t)
	d.does("create", "first")
	d.does("create", "second", "--parent", "t1")
	d.does("create", "idea", "--triage")
	before := d.does("list", "--json") + d.does("show", "t1", "--json") + d.does("show", "t3", "--json")
	d.writes("big.txt", strings.Repeat("x", 201<<10))
	d.writes("nul.txt", "a\x00b")
	d.writes("latin.txt", "gr\xfc\xdfe")
	d.writes("graph-type.json", `[{"title":7}]`)
	d.writes("graph-key.json", `[{"titel":"x"}]`)
	d.writes("graph-object.json", `{"title":"x"}`)
	d.writes("graph-empty.json", `[]`)
	d.writes("graph-circle.json", `[{"title":"a","parents":[{"new":2}]},{"title":"b","parents":[{"new":1}]}]`)
	d.writes("graph-title.json", `[{"title":"good"},{"title":""}]`)
	for _, c := range []struct {
		exit int
		want string
		args []string
	}{
		{2, `title is empty`, []string{"create", ""}},
		{2, `title is empty`, []string{"create", " \t "}},
		{2, `title is 1048576 bytes, at most 500`, []string{"create", strings.Repeat("x", 1<<20)}},
		{2, `title holds a control character`, []string{"create", "a\x00b"}},
		{2, `title holds a control character`, []string{"create", "a\nb"}},
		{2, `title holds a control character`, []string{"create", hostile}},
		{2, `argument 3 is not UTF-8: "a\\xff"`, []string{"create", "a\xff"}},
		{2, `body holds a NUL byte`, []string{"create", "x", "--body", "a\x00b"}},
		{2, `body is 300000 bytes, at most 204800.*\n  hermes kanban attach`, []string{"create", "x", "--body", strings.Repeat("x", 300_000)}},
		{2, `big.txt is larger than 200 kB\n  hand it over as a file: hermes kanban attach ID PATH`, []string{"create", "x", "--body-file", "big.txt"}},
		{2, `body holds a NUL byte`, []string{"create", "x", "--body-file", "nul.txt"}},
		{2, `latin.txt is not UTF-8 text`, []string{"create", "x", "--body-file", "latin.txt"}},
		{2, `there is no file missing.txt`, []string{"create", "x", "--body-file", "missing.txt"}},
		{2, `\. is not a file`, []string{"create", "x", "--body-file", "."}},
		{2, `--body and --body-file exclude each other`, []string{"create", "x", "--body", "y", "--body-file", "nul.txt"}},
		{3, `there is no task t99`, []string{"create", "x", "--parent", "t99"}},
		{2, `"x" is not a task id`, []string{"create", "x", "--parent", "x"}},
		{2, `(?i)assignee`, []string{"create", "x", "-a", "../../etc"}},
		{2, `(?i)tenant`, []string{"create", "x", "--tenant", "a b\n"}},
		{2, `not a workspace`, []string{"create", "x", "--workspace", "docker:x"}},
		{2, `"../up" is not a board name`, []string{"create", "x", "-b", "../up"}},
		{2, `not a board name`, []string{"show", "../../etc/t1"}},
		{3, `there is no board defalt\n  did you mean default\?`, []string{"create", "x", "-b", "defalt"}},
		{1, `t1 cannot wait for itself`, []string{"link", "t1", "t1"}},
		{1, `t2 waits for t1 already: the link would close a circle`, []string{"link", "t2", "t1"}},
		{3, `there is no task t9`, []string{"link", "t9", "t1"}},
		{2, `--metadata is not JSON`, []string{"complete", "t1", "--metadata", "rows=20"}},
		{2, `--metadata wants a JSON object\n  for example`, []string{"complete", "t1", "--metadata", "[1]"}},
		{2, `--metadata wants a JSON object`, []string{"complete", "t1", "--metadata", `"text"`}},
		{2, `--metadata is not JSON`, []string{"complete", "t1", "--metadata", ""}},
		{2, `--metadata is not JSON`, []string{"complete", "t1", "--metadata", `{"a":1,"a":2}`}},
		{2, `graph-type.json is not a graph of tasks`, []string{"decompose", "t3", "--graph", "graph-type.json"}},
		{2, `graph-key.json is not a graph of tasks.*titel`, []string{"decompose", "t3", "--graph", "graph-key.json"}},
		{2, `is not a graph of tasks`, []string{"decompose", "t3", "--graph", "graph-object.json"}},
		{2, `.`, []string{"decompose", "t3", "--graph", "graph-empty.json"}},
		{2, `.`, []string{"decompose", "t3", "--graph", "graph-circle.json"}},
		{2, `title is empty`, []string{"decompose", "t3", "--graph", "graph-title.json"}},
		{2, `there is no file none.json`, []string{"decompose", "t3", "--graph", "none.json"}},
		{2, `\. is not a file`, []string{"attach", "t1", "."}},
		{2, `there is no file nope`, []string{"attach", "t1", "nope"}},
		{2, `/dev/null is not a file`, []string{"attach", "t1", "/dev/null"}},
		{2, `name`, []string{"attach", "t1", "nul.txt", "--name", "../../up"}},
		{2, `name`, []string{"attach", "t1", "nul.txt", "--name", "a\x1bb"}},
		{3, `no task t9`, []string{"attach", "t9", "nul.txt"}},
		{2, `holds a NUL byte`, []string{"comment", "t1", "a\x00b"}},
		{2, `is empty`, []string{"comment", "t1", ""}},
		{2, `at most 32768`, []string{"comment", "t1", strings.Repeat("x", 33<<10)}},
		{2, `(?i)option`, []string{"block", "t1", "x", "--option", "1", "--option", "2", "--option", "3", "--option", "4", "--option", "5", "--option", "6", "--option", "7"}},
		{1, `has no open run`, []string{"stop", "t1"}},
		{3, `t1 has no such file`, []string{"get", "t1", "x"}},
		{3, `t1 was never started\n  hermes kanban why t1`, []string{"log", "t1"}},
		{3, `there is no attachment 1\n`, []string{"attach-rm", "1"}},
		{3, `no task t99`, []string{"tail", "t99"}},
		{3, `there is no recipe reserch\n.*did you mean research\?`, []string{"recipe", "run", "reserch"}},
		{2, `topic`, []string{"recipe", "run", "research"}},
		{2, `--input "topic" is not NAME=VALUE`, []string{"recipe", "run", "research", "-i", "topic"}},
		{2, `wants at least one --worker`, []string{"swarm", "goal", "--synthesizer", "w"}},
		{2, `is not AGENT:TITLE`, []string{"swarm", "goal", "--synthesizer", "w", "--worker", "x"}},
	} {
		d.refuses(c.exit, c.want, c.args...)
	}
	if after := d.does("list", "--json") + d.does("show", "t1", "--json") + d.does("show", "t3", "--json"); steady(after) != steady(before) {
		t.Errorf("refused commands left something behind: got\n%s\nwant\n%s", after, before)
	}
	if files, err := filepath.Glob(filepath.Join(d.dir, "home", "boards", "default", "artifacts", "*", "*")); err != nil || len(files) != 0 {
		t.Errorf("refused files were stored: %v, %v", files, err)
	}
}

// TestEditIsNamedHalfway: what of an edit was done before a refusal is said.
func TestEditIsNamedHalfway(t *testing.T) {
	d := newDesk(t)
	d.does("create", "first", "-a", "res")
	d.refuses(2, `changed the assignee, but not the title: .*title is empty`, "edit", "t1", "-a", "other", "--title", "")
	if got := d.does("edit", "t1", "--title", "new", "--priority", "2", "--body", "b"); got != "t1 has a new title, body, priority\n" {
		t.Errorf("got %q", got)
	}
}

// TestInert: what others wrote cannot command the terminal, wherever it is printed.
func TestInert(t *testing.T) {
	d := newDesk(t)
	d.vars["HERMES_USER"] = "kai\x1b[1m"
	d.does("create", "plain", "--body", hostile)
	d.does("create", "other", "--parent", "t1")
	d.does("comment", "t1", hostile)
	d.does("block", "t1", hostile)
	d.writes("file.txt", hostile)
	d.does("attach", "t1", "file.txt")
	for _, line := range []string{"list", "show t1", "why t1", "why t2", "inbox", "context t1", "attachments t1", "diag", "runs t1", "unblock t1", "claim t1", "assign t2 \x1b[1m", "show \x1b[1m", "list --sort \x1b[1m", "create x -a \x1b[1m", "show t1"} {
		out, words, _ := d.hermes(append([]string{"kanban"}, split(line)...)...)
		if s := out + words; strings.ContainsAny(s, "\x1b\x07\r\u202e\u200b") || strings.Contains(s, "\u009b") {
			t.Errorf("%s prints it: %q", line, s)
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	d := newDesk(t)
	first := d.does("create", "nightly", "--idempotency-key", "n1")
	if again := d.does("create", "nightly", "--idempotency-key", "n1"); again != first {
		t.Errorf("got %q the second time, want %q", again, first)
	}
	d.refuses(1, `the key "n1" was used before, with other contents`, "create", "another", "--idempotency-key", "n1")
	if got := d.does("list", "-q"); got != "t1\n" {
		t.Errorf("got tasks %q, want t1", got)
	}
}

// TestTextsStay: what is given as text stays as it is; no shell sees it.
func TestTextsStay(t *testing.T) {
	d := newDesk(t)
	for i, title := range []string{`$(touch pwned) ` + "`id`" + ` ; rm -rf / & | > < * ? ~ "'\`, `--help`, `-5`, `-`, `日本語 ünï`, `%s %d %!`} {
		id := strings.TrimSpace(d.does("create", "-q", "--body=$(id) %s\n\ttab", "--", title))
		got := reads[object](t, d.does("show", id, "--json"))
		if got["title"] != title || got["body"] != "$(id) %s\n\ttab" {
			t.Errorf("%d: got %q, %q", i, got["title"], got["body"])
		}
	}
	d.in = "from\nstandard input"
	d.does("create", "x", "--body-file", "-")
	d.does("comment", "t7", "-")
	if got := reads[object](t, d.does("show", "t7", "--json")); got["body"] != d.in || got["comments"].([]any)[0].(object)["body"] != d.in {
		t.Errorf("got %v", got)
	}
	if _, err := os.Stat(filepath.Join(d.dir, "pwned")); err == nil {
		t.Error("a title went through a shell")
	}
}

func TestFiles(t *testing.T) {
	d := newDesk(t)
	d.does("create", "x")
	d.writes("empty.txt", "")
	d.writes("notes.txt", "one")
	d.does("attach", "t1", "empty.txt")
	d.does("attach", "t1", "notes.txt", "--name", "sub/notes.txt")
	d.does("attach", "t1", d.writes("notes.txt", "two"), "--name", "sub/notes.txt")
	out := filepath.Join(d.dir, "out")
	if got := d.does("get", "t1", "-o", "out"); got != out+"/empty.txt\n"+out+"/sub/notes.txt\n" {
		t.Errorf("get: got %q", got)
	}
	if b, err := os.ReadFile(out + "/sub/notes.txt"); string(b) != "two" {
		t.Errorf("got %q, %v, want the newest of a name", b, err)
	}
	d.refuses(1, `empty.txt is there already\n  --force replaces it; -o names another folder`, "get", "t1", "empty.txt", "-o", "out")
	d.does("get", "t1", "empty.txt", "-o", "out", "--force")
	files := reads[[]object](t, d.does("attachments", "t1", "--json"))
	if len(files) != 3 || files[0]["size"] != 0.0 {
		t.Fatalf("attachments: got %v", files)
	}
	d.does("attach-rm", fmt.Sprint(files[0]["seq"]))
	d.does("detach", "t1", fmt.Sprint(files[1]["seq"]))
	if left := reads[[]object](t, d.does("attachments", "t1", "--json")); len(left) != 1 || left[0]["seq"] != files[2]["seq"] {
		t.Errorf("after detach: got %v", left)
	}
}

// TestFetchStaysInside: no name leads out of the folder, nor through a link in it.
func TestFetchStaysInside(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	store := registry.OpenArtifacts(filepath.Join(dir, "store"))
	stored, err := store.Put(t.Context(), strings.NewReader("x"), 100)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	if err := os.MkdirAll(out, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(out, "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../up", "/" + dir + "/up", "a/../../up", "link/up", "link", "..", ".", "", "a\x00b"} {
		if path, err := fetch(store, projections.ArtifactRow{Name: name, SHA256: stored.SHA256}, out, true); err == nil {
			t.Errorf("%q: got %s, want a refusal", name, path)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "up")); err == nil {
		t.Error("a file was written outside the folder")
	}
	if _, err := fetch(store, projections.ArtifactRow{Name: "good/name.txt", SHA256: stored.SHA256}, out, false); err != nil {
		t.Error(err)
	}
	if _, err := fetch(store, projections.ArtifactRow{Name: "gone", SHA256: events.DigestOf([]byte("never stored"))}, out, false); err == nil {
		t.Error("a file that is not stored was fetched")
	}
}

// TestReadingMakesNothing: to look at a board that is not there makes no board
// but the default one.
func TestReadingMakesNothing(t *testing.T) {
	d := newDesk(t)
	for _, verb := range []string{"list", "show t1", "why t1", "stats", "inbox", "runs t1", "log t1", "watch", "tail t1", "attachments t1", "context t1", "diag", "complete t1", "create x", "dispatch", "dispatch --dry-run"} {
		d.refuses(3, "there is no board nope", append(split(verb), "-b", "nope")...)
	}
	if found, _ := os.ReadDir(filepath.Join(d.dir, "home", "boards")); len(found) != 0 {
		t.Errorf("got %v made by looking", found)
	}
	d.does("list")
	if found, _ := os.ReadDir(filepath.Join(d.dir, "home", "boards")); len(found) != 1 || found[0].Name() != "default" {
		t.Errorf("got %v, want default", found)
	}
}

func TestHomes(t *testing.T) {
	d := newDesk(t)
	python := filepath.Join(d.dir, "python")
	if err := os.Mkdir(python, 0o700); err != nil {
		t.Fatal(err)
	}
	d.writes("python/kanban.db", "SQLite format 3\x00")
	_, words, code := d.hermes("--home", "python", "kanban", "create", "x")
	if code != 1 || !strings.Contains(words, "--home") {
		t.Errorf("a home of the Python system: got exit %d, %s", code, words)
	}
	if found, _ := os.ReadDir(python); len(found) != 1 {
		t.Errorf("it was written to: %v", found)
	}
	d.writes("file", "x")
	if _, words, code := d.hermes("--home", "file", "kanban", "list"); code != 1 || !strings.Contains(words, "file") {
		t.Errorf("a home that is a file: got exit %d, %s", code, words)
	}
	delete(d.vars, "HERMES_HOME")
	delete(d.vars, "HOME")
	d.refuses(2, "neither --home nor HERMES_HOME nor HOME", "list")
}
