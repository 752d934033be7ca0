package builtin

import (
	"fmt"
	"io/fs"
	"math"
	"sort"
	"strings"
	"unicode/utf8"
)

// Bounds of a brief.
const (
	maxClaims      = 40 // statements; what is beyond them is counted
	summaryClaims  = 3
	namedSkips     = 5
	maxPathBytes   = 4096
	supportPerFile = 0.25 // a statement's gain for each other file with one like it
	supportLike    = 0.3  // how like
)

const (
	sourcesHeading = "## Sources"
	noSources      = "None."
)

// claim is one statement of the brief with all places where it stands.
type claim struct {
	Note
	sources []Note
	stems   map[string]bool
	support float64
}

// Write merges notes into a brief in Markdown: a summary of the best supported statements, the other statements by
// document and section, what was read, and the sources. Each statement consists of a quote's words and is followed
// by the numbers of its sources. The order of notes does not matter. Notes that could not be cited are left out,
// and the brief says how many.
func Write(topic string, notes []Notes) []byte {
	w := &writer{topic: shorten(visible(topic), topicRunes), refs: make(map[string]int)}
	w.gather(notes)
	w.rank()
	w.title()
	summary, rest := w.divide()
	w.summary(summary)
	w.sections(rest)
	w.reading(notes)
	w.sources()
	return []byte(w.b.String())
}

type writer struct {
	b     strings.Builder
	topic string

	claims   []*claim
	unusable int // notes that cannot be cited
	beyond   int // statements beyond maxClaims

	refs  map[string]int // number of a place and quote
	cited []string       // source lines in order of number
}

// gather collects the notes, those that say the same in one claim.
func (w *writer) gather(notes []Notes) {
	var all []Note
	for _, n := range notes {
		for _, note := range n.Notes {
			if !citable(note) {
				w.unusable++
				continue
			}
			cut := strings.HasSuffix(note.Claim, " …")
			note.Claim = claimOf(note.Quote)
			if cut && !strings.HasSuffix(note.Claim, "…") {
				note.Claim += " …"
			}
			all = append(all, note)
		}
	}
	sort.Slice(all, func(i, j int) bool { return noteLess(&all[i], &all[j]) })
	bySaying := make(map[string]*claim)
	for _, note := range all {
		said := saying(note.Claim)
		c := bySaying[said]
		if c == nil {
			c = &claim{Note: note, stems: stemSet(languageOf(note.Quote), note.Quote)}
			bySaying[said] = c
			w.claims = append(w.claims, c)
		}
		if !c.has(note) {
			c.sources = append(c.sources, note)
		}
	}
}

func (c *claim) has(n Note) bool {
	for _, s := range c.sources {
		if s.File == n.File && s.First == n.First && s.Last == n.Last && s.Quote == n.Quote {
			return true
		}
	}
	return false
}

// citable reports whether a note can stand in a brief: notes may come from anywhere.
func citable(n Note) bool {
	return n.Quote != "" && n.Quote == collapse(n.Quote) && printable(n.Quote) && len(n.Quote) <= plainBytes &&
		fs.ValidPath(n.File) && n.File != "." && len(n.File) <= maxPathBytes && n.First >= 1 && n.Last >= n.First &&
		claimOf(n.Quote) != "" && !math.IsNaN(n.Score) && !math.IsInf(n.Score, 0)
}

// noteLess orders notes by score, then by place.
func noteLess(a, b *Note) bool {
	switch {
	case a.Score != b.Score:
		return a.Score > b.Score
	case a.File != b.File:
		return a.File < b.File
	case a.First != b.First:
		return a.First < b.First
	case a.Last != b.Last:
		return a.Last < b.Last
	case a.Quote != b.Quote:
		return a.Quote < b.Quote
	case a.Title != b.Title:
		return a.Title < b.Title
	}
	return strings.Join(a.Section, "\n")+"\n"+a.Claim < strings.Join(b.Section, "\n")+"\n"+b.Claim
}

// saying is what two statements must share, down to each number, to be one.
func saying(claim string) string {
	var words []string
	eachWord(claim, func(word string) { words = append(words, word) })
	if len(words) == 0 {
		return claim
	}
	return strings.Join(words, " ")
}

