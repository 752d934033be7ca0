package builtin

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Report is the outcome of Check.
type Report struct {
	Total     int        // sources listed
	Good      int        // sources whose quote stands word for word at its place
	Citations []Citation // sources that could be read, in order of the list
	Problems  []Problem
}

// Citation is one entry of a brief's list of sources.
type Citation struct {
	Ref         int
	File        string
	First, Last int // lines, from 1
	Quote       string
}

// Place returns "path:line" or "path:first-last", the path quoted when it needs to be.
func (c Citation) Place() string { return place(c.File, c.First, c.Last) }

// Problem is one thing that is not true of a brief.
type Problem struct {
	Line int    // line of the brief, from 1
	Ref  int    // number of the source, zero when there is none
	Text string // the source as written
	Why  string
}

// OK reports whether every source is good, every reference has a source and every source is referred to.
func (r Report) OK() bool { return len(r.Problems) == 0 && r.Good == r.Total }

// String says how many of the quotes are good.
func (r Report) String() string {
	if r.Total == 0 {
		return "no quotes to check"
	}
	return fmt.Sprintf("%d of %d quotes stand word for word at their file and line", r.Good, r.Total)
}

// Bounds of what Check reads.
const (
	maxBrief   = 1 << 20
	maxSources = 2000
	maxChecked = 8 << 20 // bytes of one file
	maxCached  = 16 << 20
)

// Check reads every quote of a brief again in the documents below fsys. It reports each source that is not word
// for word at its file and lines, names a file outside the documents, or cannot be read; each reference in the text
// without a source, and each source without a reference. It follows no symbolic links. A brief of more than 1 MiB or
// 2,000 sources, and a source in a file of more than 8 MiB, is a problem too.
func Check(brief []byte, fsys fs.FS) Report {
	k := &checker{fsys: fsys, files: make(map[string]fileLines), listed: make(map[int]bool)}
	if len(brief) > maxBrief || !utf8.Valid(brief) {
		k.problem(0, 0, "", "the brief is too large or not UTF-8")
		return k.Report
	}
	lines := strings.Split(string(brief), "\n")
	at := -1
	for i, l := range lines {
		if strings.TrimRight(l, " \r") == sourcesHeading {
			at = i
		}
	}
	if at < 0 {
		k.problem(0, 0, "", "no list of sources")
		at = len(lines)
	}
	used := make(map[int]int) // line of first use
	for i, l := range lines[:at] {
		for _, ref := range references(l) {
			if used[ref] == 0 {
				used[ref] = i + 1
			}
		}
	}
	for i := at + 1; i < len(lines); i++ {
		if k.Total == maxSources {
			k.problem(i+1, 0, "", fmt.Sprintf("more than %d sources: the others were not checked", maxSources))
			break
		}
		if l := strings.TrimSpace(lines[i]); l != "" && l != noSources {
			k.source(i+1, strings.TrimPrefix(l, "- "), used)
		}
	}
	for i, l := range lines[:at] {
		for _, ref := range references(l) {
			if !k.listed[ref] && used[ref] == i+1 {
				used[ref] = -1 // once
				k.problem(i+1, ref, "", fmt.Sprintf("[%d] has no source", ref))
			}
		}
	}
	return k.Report
}

type checker struct {
	Report
	fsys   fs.FS
	files  map[string]fileLines
	cached int // bytes of text in files
	listed map[int]bool
}

type fileLines struct {
	lines []string
	why   string // why there are none
}

func (k *checker) problem(line, ref int, text, why string) {
	k.Problems = append(k.Problems, Problem{line, ref, text, why})
}

// source checks one entry of the list.
func (k *checker) source(line int, text string, used map[int]int) {
	k.Total++
	c, err := parseSource(text)
	if err != "" {
		k.problem(line, c.Ref, text, err)
		return
	}
	k.Citations = append(k.Citations, c)
	why := ""
	switch {
	case k.listed[c.Ref]:
		why = fmt.Sprintf("[%d] is listed twice", c.Ref)
	case used[c.Ref] == 0:
		why = fmt.Sprintf("[%d] is not referred to", c.Ref)
	}
	k.listed[c.Ref] = true
	if stands := k.stands(c); stands != "" {
		why = stands
	}
	if why != "" {
		k.problem(line, c.Ref, text, why)
		return
	}
	k.Good++
}

