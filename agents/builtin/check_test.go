package builtin

import (
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func TestCheckCatches(t *testing.T) {
	fsys := mapFS(
		"a.md", "# Log\n\nThe keeper writes the log.\nNobody else does.\n\nThe keeper writes the log at night.\n",
		".git/config", "The keeper writes the log.\n", "code.go", "The keeper writes the log.\n",
		".hidden/a.md", "The keeper writes the log.\n", "image", "\x00\x01")
	fsys["link.md"] = &fstest.MapFile{Data: []byte("a.md"), Mode: fs.ModeSymlink}
	const body = "# Brief\n\nThe keeper writes the log [1].\n\n## Sources\n\n"
	const good = `- [1] a.md:3  "The keeper writes the log."` + "\n"
	for _, tt := range []struct{ name, brief, want string }{
		{"good", body + good, ""},
		{"good without list marks", body + good[2:], ""},
		{"two lines", body + `- [1] a.md:3-4  "The keeper writes the log. Nobody else"`, ""},
		{"escaped reference and code", `Text \[7\] and ` + "`a[8]`" + " [1].\n\n## Sources\n" + good, ""},
		{"altered quote", body + `- [1] a.md:3  "The keeper reads the log."`, "does not stand there"},
		{"altered case", body + `- [1] a.md:3  "the keeper writes the log."`, "does not stand there"},
		{"half a word", body + `- [1] a.md:3  "The keeper write"`, "does not stand there"},
		{"wrong line", body + `- [1] a.md:4  "The keeper writes the log."`, "does not stand there"},
		{"too many lines", body + `- [1] a.md:3-4  "The keeper writes the log."`, "does not stand there"},
		{"too few lines", body + `- [1] a.md:3  "The keeper writes the log. Nobody else does."`, "does not stand there"},
		{"begins later", body + `- [1] a.md:3-6  "Nobody else does. The keeper writes"`, "does not stand there"},
		{"line beyond the end", body + `- [1] a.md:99  "The keeper writes the log."`, "the file has 6 lines"},
		{"line zero", body + `- [1] a.md:0  "The keeper writes the log."`, "cannot be read"},
		{"missing file", body + `- [1] b.md:3  "The keeper writes the log."`, "no such file"},
		{"path escape", body + `- [1] ../a.md:3  "The keeper writes the log."`, "out of the folder"},
		{"absolute path", body + `- [1] /a.md:3  "The keeper writes the log."`, "out of the folder"},
		{"path escape inside", body + `- [1] x/../a.md:3  "The keeper writes the log."`, "out of the folder"},
		{"quoted path escape", body + `- [1] "..\\x2fa.md":3  "The keeper writes the log."`, "out of the folder"},
		{"hidden folder", body + `- [1] .hidden/a.md:1  "The keeper writes the log."`, "not a document"},
		{"git folder", body + `- [1] .git/config:1  "The keeper writes the log."`, "not a document"},
		{"code", body + `- [1] code.go:1  "The keeper writes the log."`, "not a document"},
		{"symbolic link", body + `- [1] link.md:3  "The keeper writes the log."`, "symbolic link"},
		{"binary", body + `- [1] image:1  "The keeper writes the log."`, "binary"},
		{"missing source", "It writes [1], they read [2].\n\n## Sources\n" + good, "[2] has no source"},
		{"missing reference", "It writes.\n\n## Sources\n" + good, "[1] is not referred to"},
		{"number twice", body + good + good, "[1] is listed twice"},
		{"no quote", body + `- [1] a.md:3`, "cannot be read"},
		{"empty quote", body + `- [1] a.md:3  ""`, "cannot be read"},
		{"no place", body + `- [1] "The keeper writes the log."`, "cannot be read"},
		{"something else", body + good + "And more.\n", "cannot be read"},
		{"no sources", "It writes.\n", "no list of sources"},
		{"not text", "\xff\xfe", "not UTF-8"},
	} {
		r := Check([]byte(tt.brief), fsys)
		var whys []string
		for _, p := range r.Problems {
			whys = append(whys, p.Why)
		}
		got := strings.Join(whys, "; ")
		if tt.want == "" && (!r.OK() || r.Total != 1 || r.Good != 1) {
			t.Errorf("%s: got %d of %d, %s, want one good source", tt.name, r.Good, r.Total, got)
		}
		if tt.want != "" && (r.OK() || len(whys) == 0 || !strings.Contains(got, tt.want)) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestCheckCountsAndPlaces(t *testing.T) {
	fsys := mapFS("a.md", "One keeper writes the log.\nAll others read it.\n")
	r := Check([]byte("Text [1] and [2].\n\n## Sources\n\n- [1] a.md:1  \"One keeper writes the log.\"\n- [2] a.md:1  \"All others read it.\"\n"), fsys)
	if got, want := r.String(), "1 of 2 quotes stand word for word at their file and line"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(r.Problems) != 1 || r.Problems[0].Ref != 2 || r.Problems[0].Line != 6 {
		t.Errorf("got problems %+v, want one with source 2 on line 6", r.Problems)
	}
	if got, want := fmt.Sprint(r.Citations[0].Place(), " ", r.Citations[1].Quote), "a.md:1 All others read it."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestCheckCatchesEveryChange takes a good brief and changes each source in every way that matters.
func TestCheckCatchesEveryChange(t *testing.T) {
	fsys := os.DirFS("testdata/corpus")
	_, brief := run(t, "keeper of the harbour log", fsys, 2)
	head, list, _ := strings.Cut(string(brief), sourcesHeading+"\n\n")
	lines := strings.Split(strings.TrimSpace(list), "\n")
	if len(lines) < 4 {
		t.Fatalf("got %d sources, want more", len(lines))
	}
	for i, line := range lines {
		c := Check(brief, fsys).Citations[i]
		place := regexp.MustCompile(":[0-9-]+  ")
		changed := []string{
			place.ReplaceAllString(line, fmt.Sprintf(":%d-%d  ", c.First, c.Last+1)),
			place.ReplaceAllString(line, fmt.Sprintf(":%d-%d  ", c.First+1, c.Last+1)),
			strings.Replace(line, c.File, "x"+c.File, 1), strings.Replace(line, c.File, "../corpus/"+c.File, 1),
			strings.Replace(line, fmt.Sprintf("[%d]", c.Ref), "[77]", 1), "",
		}
		if c.First > 1 {
			changed = append(changed, place.ReplaceAllString(line, fmt.Sprintf(":%d-%d  ", c.First-1, c.Last)))
		}
		quote := strings.Index(line, "  \"") + 3
		for at := quote; at < len(line)-1; at++ {
			if wordByte(line[at]) {
				changed = append(changed, line[:at]+line[at+1:], line[:at]+"Q"+line[at+1:], line[:at]+"q"+line[at:])
			}
		}
		for _, new := range changed {
			all := append([]string(nil), lines...)
			all[i] = new
			if r := Check([]byte(head+sourcesHeading+"\n\n"+strings.Join(all, "\n")+"\n"), fsys); r.OK() {
				t.Errorf("got no problem for %q, changed from %q", new, line)
			}
		}
	}
}