// rank orders the claims by score and by how many other files say something like them.
func (w *writer) rank() {
	if len(w.claims) > maxClaims {
		w.beyond = len(w.claims) - maxClaims
		w.claims = w.claims[:maxClaims]
	}
	for _, c := range w.claims {
		files := make(map[string]bool)
		for _, s := range c.sources {
			files[s.File] = true
		}
		for _, d := range w.claims {
			if d != c && likeness(c.stems, d.stems) >= supportLike {
				files[d.File] = true
			}
		}
		c.support = round4(c.Score * (1 + supportPerFile*float64(min(len(files)-1, 4))))
	}
	sort.SliceStable(w.claims, func(i, j int) bool { return w.claims[i].support > w.claims[j].support })
}

// divide takes the claims of the summary, from different sections, and leaves the others.
func (w *writer) divide() (summary, rest []*claim) {
	want := min(summaryClaims, (len(w.claims)+2)/3)
	for _, c := range w.claims {
		fresh := len(summary) < want && c.worthSummary()
		for _, s := range summary {
			fresh = fresh && !(s.File == c.File && equal(s.Section, c.Section)) && likeness(s.stems, c.stems) < 0.6
		}
		if fresh {
			summary = append(summary, c)
		} else {
			rest = append(rest, c)
		}
	}
	if len(summary) == 0 && len(rest) > 0 {
		return rest[:1], rest[1:]
	}
	return summary, rest
}

// worthSummary reports whether a statement can stand without its surroundings.
func (c *claim) worthSummary() bool {
	return opensSentence(c.Claim) && !leans(c.Claim) && !strings.HasSuffix(c.Claim, "?") && !strings.HasSuffix(c.Claim, "…")
}

func (w *writer) title() {
	title := "Brief: " + subject(w.topic)
	if len(w.topic) > 6 && strings.EqualFold(w.topic[:6], "brief ") {
		title = "Brief " + w.topic[6:]
	}
	fmt.Fprintf(&w.b, "# %s\n", escape(title))
}

func (w *writer) summary(claims []*claim) {
	w.b.WriteString("\n## Summary\n\n")
	if len(claims) == 0 {
		w.b.WriteString("Nothing was found: no passage of the documents read answers this topic. " +
			"This brief makes no statement.\n")
		return
	}
	for i, c := range claims {
		if i > 0 {
			w.b.WriteByte(' ')
		}
		w.statement(c, i == 0)
	}
	w.b.WriteByte('\n')
}

// statement prints one claim and its references; opening tells that it begins a block.
func (w *writer) statement(c *claim, opening bool) {
	text := escape(c.Claim)
	if opening {
		text = escapeOpening(c.Claim)
	}
	end := "."
	if last, _ := utf8.DecodeLastRuneInString(strings.TrimRight(c.Claim, "\"')*_”’»“`")); strings.ContainsRune(".!?…。！？", last) {
		end = ""
	}
	w.b.WriteString(text + " ")
	for _, s := range c.sources {
		fmt.Fprintf(&w.b, "[%d]", w.ref(s))
	}
	w.b.WriteString(end)
}

// ref returns the number of a note's source, a new one when it was not cited before.
func (w *writer) ref(n Note) int {
	line := escape(place(n.File, n.First, n.Last)) + `  "` + escape(n.Quote) + `"`
	if w.refs[line] == 0 {
		w.cited = append(w.cited, line)
		w.refs[line] = len(w.cited)
	}
	return w.refs[line]
}

// sections prints the claims by document, documents with the best claims first; those with one claim share a
// section at the end.
func (w *writer) sections(claims []*claim) {
	byFile := make(map[string][]*claim)
	var files []string
	for _, c := range claims {
		if byFile[c.File] == nil {
			files = append(files, c.File)
		}
		byFile[c.File] = append(byFile[c.File], c)
	}
	var single []*claim
	for _, f := range files {
		group := byFile[f]
		if len(group) == 1 && len(files) > 1 {
			single = append(single, group[0])
			continue
		}
		name := displayName(visible(group[0].Title), f)
		fmt.Fprintf(&w.b, "\n## %s\n", w.heading(name, f))
		sort.SliceStable(group, func(i, j int) bool { return group[i].First < group[j].First })
		for i, c := range group {
			label := c.label()
			if i > 0 && label == group[i-1].label() {
				w.b.WriteByte(' ')
				w.statement(c, false)
				continue
			}
			if i > 0 {
				w.b.WriteByte('\n')
			}
			w.b.WriteByte('\n')
			w.labelled(label, c)
		}
		w.b.WriteByte('\n')
	}
	if len(single) == 0 {
		return
	}
	title := "Further statements"
	if len(single) == len(files) {
		title = "What the documents say"
	}
	fmt.Fprintf(&w.b, "\n## %s\n\n", title)
	for _, c := range single {
		w.b.WriteString("- ")
		label := c.label()
		if label == "" {
			label = displayName(visible(c.Title), c.File)
		}
		w.labelled(label, c)
		w.b.WriteByte('\n')
	}
}

