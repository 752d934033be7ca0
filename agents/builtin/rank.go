package builtin

import (
	"math"
	"path"
	"sort"
	"strings"
)

// Parameters of BM25 as commonly used, and the weight of a term in the headings above a passage, which counts as
// that many occurrences in it.
const (
	bm25K1        = 1.2
	bm25B         = 0.75
	headingWeight = 0.8
)

// How far each further consideration goes when notes are chosen.
const (
	leadBonus      = 1.15 // first passage below a heading
	introBonus     = 1.4  // below a document's title, when the question is what is central
	recordMalus    = 0.5  // in a change log or licence, when the question is what is central
	redundancy     = 0.35 // for likeness to a note already taken
	sameFile       = 0.06 // for each note taken from the same file
	sameSection    = 0.10 // for each note taken from the same section
	tooAlike       = 0.75 // never taken
	worthTaking    = 0.22 // of the best score
	poolSize       = 240  // passages whose sentences are looked at
	keepFound      = 4096 // passages kept while reading, when there are many more
	aspectStrength = 0.25 // weight of an aspect's word, of the mean weight
)

// query is what to look for: the index of each term by stem, in each language.
type query struct {
	weights []float64
	asked   int // terms below this index are the topic's own, the others aspects
	stems   [2]map[string]int
	cache   [2]map[string]int // by word as written; -1 is no term
}

func newQuery(terms []Term, aspects []string) *query {
	q := &query{asked: len(terms)}
	for lang := range q.stems {
		q.stems[lang] = make(map[string]int)
		q.cache[lang] = make(map[string]int)
	}
	var sum float64
	for _, t := range terms {
		w := t.Weight
		if !(w > 0) || w > 1e6 {
			w = 0
		}
		sum += w
		q.add(t.Word, w)
	}
	for _, a := range aspects {
		q.add(a, aspectStrength*sum/float64(max(1, len(terms))))
	}
	return q
}

func (q *query) add(word string, weight float64) {
	for lang := range q.stems {
		st := stem(language(lang), lower(word))
		if _, ok := q.stems[lang][st]; !ok {
			q.stems[lang][st] = len(q.weights)
		}
	}
	q.weights = append(q.weights, weight)
}

// term returns the index of the term that word stands for, or -1.
func (q *query) term(lang language, word string) int {
	i, ok := q.cache[lang][word]
	if !ok {
		i = -1
		if ti, ok := q.stems[lang][stem(lang, word)]; ok {
			i = ti
		}
		if len(q.cache[lang]) < 1<<17 {
			q.cache[lang][word] = i
		}
	}
	return i
}

// candidate is a passage with at least one term of the topic in it.
type candidate struct {
	p     *passage
	words int
	hits  []hit
	score float64
}

type hit struct {
	term  int
	count float64
}

// ranking gathers candidates from documents.
type ranking struct {
	q        *query
	general  bool // the topic names nothing: what is central to the collection
	found    []*candidate
	passages int
	words    int
}

// add reads one document.
func (r *ranking) add(d *document) {
	counts := make([]float64, len(r.q.weights))
	var section []string
	inSection := make([]bool, len(r.q.weights))
	split(d, func(p *passage) {
		if len(section) != len(p.section) || len(section) > 0 && &section[0] != &p.section[0] {
			section = p.section
			clear(inSection)
			for _, title := range section {
				eachWord(title, func(w string) {
					if t := r.q.term(d.lang, w); t >= 0 {
						inSection[t] = true
					}
				})
			}
		}
		clear(counts)
		c := &candidate{p: p}
		asked := false
		eachWord(p.text, func(w string) {
			c.words++
			if t := r.q.term(d.lang, w); t >= 0 {
				counts[t]++
				asked = asked || t < r.q.asked
			}
		})
		r.passages++
		r.words += c.words
		if !asked || c.words < quoteWords {
			return
		}
		for t, n := range counts {
			if inSection[t] {
				n += headingWeight
			}
			if n > 0 {
				c.hits = append(c.hits, hit{t, n})
			}
		}
		r.found = append(r.found, c)
	})
	if len(r.found) > 4*keepFound {
		r.found = append([]*candidate(nil), r.best(keepFound)...)
	}
}

// best scores all candidates and returns the n most promising, best first.
func (r *ranking) best(n int) []*candidate {
	mean := float64(r.words) / float64(max(1, r.passages))
	for _, c := range r.found {
		c.score = 0
		norm := bm25K1 * (1 - bm25B + bm25B*float64(c.words)/math.Max(mean, 1))
		for _, h := range c.hits {
			c.score += float64(r.q.weights[h.term] * h.count * (bm25K1 + 1) / (h.count + norm))
		}
		if c.p.lead {
			c.score *= leadBonus
		}
		if r.general && len(c.p.section) <= 1 {
			c.score *= introBonus
		}
		if r.general && records(c.p.doc.path) {
			c.score *= recordMalus
		}
		c.score = round4(c.score)
	}
	sort.SliceStable(r.found, func(i, j int) bool { return r.found[i].score > r.found[j].score })
	return r.found[:min(n, len(r.found))]
}

// records reports whether a document by its name records changes or terms rather than describing something.
func records(p string) bool {
	name := strings.ToLower(path.Base(p))
	for _, s := range []string{"change", "license", "licence", "history", "releases", "code_of_conduct"} {
		if strings.HasPrefix(name, s) {
			return true
		}
	}
	return false
}

// choose takes up to n of the notes, best first, each next one for its score less its likeness to those taken.
func choose(notes []scored, n int) []scored {
	var top float64
	for _, s := range notes {
		top = math.Max(top, s.note.Score)
	}
	var taken []scored
	left := append([]scored(nil), notes...)
	for len(taken) < n {
		best, bestValue := -1, 0.0
		for i, s := range left {
			value := s.note.Score / top
			if value < worthTaking {
				continue
			}
			alike := 0.0
			for _, t := range taken {
				alike = math.Max(alike, likeness(s.stems, t.stems))
				if s.note.File == t.note.File {
					value -= sameFile
					if equal(s.note.Section, t.note.Section) {
						value -= sameSection
					}
				}
			}
			value -= redundancy * alike
			if value = round4(value); alike < tooAlike && (best < 0 || value > bestValue) {
				best, bestValue = i, value
			}
		}
		if best < 0 {
			break
		}
		taken = append(taken, left[best])
		left = append(left[:best], left[best+1:]...)
	}
	return taken
}

// likeness is the cosine of two sets of stems.
func likeness(a, b map[string]bool) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	if len(b) < len(a) {
		a, b = b, a
	}
	n := 0
	for w := range a {
		if b[w] {
			n++
		}
	}
	return float64(n) / math.Sqrt(float64(len(a)*len(b)))
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
