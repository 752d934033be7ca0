package builtin

import (
	"fmt"
	"path"
	"strings"
)

// Version of the JSON of Task and Notes.
const Version = 1

const (
	maxParts  = 16
	nameFiles = 10 // files named in an assignment's text; the parameters list all
)

// Assignment is the work of one researcher: the words for a task card, and the parameters.
type Assignment struct {
	Title string // one line, at most 100 characters
	Body  string // Markdown
	Task  Task
}

// Task is what a researcher is asked. Only Topic is required of a task written by hand, and it may be empty too:
// the question is then what is central to the collection.
type Task struct {
	Version int      `json:"version"`
	Topic   string   `json:"topic"`
	Part    int      `json:"part"`              // 1..Parts
	Parts   int      `json:"parts"`             //
	Files   []string `json:"files"`             // empty: all documents of the corpus
	Terms   []Term   `json:"terms,omitempty"`   // empty: taken from the topic and the files
	Aspects []string `json:"aspects,omitempty"` // words that set these files off from the others
	Notes   int      `json:"notes,omitempty"`   // most notes wanted; 0 means DefaultNotes
}

// Term is a word to look for.
type Term struct {
	Word   string  `json:"word"`
	Weight float64 `json:"weight"`
}

// Plan divides the documents of c among at most n researchers, by size and keeping neighbours together, and gives
// all of them the same terms and weights so that their scores compare. There is always at least one assignment,
// even for an empty corpus, and none without documents otherwise.
func Plan(topic string, c *Corpus, n int) []Assignment {
	topic = shorten(visible(topic), topicRunes)
	groups := divide(c.docs, max(1, min(n, len(c.docs), maxParts)))
	var partOf []int
	for part, g := range groups {
		for range g {
			partOf = append(partOf, part)
		}
	}
	counts := takeCensus(c.docs, func(i int) int { return partOf[i] }, len(groups))
	terms := counts.terms(topic)
	out := make([]Assignment, len(groups))
	for i, g := range groups {
		t := Task{Version: Version, Topic: topic, Part: i + 1, Parts: len(groups), Files: []string{}, Terms: terms}
		for _, d := range g {
			t.Files = append(t.Files, d.path)
		}
		if len(groups) > 1 {
			t.Aspects = counts.aspects(i, terms)
		}
		out[i] = Assignment{Title: t.title(), Body: t.body(), Task: t}
	}
	return out
}

// topicRunes bounds a topic.
const topicRunes = 300

// divide cuts docs into n runs of about equal size, none empty unless docs is.
func divide(docs []*document, n int) [][]*document {
	var total, sum int
	for _, d := range docs {
		total += len(d.text) + 1
	}
	out := make([][]*document, n)
	part := 0
	for i, d := range docs {
		middle := sum + (len(d.text)+1)/2
		mustMove := len(docs)-i <= n-1-part // as many documents left as parts without any
		if len(out[part]) > 0 && part < n-1 && (mustMove || middle*n >= total*(part+1)) {
			part++
		}
		out[part] = append(out[part], d)
		sum += len(d.text) + 1
	}
	return out
}

func (t Task) title() string {
	s := "Research: " + subject(t.Topic)
	if t.Parts > 1 {
		s = fmt.Sprintf("Research %d of %d: %s", t.Part, t.Parts, subject(t.Topic))
	}
	return shorten(s, 100)
}

func (t Task) body() string {
	var b strings.Builder
	if t.Topic == "" {
		b.WriteString("Find out what is central to these documents, and quote it.\n")
	} else {
		fmt.Fprintf(&b, "Find what these documents say on: %s\n", escape(t.Topic))
	}
	fmt.Fprintf(&b, "\nRead %s", count(len(t.Files), "document"))
	if t.Parts > 1 {
		fmt.Fprintf(&b, ", part %d of %d", t.Part, t.Parts)
	}
	b.WriteString(":\n\n")
	for i, f := range t.Files {
		if i == nameFiles && len(t.Files) > nameFiles+1 {
			fmt.Fprintf(&b, "- and %d more, to %s\n", len(t.Files)-i, escape(placePath(t.Files[len(t.Files)-1])))
			break
		}
		fmt.Fprintf(&b, "- %s\n", escapeOpening(placePath(f)))
	}
	if len(t.Terms) > 0 {
		fmt.Fprintf(&b, "\nLook for: %s.\n", escape(wordList(t.Terms)))
	}
	if len(t.Aspects) > 0 {
		fmt.Fprintf(&b, "These documents speak more than the others of: %s.\n", escape(strings.Join(t.Aspects, ", ")))
	}
	b.WriteString("\nQuote word for word, with file and line for each quote. Report nothing that no document says.\n")
	return b.String()
}

// subject names a topic in a title.
func subject(topic string) string {
	if topic == "" {
		return "what is central"
	}
	return topic
}

func wordList(terms []Term) string {
	words := make([]string, len(terms))
	for i, t := range terms {
		words[i] = t.Word
	}
	return strings.Join(words, ", ")
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// displayName is what to call a document: its title or else its name.
func displayName(title, p string) string {
	if title != "" {
		return title
	}
	return visible(path.Base(p))
}
