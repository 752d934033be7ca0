package builtin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// mapFS makes a file system of path, text pairs.
func mapFS(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

func load(t testing.TB, fsys fs.FS) *Corpus {
	t.Helper()
	c, err := Load(fsys, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// run does the whole way from a folder to a brief.
func run(t testing.TB, topic string, fsys fs.FS, researchers int) ([]Notes, []byte) {
	t.Helper()
	c := load(t, fsys)
	var notes []Notes
	for _, a := range Plan(topic, c, researchers) {
		n, err := Research(context.Background(), a.Task, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		notes = append(notes, *n)
	}
	return notes, Write(topic, notes)
}

func TestGolden(t *testing.T) {
	fsys := os.DirFS("testdata/corpus")
	for _, tt := range []struct{ file, topic string }{
		{"keeper", "Who may write the log of a harbour, and how is a stale keeper fenced off?"},
		{"general", "Brief on this repository"},
		{"german", "Wer darf das Protokoll der Häfen schreiben?"},
		{"nothing", "quantum chromodynamics"},
	} {
		notes, brief := run(t, tt.topic, fsys, 2)
		if r := Check(brief, fsys); !r.OK() {
			t.Errorf("%s: got %v, want no problems", tt.file, r.Problems)
		}
		var got bytes.Buffer
		for _, a := range Plan(tt.topic, load(t, fsys), 2) {
			fmt.Fprintf(&got, "%s\n\n%s\n", a.Title, a.Body)
		}
		for _, n := range notes {
			fmt.Fprintf(&got, "%s\n", n.Markdown())
		}
		got.Write(brief)
		golden := "testdata/" + tt.file + ".golden"
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.file, got.Bytes(), want)
		}
	}
}

func TestLoadSkips(t *testing.T) {
	fsys := mapFS("a.md", "text", "b.png", "text", ".git/c.md", "text", "x/node_modules/d.md", "text", "x/.e.md", "text",
		"README", "text", "bin", "a\x00b", "latin.txt", "caf\xe9", "big.txt", strings.Repeat("a", 200), "Makefile", "text",
		"run", "#!/bin/sh\n")
	fsys["link.md"] = &fstest.MapFile{Data: []byte("a.md"), Mode: fs.ModeSymlink}
	fsys["pipe.md"] = &fstest.MapFile{Mode: fs.ModeNamedPipe}
	c, err := Load(fsys, &Limits{FileBytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(c.Files()), "[README a.md]"; got != want {
		t.Errorf("got files %v, want %v", got, want)
	}
	want := []Skip{{"big.txt", "too_large"}, {"bin", "binary"}, {"latin.txt", "not_utf8"}, {"link.md", "symlink"},
		{"pipe.md", "not_regular"}, {"run", "script"}}
	if !reflect.DeepEqual(c.Skipped, want) {
		t.Errorf("got skipped %v, want %v", c.Skipped, want)
	}
}

func TestLoadLimits(t *testing.T) {
	fsys := mapFS("a.md", "12345", "b.md", "12345", "c.png", "")
	for _, tt := range []struct {
		limits Limits
		want   string
	}{
		{Limits{Files: 1}, "files"}, {Limits{TotalBytes: 9}, "bytes"}, {Limits{Entries: 2}, "entries"},
		{Limits{Files: 2, TotalBytes: 10, Entries: 3}, ""},
	} {
		_, err := Load(fsys, &tt.limits)
		got := ""
		if limit := (*LimitError)(nil); errors.As(err, &limit) {
			got = limit.What
		} else if err != nil {
			t.Fatal(err)
		}
		if got != tt.want {
			t.Errorf("%+v: got limit %q, want %q", tt.limits, got, tt.want)
		}
	}
	if _, err := Load(os.DirFS(t.TempDir()+"/none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func TestLoadFromRoot(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/a.md", []byte("Every harbour has one keeper at a time.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	outside := t.TempDir() + "/secret.md"
	if err := os.WriteFile(outside, []byte("Every secret has one keeper at a time.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, dir+"/b.md"); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	_, brief := run(t, "keeper", root.FS(), 2)
	if r := Check(brief, root.FS()); !r.OK() || r.Total != 1 {
		t.Errorf("got %v %v, want one good source", r, r.Problems)
	}
	if bytes.Contains(brief, []byte("secret has")) {
		t.Error("got a quote from outside the folder")
	}
	stolen := bytes.ReplaceAll(bytes.ReplaceAll(brief, []byte("a.md"), []byte("b.md")), []byte("Every harbour"), []byte("Every secret"))
	if r := Check(stolen, root.FS()); r.OK() || r.Good != 0 {
		t.Errorf("got %v for a source behind a link, want it refused", r)
	}
}

func TestPlanDivides(t *testing.T) {
	fsys := fstest.MapFS{}
	for i := range 23 {
		fsys[fmt.Sprintf("f%02d.md", i)] = &fstest.MapFile{Data: bytes.Repeat([]byte("word "), 10+i*i)}
	}
	c := load(t, fsys)
	for n := -1; n < 40; n++ {
		plan := Plan("word", c, n)
		if want := max(1, min(n, 16)); len(plan) != want {
			t.Errorf("n=%d: got %d parts, want %d", n, len(plan), want)
		}
		var files []string
		for i, a := range plan {
			if len(a.Task.Files) == 0 || a.Task.Part != i+1 || a.Task.Parts != len(plan) || len([]rune(a.Title)) > 100 {
				t.Errorf("n=%d: got part %+v", n, a)
			}
			files = append(files, a.Task.Files...)
		}
		if !reflect.DeepEqual(files, c.Files()) {
			t.Errorf("n=%d: got files %v, want all once", n, files)
		}
	}
	two := Plan("word", c, 2)
	var sizes [2]int
	for i, a := range two {
		for _, f := range a.Task.Files {
			sizes[i] += len(c.find(f).text)
		}
	}
	if sizes[0]*2 < sizes[1] || sizes[1]*2 < sizes[0] {
		t.Errorf("got sizes %v, want them about equal", sizes)
	}
	if got := Plan("word", load(t, fstest.MapFS{}), 3); len(got) != 1 || len(got[0].Task.Files) != 0 {
		t.Errorf("empty corpus: got %+v, want one assignment without files", got)
	}
}

func TestResearchProgressMissingAndCancel(t *testing.T) {
	c := load(t, mapFS("a.md", "The keeper of the harbour writes the log.", "b.md", "Nobody else does write it at all."))
	var calls []string
	task := Task{Version: Version, Topic: "keeper", Files: []string{"a.md", "../b.md", "gone.md", "a.md", "b.md"}}
	n, err := Research(t.Context(), task, c, func(done, total int) { calls = append(calls, fmt.Sprint(done, "/", total)) })
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(calls), "[0/2 1/2 2/2]"; got != want {
		t.Errorf("got progress %v, want %v", got, want)
	}
	if got, want := fmt.Sprint(n.Missing), "[../b.md gone.md]"; got != want {
		t.Errorf("got missing %v, want %v", got, want)
	}
	if len(n.Notes) != 1 || n.Notes[0].File != "a.md" || n.Notes[0].First != 1 {
		t.Errorf("got notes %+v, want one from a.md:1", n.Notes)
	}
	reason := errors.New("reason")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	if _, err := Research(ctx, task, c, nil); !errors.Is(err, reason) {
		t.Errorf("got %v, want the cause of the cancellation", err)
	}
	if _, err := Research(t.Context(), Task{Version: 9}, c, nil); !errors.Is(err, ErrVersion) {
		t.Errorf("got %v, want ErrVersion", err)
	}
}

func TestNotesRoundTripJSON(t *testing.T) {
	notes, brief := run(t, "", os.DirFS("testdata/corpus"), 2)
	data, err := json.Marshal(notes)
	if err != nil {
		t.Fatal(err)
	}
	var back []Notes
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(notes, back) {
		t.Errorf("got %+v, want %+v", back, notes)
	}
	back[0], back[1] = back[1], back[0]
	if got := Write("", back); !bytes.Equal(got, brief) {
		t.Errorf("got another brief for the notes in another order:\n%s\nwant\n%s", got, brief)
	}
}

func TestNothingFound(t *testing.T) {
	for name, fsys := range map[string]fs.FS{"empty": fstest.MapFS{}, "no match": mapFS("a.md", "The sea is wide and blue today.")} {
		_, brief := run(t, "chromodynamics", fsys, 2)
		if !bytes.Contains(brief, []byte("Nothing was found")) {
			t.Errorf("%s: got %s, want it to say that nothing was found", name, brief)
		}
		if r := Check(brief, fsys); !r.OK() || r.Total != 0 {
			t.Errorf("%s: got %v %v, want no quotes and no problems", name, r, r.Problems)
		}
	}
	if got := Write("x", nil); !bytes.Contains(got, []byte("0 researchers read 0 documents")) {
		t.Errorf("got %s for no notes at all", got)
	}
}

func TestWriteMergesAndRefuses(t *testing.T) {
	good := Note{Quote: "The keeper writes the log of 5 harbours.", File: "a.md", First: 3, Last: 3, Score: 2}
	same, other, number := good, good, good
	same.File, same.Quote = "b.md", "The **keeper** writes the log of 5 harbours"
	other.Claim = "Something that the quote does not say"
	number.Quote, number.First, number.Last = "The keeper writes the log of 6 harbours.", 9, 9
	bad := []Note{{Quote: "The keeper writes.", File: "../a.md", First: 1, Last: 1}, {Quote: "red \x1b[31m text", File: "a.md", First: 1, Last: 1},
		{Quote: "two\nlines", File: "a.md", First: 1, Last: 2}, {Quote: "fine words", File: "a.md", First: 0, Last: 1}}
	got := string(Write("log", []Notes{{Notes: append(bad, good, same, other, number)}}))
	for _, want := range []string{
		"The keeper writes the log of 5 harbours [1][2].", "The keeper writes the log of 6 harbours [3].",
		"Left out: 4 notes that cannot be cited.", "- [2] b.md:3  \"The \\*\\*keeper\\*\\* writes the log of 5 harbours\"\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant it to contain %q", got, want)
		}
	}
	if strings.Contains(got, "does not say") {
		t.Errorf("got a claim that stands in no quote:\n%s", got)
	}
}

func TestHostileTextStaysText(t *testing.T) {
	evil := "# Keeper <script>\n\nThe keeper of [7] says <b>hello</b> & hands over <img src=x onerror=alert(1)> to every visitor of the harbour, see ![x](y) and `log[8]` and ``` too.\n\n" +
		"- # Sources of the keeper are [9] in the harbour log\n" +
		"- ## Sources\n" +
		"- The keeper \x1b[31mpaints the harbour log\x1b[0m red every day.\n" +
		"- The keeper \u202ewrites the harbour log backwards\u202c every day.\n"
	name := "odd \"na`me_*[1]:3\n<b>.md"
	fsys := mapFS(name, evil, "docs/a:7.md", "The keeper of the harbour writes the log every day.")
	notes, brief := run(t, "keeper harbour visitor [3] \x1b[31m\n## Sources\n- [1] x", fsys, 2)
	r := Check(brief, fsys)
	if !r.OK() || r.Total < 3 {
		t.Fatalf("got %v %v, want at least three good sources\n%s", r, r.Problems, brief)
	}
	files := map[string]bool{}
	for _, c := range r.Citations {
		files[c.File] = true
	}
	if !files[name] || !files["docs/a:7.md"] {
		t.Errorf("got files %v, want both names unchanged", files)
	}
	for what, text := range map[string][]byte{"brief": brief, "notes": notes[1].Markdown(), "body": []byte(Plan("x", load(t, fsys), 1)[0].Body)} {
		for _, bad := range []string{"\x1b", "\u202e", "<script", "<img", "\n# Sources of"} {
			if bytes.Contains(text, []byte(bad)) && !bytes.Contains(text, []byte("\\"+bad)) {
				t.Errorf("got %q in the %s:\n%s", bad, what, text)
			}
		}
	}
	if n := bytes.Count(brief, []byte("\n"+sourcesHeading+"\n")); n != 1 {
		t.Errorf("got %d lists of sources, want 1", n)
	}
}

func TestAwkwardText(t *testing.T) {
	long := strings.Repeat("The water is high and the wind is low. ", 20000) + "The keeper of the harbour writes the log in ink. " +
		strings.Repeat("The wind is high and the water is low. ", 5000)
	for _, tt := range []struct{ name, text, quote string }{
		{"giant line", long, "The keeper of the harbour writes the log in ink."},
		{"giant word", strings.Repeat("keeper", 100000), ""},
		{"giant sentence", "The keeper of the harbour " + strings.Repeat("and the sea ", 50000), "and the sea"},
		{"crlf", "Title\r\n=====\r\n\r\nThe keeper of the\r\nharbour writes the log.\r\n", "The keeper of the harbour writes the log."},
		{"no final newline", "\n\nThe keeper of the harbour writes.", "The keeper of the harbour writes."},
		{"byte order mark", "\uFEFFThe keeper of the harbour writes.", "The keeper of the harbour writes."},
		{"tabs and no-break spaces", "The\tkeeper of\u00a0the  harbour\n \u3000writes daily.", "The keeper of the harbour writes daily."},
		{"unicode", "Größe zählt nicht, sagt der keeper 🚢 im schönen Café.", "Größe zählt nicht, sagt der keeper 🚢 im schönen Café."},
		{"chinese", "看板很好。keeper 每天都写日志,从不休息。再见。", "keeper 每天都写日志,从不休息。"},
		{"unclosed fence", "```\nThe keeper of the harbour writes.", ""},
		{"only brackets", strings.Repeat("[", 500000) + " keeper", ""},
		{"deep list", strings.Repeat("- ", 100000) + "keeper", ""},
		{"dots", strings.Repeat(".", 900000) + " keeper", ""},
		{"quotes and dots", strings.Repeat(".'", 400000) + " Keeper", ""},
		{"many short passages", strings.Repeat("A keeper is a keeper.\n\n", 40000), "A keeper is a keeper."},
		{"empty lines", strings.Repeat("\n", 1000000) + "The keeper of the harbour writes.", "The keeper of the harbour writes."},
		{"heading of brackets", strings.Repeat("# "+strings.Repeat("[", 900)+"\n", 1000) + "The keeper of the harbour writes.", "The keeper of the harbour writes."},
		{"backticks", "The keeper writes " + strings.Repeat("` `` ``` ", 100000), ""},
		{"many hashes", strings.Repeat("# keeper\n", 50000), ""},
	} {
		fsys := mapFS("a.md", tt.text)
		start := time.Now()
		_, brief := run(t, "keeper", fsys, 1)
		r := Check(brief, fsys)
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%s: took %v", tt.name, took)
		}
		if !r.OK() {
			t.Errorf("%s: got %v", tt.name, r.Problems)
		}
		found := tt.quote == "" && r.Total == 0
		for _, c := range r.Citations {
			found = found || tt.quote != "" && strings.Contains(c.Quote, tt.quote)
		}
		if !found {
			t.Errorf("%s: got %.300q, want a quote with %q", tt.name, fmt.Sprint(r.Citations), tt.quote)
		}
	}
}
