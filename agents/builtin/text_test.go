package builtin

import (
	"fmt"
	"strings"
	"testing"
)

func TestStemUnitesForms(t *testing.T) {
	for _, tt := range []struct {
		lang  language
		forms string
	}{
		{english, "claim claims claimed claiming"}, {english, "store stores stored storing"}, {english, "policy policies"},
		{english, "copy copies copied copying"}, {english, "run runs running"}, {english, "plan planned planning"},
		{english, "process processes processed processing"}, {english, "box boxes"}, {english, "call calls called calling"},
		{german, "aufgabe aufgaben"}, {german, "hafen häfen"}, {german, "brett bretter brettern brettes"}, {german, "prüfung prüfungen"},
	} {
		stems := map[string]bool{}
		for _, w := range strings.Fields(tt.forms) {
			stems[stem(tt.lang, w)] = true
		}
		if len(stems) != 1 {
			t.Errorf("%s: got stems %v, want one", tt.forms, stems)
		}
	}
	for _, tt := range []struct{ a, b string }{{"status", "state"}, {"string", "stress"}, {"thing", "this"}, {"need", "new"}, {"class", "clad"}} {
		if stem(english, tt.a) == stem(english, tt.b) {
			t.Errorf("%s and %s: got one stem %q, want two", tt.a, tt.b, stem(english, tt.a))
		}
	}
}

func TestTopicWords(t *testing.T) {
	for _, tt := range []struct{ topic, want string }{
		{"", "[]"}, {"Brief on this repository", "[]"}, {"Write a summary of these documents, please", "[]"},
		{"Überblick über das Projekt", "[]"}, {"Report on stale workers of the repository", "[stale workers repository]"},
		{"How are reports written?", "[reports written]"}, {"keeper keeper KEEPER", "[keeper]"},
	} {
		if got := fmt.Sprint(topicWords(tt.topic)); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.topic, got, tt.want)
		}
	}
}

func TestSentences(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"One. Two! Three? Four", "One.|Two!|Three?|Four"},
		{"See e.g. The Log, i.e. A file, at 3.14 or v1.2. Next.", "See e.g. The Log, i.e. A file, at 3.14 or v1.2.|Next."},
		{"It is \"so.\" Then (done.) And `x` is. `y` too.", "It is \"so.\"|Then (done.)|And `x` is.|`y` too."},
		{"Das gilt z.B. Montags, bzw. Dienstags. Sonst nicht.", "Das gilt z.B. Montags, bzw. Dienstags.|Sonst nicht."},
		{"看板很好。真的吗?是!", "看板很好。|真的吗?是!"}, {"README.md is read. config.yaml too", "README.md is read. config.yaml too"},
	} {
		var got []string
		for _, s := range sentences(tt.text) {
			got = append(got, tt.text[s.from:s.to])
		}
		if g := strings.Join(got, "|"); g != tt.want {
			t.Errorf("got %q, want %q", g, tt.want)
		}
	}
}

func TestPlainTextAndClaim(t *testing.T) {
	for _, tt := range []struct{ quote, want string }{
		{"A **bold** and *slanted* and __strong__ ~~old~~ word.", "A bold and slanted and strong old word"},
		{"See [the *design*](docs/a.md) and [rules][r] or <https://x.org>.", "See the design and rules or https://x.org"},
		{"Files *.go and *.md, 2 * 3, snake_case_name and `a*b*c`", "Files *.go and *.md, 2 * 3, snake_case_name and `a*b*c`"},
		{"![badge](b.svg) Text<br>more &amp; `<b>`", "Badge Text more &amp; `<b>`"},
		{"escaped \\*stars\\* and dir:<abs>", "Escaped *stars* and dir:<abs>"},
		{"keeper | writes the log | daily", "Keeper: writes the log; daily"},
		{"and so on ...", "And so on ..."}, {"an array[3](x y) stays", "An array[3](x y) stays"},
	} {
		if got := claimOf(tt.quote); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.quote, got, tt.want)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct{ file, text, want string }{
		{"a.md", "# T\n\nOne\ntwo.\n\n## S ##\n- a\n  b\n- [x] c\n\n1) d\n> q1\n> q2\n", "3-4 T One two.; 7-8 T/S a b; 9-9 T/S c; 11-11 T/S d; 12-12 T/S q1; 13-13 T/S q2"},
		{"a.md", "a | b\n--|--\nc | d\n\n|x|y|\n|-|-|\n|z|`w`|\n", "3-3  c | d; 7-7  z|`w`"},
		{"a.md", "T\n---\np\n***\n<!-- no\nno -->\n<div>\n\n~~~\nno\n~~~\nr\n\n\tno\n", "3-3 T p; 12-12 T r"},
		{"a.md", "- a\n\n    b\n\n      - c\n\n            no\n", "1-1  a; 3-3  b; 5-5  c"},
		{"a.rst", "====\nPart\n====\nOne::\n\n  no\n\ntwo\n\n.. code:: x\n\n   no\n.. note:: x\n\n   yes\n\nSub\n---\nv\n\nNext\n====\n| w\n", "4-4 Part One::; 8-8 Part two; 15-15 Part yes; 19-19 Part/Sub v; 23-23 Next w"},
		{"a.org", "* T\n#+begin_src x\nno\n#+end_src\ntext\n** S\n- i\n", "5-5 T text; 7-7 T/S i"},
		{"a.adoc", "= T\n:attr: v\n\ntext\n\n----\nno\n----\n== S\n* i\n", "4-4 T text; 10-10 T/S i"},
		{"a.md", "---\na: b\n---\ntext\n", "4-4  text"}, {"a.md", "---\n\ntext\n", "3-3  text"},
	} {
		var got []string
		split(&document{path: tt.file, text: tt.text}, func(p *passage) {
			got = append(got, fmt.Sprintf("%d-%d %s %s", p.first, p.lineAt(len(p.text)-1), strings.Join(p.section, "/"), p.text))
		})
		if g := strings.Join(got, "; "); g != tt.want {
			t.Errorf("%q:\ngot  %s\nwant %s", tt.text, g, tt.want)
		}
	}
}
