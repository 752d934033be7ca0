package builtin

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a quote, in bytes and words.
const (
	quoteBytes     = 420
	goodQuoteBytes = 300
	quoteWords     = 5
)

// quote is a stretch of a passage that can be cited.
type quote struct {
	span
	cut   bool    // ends inside a sentence
	worth float64 // score of the passage is multiplied by this
}

// bestQuote picks one or two sentences of the passage: those that hold most of what was looked for and can stand
// alone.
func bestQuote(c *candidate, q *query) (quote, bool) {
	p := c.p
	spans := sentences(p.text)
	if p.kind == row || p.kind == quoted {
		spans = []span{{0, len(p.text)}}
	}
	var total float64
	for _, h := range c.hits {
		total += q.weights[h.term]
	}
	weigh := func(s span) float64 {
		var sum float64
		seen := make(map[int]bool, len(c.hits))
		eachWord(p.text[s.from:s.to], func(w string) {
			if t := q.term(p.doc.lang, w); t >= 0 && !seen[t] {
				seen[t] = true
				sum += q.weights[t]
			}
		})
		return sum
	}
	var best quote
	for i, s := range spans {
		z := quote{span: s}
		if s.to-s.from > quoteBytes {
			z = cutSentence(p.text, s)
		}
		hits := weigh(z.span)
		if hits == 0 {
			continue
		}
		z.worth = quality(p, p.text[z.from:z.to]) * (0.5 + 0.5*hits/total)
		leaning := leans(p.text[s.from:s.to])
		switch {
		case leaning && i > 0 && s.to-spans[i-1].from <= quoteBytes && quality(p, p.text[spans[i-1].from:spans[i-1].to]) > 0:
			z.from = spans[i-1].from // says what "it" is
		case leaning:
			z.worth *= 0.55
		case !z.cut && z.to-z.from < 100 && i+1 < len(spans) && spans[i+1].to-s.from <= goodQuoteBytes &&
			quality(p, p.text[spans[i+1].from:spans[i+1].to]) > 0.5:
			z.to = spans[i+1].to
		}
		if z.worth = round4(z.worth); z.worth > best.worth && printable(p.text[z.from:z.to]) {
			best = z
		}
	}
	return best, best.worth > 0
}

// cutSentence shortens a very long sentence, at the end of a clause where there is one.
func cutSentence(text string, s span) quote {
	to := s.from + goodQuoteBytes
	for !utf8.RuneStart(text[to]) {
		to--
	}
	head := text[s.from:to]
	for _, mark := range []string{"; ", ". ", ", ", " "} {
		if i := strings.LastIndex(head, mark); i > goodQuoteBytes/3 {
			return quote{span: span{s.from, s.from + len(strings.TrimRight(head[:i], " "))}, cut: true}
		}
	}
	return quote{span: span{s.from, s.from}, cut: true} // one long word: nothing to quote
}

// quality tells how well a sentence reads on its own, zero meaning not at all.
func quality(p *passage, s string) float64 {
	words, small, letters, runes, dense := 0, 0, 0, 0, 0
	eachWord(s, func(w string) {
		words++
		if stopWords()[w] {
			small++
		}
	})
	for _, r := range s {
		runes++
		if unspaced(r) {
			dense++
		}
		if unicode.IsLetter(r) || r == ' ' {
			letters++
		}
	}
	if words < quoteWords || letters*10 < runes*7 || !printable(s) {
		return 0
	}
	v := 1.0
	lower := func(factor float64, when bool) {
		if when {
			v *= factor
		}
	}
	last, _ := utf8.DecodeLastRuneInString(strings.TrimRight(s, "\"')*_”’»“`"))
	ended := strings.ContainsRune(".!?…。！？", last)
	if p.kind == quoted && !(ended && opensSentence(s)) {
		return 0
	}
	// Sentences are held together by small words; lists of names are not.
	lower(0.6, 5*small < words && dense == 0)
	lower(0.75, 10*small < 3*words && dense == 0)
	lower(0.8, strings.Count(s, ",")+strings.Count(s, ";")+strings.Count(s, "/") > 5)
	lower(0.7, p.kind == row)
	lower(0.8, words < 8)
	lower(0.8, words > 40)
	lower(0.6, last == '?')
	lower(0.5, last == ':')
	lower(0.85, !ended && p.kind == paragraph)
	lower(0.85, !opensSentence(s))
	lower(0.7, strings.Count(s, "`") > 6)
	lower(0.7, strings.Contains(s, "http://") || strings.Contains(s, "https://"))
	lower(0.8, strings.Count(s, "](") > 1)
	lower(0.8, p.kind != row && strings.Contains(s, "|"))
	lower(0.8, strings.Count(s, "(") != strings.Count(s, ")"))
	lower(0.5, strings.HasPrefix(s, "See ") || strings.HasPrefix(s, "Siehe "))
	return v
}

// leaning words open a sentence that needs the one before it.
var leaning = set(`it its this that these those they he she such but however and also so thus therefore then here there
	instead otherwise both neither moreover still yet nor even
	er sie es dies diese dieser dieses das dabei dadurch damit dann deshalb daher aber jedoch und auch also so sonst`)

func leans(s string) bool {
	if !opensSentence(s) {
		return false
	}
	first := ""
	eachWord(s[:min(len(s), 40)], func(w string) {
		if first == "" {
			first = w
		}
	})
	return leaning()[first]
}

// claimOf writes a quote as a statement: the same words without marks, from a capital letter, without the stop.
func claimOf(quote string) string {
	s := plainText(quote)
	if cells := strings.Split(s, " | "); len(cells) > 1 && !strings.Contains(s, "`|") {
		kept := cells[:0]
		for _, c := range cells {
			if c = strings.Trim(c, "| "); c != "" {
				kept = append(kept, c)
			}
		}
		s = strings.Join(kept, "; ")
		if len(kept) > 1 {
			s = kept[0] + ": " + strings.Join(kept[1:], "; ")
		}
	}
	s = strings.TrimRight(s, " ,;:|")
	if t := strings.TrimSuffix(s, "."); !strings.HasSuffix(t, ".") {
		s = strings.TrimSuffix(t, "。")
	}
	word, _, _ := strings.Cut(s, " ")
	if word != "" && word == strings.ToLower(word) && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzäöüß-,:") == "" {
		r, n := utf8.DecodeRuneInString(s)
		s = string(unicode.ToUpper(r)) + s[n:]
	}
	return s
}
