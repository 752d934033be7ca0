package builtin

import (
	"sort"
	"strings"
)

// kind of a passage.
type kind int

const (
	paragraph kind = iota
	item
	row
	quoted // a line of a block quote: its lines carry marks, so each stands alone
)

// Bounds of a passage. A longer block is cut between sentences, so that one giant line still ranks by its parts.
const (
	passageBytes = 1200
	headingRunes = 100
)

// passage is a stretch of a document that can be ranked and quoted.
type passage struct {
	doc     *document
	kind    kind
	section []string // headings above it, outermost first
	lead    bool     // first passage below its heading
	text    string   // lines collapsed and joined by one space
	starts  []int    // offset in text of each line
	first   int      // number of the line at starts[0]
}

// lineAt returns the line that holds the byte of text at off.
func (p *passage) lineAt(off int) int {
	return p.first + sort.SearchInts(p.starts, off+1) - 1
}

// part returns the stretch text[from:to] as a passage of its own.
func (p *passage) part(from, to int) *passage {
	q := *p
	q.text = p.text[from:to]
	q.first = p.lineAt(from)
	q.starts = []int{0}
	for _, s := range p.starts {
		if s > from && s < to {
			q.starts = append(q.starts, s-from)
		}
	}
	q.lead = p.lead && from == 0
	return &q
}

// splitter cuts one document into passages.
type splitter struct {
	doc    *document
	lines  []string
	syntax syntax
	emit   func(*passage)

	cur     *passage // block being gathered, or nil
	lastRaw string   // last line added to cur

	section  []string
	levels   []int  // level of each entry of section
	marks    string // underline characters in order of appearance: their index is the level
	fresh    bool   // nothing emitted since the last heading
	inList   bool
	literal  bool // a paragraph ended with "::": the indented block below is code
	codeFrom int  // with literal: indentation from which lines are code
}

func newSplitter(d *document, emit func(*passage)) *splitter {
	return &splitter{doc: d, lines: splitLines(d.text), syntax: syntaxOf(d.path), emit: emit, fresh: true}
}

// split calls emit for each passage of d, in order. Headings, code, comments, front matter and markup lines are
// no passages; headings become the section of what follows them.
func split(d *document, emit func(*passage)) {
	s := newSplitter(d, emit)
	for i := s.frontMatter(); i < len(s.lines); {
		i = s.block(i)
	}
	s.flush()
}

// title returns the first heading of d, or "".
func (d *document) title() (title string) {
	s := newSplitter(d, func(*passage) {})
	for i := s.frontMatter(); i < len(s.lines) && len(s.section) == 0; {
		i = s.block(i)
	}
	if len(s.section) > 0 {
		title = s.section[0]
	}
	return title
}

// frontMatter returns the index of the first line after a metadata header.
func (s *splitter) frontMatter() int {
	l := s.lines
	if s.syntax != markdown || len(l) == 0 || l[0] != "---" && l[0] != "+++" {
		return 0
	}
	for i := 1; i < len(l); i++ {
		if l[i] == l[0] {
			return i + 1
		}
		if strings.TrimSpace(l[i]) == "" || !strings.ContainsAny(l[i], ":=-#[] ") {
			return 0 // a rule, not a header
		}
	}
	return 0
}

// block handles the line at i and returns the index of the next line to look at.
func (s *splitter) block(i int) int {
	lines := s.lines
	line := lines[i]
	trimmed := strings.TrimSpace(line)
	if trimmed == "" {
		s.flush()
		return i + 1
	}
	if s.isCode(line) {
		return i + 1
	}
	if closes, ok := fenceOpen(s.syntax, line); ok {
		s.flush()
		if s.syntax == markdown && strings.HasPrefix(trimmed, "<!--") && closes(line) {
			return i + 1
		}
		for i++; i < len(lines) && !closes(lines[i]); i++ {
		}
		return i + 1
	}
	if level, title, ok := markedHeading(s.syntax, line); ok {
		s.heading(level, title)
		return i + 1
	}
	if c := underline(s.syntax, line); c != 0 && s.cur != nil && s.cur.kind == paragraph && len(s.cur.starts) == 1 &&
		(s.syntax == markdown || len(trimmed)+2 >= len(s.cur.text)) {
		title := s.cur.text
		s.cur = nil
		s.heading(s.markLevel(c), title)
		return i + 1
	}
	if ruled(line) {
		s.flush()
		return i + 1
	}
	if block, ok := directive(s.syntax, line); ok {
		s.flush()
		i++
		for at := indentOf(line); block && i < len(lines); i++ {
			if strings.TrimSpace(lines[i]) != "" && indentOf(lines[i]) <= at {
				break
			}
		}
		return i
	}
	if next, ok := s.table(i); ok {
		return next
	}
	if s.syntax == markdown && trimmed[0] == '>' {
		s.flush()
		s.begin(quoted, i, strings.TrimLeft(trimmed, "> "))
		s.flush()
		return i + 1
	}
	if n := itemMark(s.syntax, line); n > 0 {
		s.flush()
		s.inList = true
		s.begin(item, i, line[n:])
		return i + 1
	}
	if s.cur == nil {
		s.inList = s.inList && indentOf(line) > 0
		s.begin(paragraph, i, line)
	} else {
		s.add(line)
	}
	return i + 1
}