// Compiled when first needed: every command of the program would pay for it.
var sourceLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\[([0-9]{1,6})\] (.*)$`) })
var sourceRange = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`:([0-9]{1,9})(?:-([0-9]{1,9}))?$`) })

// parseSource reads `[n] path:first-last  "quote"`.
func parseSource(text string) (c Citation, why string) {
	const unreadable = "the source cannot be read"
	m := sourceLine().FindStringSubmatch(text)
	if m == nil {
		return c, unreadable
	}
	c.Ref, _ = strconv.Atoi(m[1])
	where, quoted, ok := cutPlace(unescape(m[2]))
	if !ok || len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' {
		return c, unreadable
	}
	c.Quote = quoted[1 : len(quoted)-1]
	r := sourceRange().FindStringSubmatch(where)
	if r == nil {
		return c, unreadable
	}
	c.File = strings.TrimSuffix(where, r[0])
	if strings.HasPrefix(c.File, `"`) {
		name, err := strconv.Unquote(c.File)
		if err != nil {
			return c, unreadable
		}
		c.File = name
	}
	c.First, _ = strconv.Atoi(r[1])
	c.Last = c.First
	if r[2] != "" {
		c.Last, _ = strconv.Atoi(r[2])
	}
	if c.Ref == 0 || c.First == 0 || c.Last < c.First || c.Quote == "" {
		return c, unreadable
	}
	return c, ""
}

// cutPlace separates the place, whose path may be quoted, from the quote.
func cutPlace(s string) (where, quoted string, ok bool) {
	path := ""
	if strings.HasPrefix(s, `"`) {
		prefix, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", "", false
		}
		path = prefix
	}
	rest, quoted, ok := strings.Cut(s[len(path):], " ")
	return path + rest, strings.TrimSpace(quoted), ok
}

// stands returns why a quote is not at its place, or "".
func (k *checker) stands(c Citation) string {
	f := k.read(c.File)
	switch {
	case f.why != "":
		return f.why
	case c.Last > len(f.lines):
		return fmt.Sprintf("the file has %s", count(len(f.lines), "line"))
	case c.Last-c.First > 1000:
		return "the quote spans too many lines"
	case c.Quote != collapse(c.Quote):
		return "the quote is not written on one line"
	}
	var text strings.Builder
	lastFrom := 0
	for _, l := range f.lines[c.First-1 : c.Last] {
		if l = collapse(l); l != "" && text.Len() > 0 {
			text.WriteByte(' ')
		}
		lastFrom = text.Len()
		text.WriteString(l)
	}
	firstTo := len(collapse(f.lines[c.First-1]))
	all := text.String()
	for from := 0; ; {
		i := strings.Index(all[from:], c.Quote)
		if i < 0 {
			return "the quote does not stand there"
		}
		i += from
		end := i + len(c.Quote)
		if i < firstTo && end > lastFrom && wholeWords(all, i, end) {
			return ""
		}
		_, n := utf8.DecodeRuneInString(all[i:])
		from = i + n
	}
}

// wholeWords reports whether s[from:end] begins and ends between words. Scripts without spaces have no such places.
func wholeWords(s string, from, end int) bool {
	joined := func(i int) bool {
		a, _ := utf8.DecodeLastRuneInString(s[:i])
		b, _ := utf8.DecodeRuneInString(s[i:])
		return i > 0 && i < len(s) && wordRune(a) && wordRune(b) && !unspaced(a) && !unspaced(b)
	}
	return !joined(from) && !joined(end)
}

func unspaced(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// read returns the lines of a document, each file once.
func (k *checker) read(p string) fileLines {
	f, ok := k.files[p]
	if !ok {
		if f.why = k.refuse(p); f.why == "" {
			text, why := readText(k.fsys, p, maxChecked)
			if k.cached += len(text); k.cached > maxCached {
				clear(k.files)
				k.cached = len(text)
			}
			if why != "" {
				f.why = "the file cannot be used: " + strings.ReplaceAll(why, "_", " ")
			}
			f.lines = splitLines(text)
		}
		k.files[p] = f
	}
	return f
}

// refuse returns why a path is no document of the folder, or "".
func (k *checker) refuse(p string) string {
	if !fs.ValidPath(p) || p == "." {
		return "the path leads out of the folder"
	}
	dir, name := path.Split(p)
	for d := range strings.SplitSeq(dir, "/") {
		if d != "" && hiddenName(d) {
			return "the file is not a document of the folder"
		}
	}
	if !documentName(name) {
		return "the file is not a document of the folder"
	}
	for i := range len(p) + 1 {
		if i < len(p) && p[i] != '/' {
			continue
		}
		info, err := fs.Lstat(k.fsys, p[:i])
		if err != nil {
			return "there is no such file"
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return "the path is a symbolic link"
		}
		if i == len(p) && !info.Mode().IsRegular() {
			return "the path is not a file"
		}
	}
	return ""
}

// references returns the numbers in brackets of a line of the text, outside code and escapes.
func references(line string) []int {
	var out []int
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '`':
			end := codeSpan(line, i)
			if end == 0 {
				end = i + runOf(line[i:], '`')
			}
			i = end - 1
		case '[':
			n := i + 1
			for n < len(line) && n-i < 8 && line[n] >= '0' && line[n] <= '9' {
				n++
			}
			if n > i+1 && n < len(line) && line[n] == ']' {
				ref, _ := strconv.Atoi(line[i+1 : n])
				out = append(out, ref)
				i = n
			}
		}
	}
	return out
}
