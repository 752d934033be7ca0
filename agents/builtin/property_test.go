package builtin

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"
)

var pieces = []string{
	"keeper", "harbour", "log", "The", "tide", "writes", "every", "day", "of", "the", "is", "a", "Hafen", "Wärter", "und", "der",
	"*bold*", "**x", "`code`", "``", "```", "[1]", "[a](b)", "<b>", "&amp;", "\\", "|", "\"", "#", "##", "-", "1.", ">", "$x$", "~~",
	"\x1b[31m", "\u202e", "\u200d", "\u00a0", "\t", "\r", "看板", "。", "é", "🚢", "--", "===", "|---|", "e.g.", "https://x.org",
	". ", "! ", "? ", ".\n", "\n", "\n\n", "\r\n", "\n    ", "\n- ", "\n> ", "\n# ", "\n| ", " |\n", "\n```\n", "## Sources\n",
}

func drawText(t *rapid.T, label string) string {
	// A length of its own: slices drawn without one are mostly short.
	least := rapid.SampledFrom([]int{0, 3, 20, 80, 200}).Draw(t, label+" length")
	words := rapid.SliceOfN(rapid.SampledFrom(pieces), least, 2*least+5).Draw(t, label)
	var b strings.Builder
	for _, w := range words {
		b.WriteString(w)
		if !strings.HasSuffix(w, "\n") {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

func drawFS(t *rapid.T) fs.FS {
	fsys := fstest.MapFS{}
	names := rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune("ab :\"`*_[]<>1-\n\x1bé\u202e")), 1, 8, -1), 0, 6).Draw(t, "names")
	for i, n := range names {
		dir := []string{"", "d/", "e é/"}[i%3]
		fsys[dir+n+".md"] = &fstest.MapFile{Data: []byte(drawText(t, fmt.Sprint("text", i)))}
	}
	return fsys
}

func TestEveryCitationIsTrue(t *testing.T) {
	quotes, briefs := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		fsys := drawFS(t)
		topic := rapid.SampledFrom([]string{"", "keeper", "harbour log [1]", "Wärter", "Brief on this repository\n## Sources"}).Draw(t, "topic")
		n := rapid.IntRange(1, 4).Draw(t, "researchers")
		c, err := Load(fsys, nil)
		if err != nil {
			t.Fatal(err)
		}
		way := func() ([]Notes, []byte) {
			var notes []Notes
			for _, a := range Plan(topic, c, n) {
				got, err := Research(t.Context(), a.Task, c, nil)
				if err != nil {
					t.Fatal(err)
				}
				notes = append(notes, *got)
			}
			return notes, Write(topic, notes)
		}
		notes, brief := way()
		r := Check(brief, fsys)
		if !r.OK() {
			t.Fatalf("got %v, want no problems\n%s", r.Problems, brief)
		}
		found := 0
		for _, n := range notes {
			found += len(n.Notes)
			for _, note := range n.Notes {
				if !citable(note) {
					t.Fatalf("got a note that cannot be cited: %+v", note)
				}
			}
		}
		if (found == 0) != (r.Total == 0) {
			t.Fatalf("got %d sources from %d notes", r.Total, found)
		}
		quotes += r.Total
		briefs++
		if bytes.ContainsAny(brief, "\x1b\r\u202e") {
			t.Fatalf("got control characters in %q", brief)
		}
		if _, again := way(); !bytes.Equal(again, brief) {
			t.Fatalf("got another brief for the same input\n%s\n%s", brief, again)
		}
	})
	if quotes < briefs/2 {
		t.Errorf("got %d quotes in %d briefs, want more: the property was hardly tried", quotes, briefs)
	}
	t.Logf("%d quotes in %d briefs", quotes, briefs)
}

func TestEscapeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOfN(rapid.SampledFrom(append(pieces, "`", "_", "*", "a_b", "[", "]", "~", "12)", "&#x41;")), rapid.SampledFrom([]int{0, 2, 30}).Draw(t, "length"), 60).Draw(t, "s"), "")
		if got := unescape(escape(s)); got != s {
			t.Fatalf("got %q from %q, want %q", got, escape(s), s)
		}
		if got := unescape(escapeOpening(s)); got != s {
			t.Fatalf("opening: got %q from %q, want %q", got, escapeOpening(s), s)
		}
		if refs := references(escape(s)); refs != nil {
			t.Fatalf("got references %v in the escaped %q", refs, escape(s))
		}
	})
}

func TestPassagesStandInTheirLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"a.md", "a.rst", "a.org", "a.adoc", "a"}).Draw(t, "name")
		d := &document{path: name, text: drawText(t, "text")}
		lines := splitLines(d.text)
		last := 0
		split(d, func(p *passage) {
			end := p.lineAt(len(p.text) - 1)
			if p.first < last || end < p.first || end > len(lines) {
				t.Fatalf("got lines %d-%d after %d of %d", p.first, end, last, len(lines))
			}
			last = end
			if p.kind != quoted {
				if all := collapse(strings.Join(lines[p.first-1:end], " ")); !strings.Contains(all, p.text) {
					t.Fatalf("got passage %q, which does not stand in %q", p.text, all)
				}
			}
		})
	})
}

func FuzzCheck(f *testing.F) {
	fsys := mapFS("a.md", "The keeper writes the log.\n")
	f.Add([]byte("Text [1].\n\n## Sources\n\n- [1] a.md:1  \"The keeper writes the log.\"\n"))
	f.Fuzz(func(t *testing.T, brief []byte) {
		r := Check(brief, fsys)
		if r.Good > r.Total || r.OK() && r.Good != len(r.Citations) {
			t.Errorf("got %+v", r)
		}
	})
}

// largeFS holds about 10 MiB in 100 documents.
func largeFS() fs.FS {
	fsys := fstest.MapFS{}
	seed := uint32(1)
	for i := range 100 {
		var b strings.Builder
		for b.Len() < 100<<10 {
			seed = seed*1664525 + 1013904223
			if seed>>28 == 0 {
				fmt.Fprintf(&b, ".\n\n## Heading %d\n\nThe", seed>>8&0xff)
			}
			fmt.Fprintf(&b, " %s%d", []string{"word", "keeper", "the", "of", "log"}[seed>>16%5], seed>>20&0x3ff)
			if seed>>12&7 == 0 {
				b.WriteString(" is the tide.\nThe")
			}
		}
		fsys[fmt.Sprintf("f%03d.md", i)] = &fstest.MapFile{Data: []byte(b.String())}
	}
	return fsys
}

func BenchmarkTenMiB(b *testing.B) {
	fsys := largeFS()
	for _, topic := range []string{"", "keeper7 tide"} {
		b.Run("topic="+topic, func(b *testing.B) {
			for b.Loop() {
				_, brief := run(b, topic, fsys, 3)
				if r := Check(brief, fsys); !r.OK() || r.Total == 0 {
					b.Fatal(r.Problems)
				}
			}
		})
	}
}