// isCode reports whether a line belongs to an indented code block.
func (s *splitter) isCode(line string) bool {
	indent := indentOf(line)
	if s.literal {
		if indent >= s.codeFrom {
			return true
		}
		s.literal = false
	}
	if s.cur != nil || s.syntax == orgMode {
		return false
	}
	return s.syntax == markdown && (!s.inList && indent >= 4 || s.inList && indent >= 8 && itemMark(s.syntax, line) == 0)
}

// table handles the rows of a table that begins at line i.
func (s *splitter) table(i int) (next int, ok bool) {
	lines := s.lines
	drawn := func(l string) bool { l = strings.TrimSpace(l); return strings.HasPrefix(l, "|") || delimiterRow(l) }
	isRow := drawn
	if !drawn(lines[i]) {
		if !strings.Contains(lines[i], "|") || i+1 == len(lines) || !delimiterRow(lines[i+1]) {
			return i, false
		}
		isRow = func(l string) bool { return strings.Contains(l, "|") }
	}
	s.flush()
	for ; i < len(lines) && isRow(lines[i]); i++ {
		header := i+1 < len(lines) && delimiterRow(lines[i+1]) && s.syntax != restructured
		if header || delimiterRow(lines[i]) {
			continue
		}
		s.begin(row, i, strings.Trim(strings.TrimSpace(lines[i]), "| "))
		s.flush()
	}
	return i, true
}

// markLevel gives an underline character its level: fixed in Markdown, by first appearance elsewhere.
func (s *splitter) markLevel(c byte) int {
	if s.syntax == markdown {
		if c == '=' {
			return 1
		}
		return 2
	}
	if strings.IndexByte(s.marks, c) < 0 {
		s.marks += string(c)
	}
	return strings.IndexByte(s.marks, c) + 1
}

func (s *splitter) heading(level int, title string) {
	s.flush()
	s.inList, s.literal, s.fresh = false, false, true
	n := len(s.levels)
	for n > 0 && s.levels[n-1] >= level {
		n--
	}
	title = shorten(visible(plainText(shorten(title, 3*headingRunes))), headingRunes)
	if title == "" {
		return
	}
	// A new slice each time: passages keep the old one.
	s.section = append(append([]string(nil), s.section[:n]...), title)
	s.levels = append(s.levels[:n:n], level)
}

func (s *splitter) begin(k kind, i int, text string) {
	s.cur = &passage{doc: s.doc, kind: k, section: s.section, text: collapse(text), starts: []int{0}, first: i + 1}
	s.lastRaw = text
	s.codeFrom = indentOf(s.lines[i]) + 1
}

// add appends a line to the block. A very long block is cut here, so that joining its lines stays cheap.
func (s *splitter) add(line string) {
	p := s.cur
	text := collapse(line)
	if p.text == "" || len(p.text)+len(text) > 8*passageBytes { // an item's mark may stand alone on its line
		s.flush()
		s.begin(p.kind, p.first+len(p.starts)-1, line)
		return
	}
	p.starts = append(p.starts, len(p.text)+1)
	p.text += " " + text
	s.lastRaw = line
}

// flush emits the block gathered, in parts when it is long.
func (s *splitter) flush() {
	p := s.cur
	s.cur = nil
	if p == nil || p.text == "" {
		return
	}
	if s.syntax == restructured && strings.HasSuffix(s.lastRaw, "::") {
		s.literal = true
	}
	p.lead, s.fresh = s.fresh, false
	if len(p.text) <= passageBytes || p.kind == row {
		s.emit(p)
		return
	}
	from, to := 0, 0
	for _, sn := range sentences(p.text) {
		if sn.to-from > passageBytes && to > from {
			s.emit(p.part(from, to))
			from = sn.from
		}
		to = sn.to
	}
	if to > from {
		s.emit(p.part(from, to))
	}
}
