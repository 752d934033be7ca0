package builtin

import (
	"math"
	"sort"
	"strings"
)

// census counts the topical words of documents by stem.
type census struct {
	words    map[langWord]*wordCount
	stems    map[string]*stemCount
	passages int
	files    int
	parts    []int // topical words of each part
}

// censusWords bounds the different words counted: hostile text can be full of them.
const censusWords = 1 << 20

type langWord struct {
	lang language
	word string
}

// wordCount counts one written form.
type wordCount struct {
	stem *stemCount // nil for a word that is not topical
	n    int
}

// stemCount counts all forms of a word.
type stemCount struct {
	n        int
	passages int
	files    int
	headings int
	parts    []int

	lastPassage, lastFile int // for counting each passage and file once

	word  string // most frequent form
	wordN int
}

// takeCensus counts docs; partOf gives the part of each document, below parts.
func takeCensus(docs []*document, partOf func(i int) int, parts int) *census {
	c := &census{words: make(map[langWord]*wordCount), stems: make(map[string]*stemCount), parts: make([]int, parts)}
	for i, d := range docs {
		c.add(d, partOf(i))
	}
	for k, w := range c.words {
		// The most frequent form, the first by alphabet among equals: no dependence on the order of the map.
		if s := w.stem; s != nil && (w.n > s.wordN || w.n == s.wordN && k.word < s.word) {
			s.word, s.wordN = k.word, w.n
		}
	}
	return c
}

func (c *census) add(d *document, part int) {
	c.files++
	heading := ""
	split(d, func(p *passage) {
		c.passages++
		if n := len(p.section); n > 0 && p.lead && p.section[n-1] != heading {
			heading = p.section[n-1]
			eachWord(heading, func(w string) {
				if s := c.word(d.lang, w).stem; s != nil {
					s.headings++
				}
			})
		}
		eachWord(p.text, func(w string) {
			wc := c.word(d.lang, w)
			s := wc.stem
			if s == nil {
				return
			}
			wc.n++
			s.n++
			s.parts[part]++
			c.parts[part]++
			if s.lastPassage != c.passages {
				s.lastPassage = c.passages
				s.passages++
			}
			if s.lastFile != c.files {
				s.lastFile = c.files
				s.files++
			}
		})
	})
}

func (c *census) word(lang language, w string) *wordCount {
	key := langWord{lang, w}
	wc := c.words[key]
	if wc == nil && len(c.words) >= censusWords {
		return &wordCount{}
	}
	if wc == nil {
		key.word = strings.Clone(w) // w may be a part of a large text
		wc = &wordCount{}
		if topical(w) {
			st := stem(lang, key.word)
			if wc.stem = c.stems[st]; wc.stem == nil {
				wc.stem = &stemCount{parts: make([]int, len(c.parts))}
				c.stems[st] = wc.stem
			}
		}
		c.words[key] = wc
	}
	return wc
}

// terms returns the words to look for on a topic with their weights: the inverse document frequency of the
// topic's own words, or the most central words of the collection when the topic names none.
func (c *census) terms(topic string) []Term {
	words := topicWords(topic)
	if len(words) == 0 {
		return c.central(centralTerms)
	}
	out := make([]Term, 0, len(words))
	for _, w := range words {
		n := 0
		for _, lang := range []language{english, german} {
			if s := c.stems[stem(lang, w)]; s != nil {
				n = max(n, s.passages)
			}
		}
		idf := math.Log(1 + (float64(c.passages-n)+0.5)/(float64(n)+0.5))
		out = append(out, Term{w, round4(math.Max(idf, 0.05))}) // a word of every passage still counts a little
	}
	return out
}

const (
	centralTerms = 12
	aspectTerms  = 4
)

// central returns the k words that many documents share and that headings use.
func (c *census) central(k int) []Term {
	return c.best(k, func(s *stemCount) float64 {
		if s.n < 2 && c.passages > 10 {
			return 0
		}
		spread := float64(s.files) / float64(c.files)
		heads := 1 + 0.5*math.Log1p(float64(s.headings))
		rare := math.Log(1 + float64(c.passages)/float64(s.passages))
		return spread * heads * math.Log1p(float64(s.n)) * math.Sqrt(rare)
	})
}

// aspects returns words that set one part off from the whole.
func (c *census) aspects(part int, besides []Term) []string {
	skip := make(map[*stemCount]bool)
	for _, t := range besides {
		for _, lang := range []language{english, german} {
			skip[c.stems[stem(lang, t.Word)]] = true
		}
	}
	var all int
	for _, n := range c.parts {
		all += n
	}
	var out []string
	for _, t := range c.best(aspectTerms, func(s *stemCount) float64 {
		here := float64(s.parts[part])
		if skip[s] || here < 2 {
			return 0
		}
		expected := float64(s.n) * float64(c.parts[part]) / float64(all)
		if here < 1.2*expected {
			return 0
		}
		return here * math.Log(here/expected) * (1 + math.Log1p(float64(s.headings)))
	}) {
		out = append(out, t.Word)
	}
	return out
}

// best returns the k words with the highest positive score.
func (c *census) best(k int, score func(*stemCount) float64) []Term {
	byWord := make(map[string]float64)
	for _, s := range c.stems {
		if s.wordN == 0 || len(s.word) < 3 || collectionWords()[s.word] || strings.ContainsAny(s.word, "0123456789") {
			continue
		}
		// Two languages may stem one word differently: the better score counts.
		if v := round4(score(s)); v > byWord[s.word] {
			byWord[s.word] = v
		}
	}
	out := make([]Term, 0, len(byWord))
	for w, v := range byWord {
		out = append(out, Term{w, v})
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Weight != out[j].Weight {
			return out[i].Weight > out[j].Weight
		}
		return out[i].Word < out[j].Word
	})
	return out[:min(k, len(out))]
}

// round4 keeps scores equal on machines whose floating point differs in the last bits.
func round4(f float64) float64 { return math.Round(f*1e4) / 1e4 }