// heading names a document by title and path.
func (w *writer) heading(name, file string) string {
	name = shorten(name, headingRunes)
	if p := placePath(file); name != p && p != "" {
		return escape(name + " (" + p + ")")
	}
	return escape(name)
}

// label is the innermost heading above a claim, unless that is the document's title.
func (c *claim) label() string {
	if n := len(c.Section); n > 0 && c.Section[n-1] != c.Title {
		return shorten(visible(c.Section[n-1]), headingRunes)
	}
	return ""
}

func (w *writer) labelled(label string, c *claim) {
	if label == "" {
		w.statement(c, true)
		return
	}
	fmt.Fprintf(&w.b, "**%s.** ", escape(strings.TrimRight(label, ".:")))
	w.statement(c, false)
}

// reading says what the brief rests on, and what not.
func (w *writer) reading(notes []Notes) {
	files, missing, skipped, words := make(map[string]bool), make(map[string]bool), make(map[string]string), make(map[string]bool)
	passages, skips := 0, 0
	for _, n := range notes {
		passages += max(0, n.Passages)
		skips = max(skips, n.SkippedTotal)
		for _, f := range n.Files {
			files[f] = true
		}
		for _, f := range n.Missing {
			missing[f] = true
		}
		for _, s := range n.Skipped {
			skipped[s.Path] = s.Why
		}
		for _, t := range n.Terms {
			words[shorten(visible(t.Word), headingRunes)] = true
		}
	}
	quotes := 0
	for _, c := range w.claims {
		quotes += len(c.sources)
	}
	fmt.Fprintf(&w.b, "\n## What was read\n\n%s read %s and scored %s", capital(count(len(notes), "researcher")),
		count(len(files), "document"), count(passages, "passage"))
	if len(words) > 0 {
		list := sorted(words)
		fmt.Fprintf(&w.b, " for: %s", escape(strings.Join(list[:min(len(list), maxTerms)], ", ")))
	}
	fmt.Fprintf(&w.b, ". This brief quotes %s.", count(quotes, "place"))
	if len(w.claims) > 0 {
		w.b.WriteString(" Its statements are the documents' own words, without their Markdown marks; none was generated by a " +
			"language model.")
	} else {
		w.b.WriteString(" No language model was used.")
	}
	w.b.WriteByte('\n')
	if n := max(len(skipped), skips); n > 0 {
		var named []string
		list := sortedKeys(skipped)
		for _, p := range list[:min(len(list), namedSkips)] {
			named = append(named, escape(placePath(p))+" ("+escape(strings.ReplaceAll(visible(skipped[p]), "_", " "))+")")
		}
		if n > len(named) {
			named = append(named, "and others")
		}
		fmt.Fprintf(&w.b, "\nNot read: %s: %s.\n", count(n, "file"), strings.Join(named, ", "))
	}
	if len(missing) > 0 {
		fmt.Fprintf(&w.b, "\nAsked for but not there: %s.\n", count(len(missing), "document"))
	}
	if w.unusable > 0 {
		fmt.Fprintf(&w.b, "\nLeft out: %s that cannot be cited.\n", count(w.unusable, "note"))
	}
	if w.beyond > 0 {
		fmt.Fprintf(&w.b, "\nLeft out for length: %s.\n", count(w.beyond, "statement"))
	}
}

func (w *writer) sources() {
	w.b.WriteString("\n" + sourcesHeading + "\n\n")
	if len(w.cited) == 0 {
		w.b.WriteString(noSources + "\n")
	}
	for i, line := range w.cited {
		fmt.Fprintf(&w.b, "- [%d] %s\n", i+1, line)
	}
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func sorted(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func sortedKeys(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
