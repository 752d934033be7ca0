package builtin

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
)

// DefaultNotes is how many notes a researcher takes at most when the task does not say.
const DefaultNotes = 8

const (
	maxNotes   = 50
	maxTerms   = 64
	maxSkipped = 100
)

// ErrVersion is returned for a Task written for another version of this package.
var ErrVersion = errors.New("task of unknown version")

// Notes is what one researcher found. It is plain data, written as notes.json.
type Notes struct {
	Version      int      `json:"version"`
	Topic        string   `json:"topic"`
	Part         int      `json:"part"`
	Parts        int      `json:"parts"`
	Terms        []Term   `json:"terms"`
	Files        []string `json:"files"`             // documents read
	Missing      []string `json:"missing,omitempty"` // documents asked for that the corpus does not hold
	Skipped      []Skip   `json:"skipped,omitempty"` // files of the folder left out, the first hundred
	SkippedTotal int      `json:"skipped_total,omitempty"`
	Passages     int      `json:"passages"` // passages scored
	Notes        []Note   `json:"notes"`    // best first
}

// Note is one statement with the place where it stands.
type Note struct {
	Claim   string   `json:"claim"` // the quote's words without Markdown marks
	Quote   string   `json:"quote"` // word for word, each run of white space being one space
	File    string   `json:"file"`
	First   int      `json:"first"` // first line, from 1
	Last    int      `json:"last"`  // last line
	Title   string   `json:"title,omitempty"`
	Section []string `json:"section,omitempty"` // headings above, outermost first
	Score   float64  `json:"score"`
}

// scored is a note with what is needed to compare it with others.
type scored struct {
	note  Note
	stems map[string]bool
}

// Research reads the task's documents, ranks their passages and returns the best as notes. Progress, which may be
// nil, is called with (0, total) and then after each document, before Research returns and in its goroutine. The
// errors are ErrVersion and the cause of ctx's end. Finding nothing is no error.
func Research(ctx context.Context, t Task, c *Corpus, progress func(done, total int)) (*Notes, error) {
	if t.Version != Version && t.Version != 0 {
		return nil, fmt.Errorf("%w: %d", ErrVersion, t.Version)
	}
	if progress == nil {
		progress = func(int, int) {}
	}
	out := &Notes{Version: Version, Topic: shorten(visible(t.Topic), topicRunes), Part: max(1, t.Part), Parts: max(1, t.Parts),
		Files: []string{}, Notes: []Note{}, SkippedTotal: len(c.Skipped)}
	out.Skipped = append(out.Skipped, c.Skipped[:min(maxSkipped, len(c.Skipped))]...)
	docs := out.pick(t, c)
	out.Terms = t.terms(out.Topic, docs)

	r := &ranking{q: newQuery(out.Terms, t.Aspects[:min(len(t.Aspects), maxTerms)]), general: len(topicWords(out.Topic)) == 0}
	progress(0, len(docs))
	for i, d := range docs {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		r.add(d)
		progress(i+1, len(docs))
	}
	out.Passages = r.passages

	var pool []scored
	for _, cand := range r.best(poolSize) {
		if z, ok := bestQuote(cand, r.q); ok {
			pool = append(pool, cand.note(z))
		}
	}
	want := t.Notes
	if want <= 0 {
		want = DefaultNotes
	}
	for _, s := range choose(pool, min(want, maxNotes)) {
		s.note.Title = c.find(s.note.File).title()
		out.Notes = append(out.Notes, s.note)
	}
	sort.SliceStable(out.Notes, func(i, j int) bool { return out.Notes[i].Score > out.Notes[j].Score })
	return out, nil
}

// pick returns the documents to read and notes which are missing.
func (n *Notes) pick(t Task, c *Corpus) []*document {
	if len(t.Files) == 0 {
		n.Files = append(n.Files, c.Files()...)
		return c.docs
	}
	var docs []*document
	seen := make(map[string]bool)
	for _, f := range t.Files {
		if seen[f] {
			continue
		}
		seen[f] = true
		if d := c.find(f); d != nil {
			docs = append(docs, d)
			n.Files = append(n.Files, f)
		} else {
			n.Missing = append(n.Missing, f)
		}
	}
	return docs
}

// terms returns the task's terms, or those of its topic, weighed by the documents at hand.
func (t Task) terms(topic string, docs []*document) []Term {
	if len(t.Terms) > 0 {
		return append([]Term(nil), t.Terms[:min(len(t.Terms), maxTerms)]...)
	}
	if len(docs) == 0 {
		return []Term{}
	}
	return takeCensus(docs, func(int) int { return 0 }, 1).terms(topic)
}

// note makes the note of a candidate's quote.
func (c *candidate) note(z quote) scored {
	p := c.p
	q := p.text[z.from:z.to]
	n := Note{Claim: claimOf(q), Quote: strings.Clone(q), File: p.doc.path, First: p.lineAt(z.from), Last: p.lineAt(z.to - 1),
		Section: p.section, Score: round4(c.score * z.worth)}
	if z.cut {
		n.Claim += " …"
	}
	return scored{n, stemSet(p.doc.lang, q)}
}

// Markdown writes the notes for people to read.
func (n *Notes) Markdown() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Notes: %s\n\n", escape(subject(visible(n.Topic))))
	fmt.Fprintf(&b, "Read %s and scored %s", count(len(n.Files), "document"), count(n.Passages, "passage"))
	if len(n.Terms) > 0 {
		fmt.Fprintf(&b, " for: %s", escape(visible(wordList(n.Terms))))
	}
	b.WriteString(".\n")
	if len(n.Missing) > 0 {
		fmt.Fprintf(&b, "Asked for but not there: %s.\n", count(len(n.Missing), "document"))
	}
	if len(n.Notes) == 0 {
		b.WriteString("\nNothing was found.\n")
	}
	for i, note := range n.Notes {
		fmt.Fprintf(&b, "\n%d. %s\n\n   %s  \"%s\"  (score %.2f)\n", i+1, escapeOpening(visible(note.Claim)),
			escape(place(note.File, note.First, note.Last)), escape(visible(note.Quote)), note.Score)
	}
	return []byte(b.String())
}
