package agents

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Bounds of the text an agent starts from.
const (
	maxBody     = 8 << 10
	maxField    = 4 << 10
	maxComment  = 2 << 10
	maxComments = 30
	maxAttempts = 10
)

// Context renders a task as the bounded text that an agent starts from: the
// task, what its parents handed over, earlier attempts, comments and answers.
// Words of others are fenced and labelled; they are material, not orders.
// now is only used to say how old something is.
func Context(d projections.Detail, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Task %s: %s\n\n", d.ID, oneLine(d.Title))
	facts := []string{"status " + d.Status.String()}
	if d.Assignee != "" {
		facts = append(facts, "for "+d.Assignee)
	}
	if d.Tenant != "" {
		facts = append(facts, "tenant "+d.Tenant)
	}
	if d.MaxRuntime > 0 {
		facts = append(facts, fmt.Sprintf("at most %s", time.Duration(d.MaxRuntime)*time.Millisecond))
	}
	fmt.Fprintf(&b, "%s\n\n", strings.Join(facts, ", "))
	if d.Body != "" {
		fence(&b, "the task, in the words of "+d.CreatedBy.Name, d.Body, maxBody)
	}
	writeInputs(&b, d.Inputs, now)
	writeAttempts(&b, d.Runs)
	if d.Answer != nil {
		fence(&b, "the answer of "+d.Answer.By.Name+" to your question", d.Answer.Body, maxField)
	}
	if d.Findings != nil {
		fence(&b, "the findings of "+d.Findings.By.Name+"'s review", d.Findings.Body, maxField)
	}
	writeComments(&b, d.Comments, now)
	b.WriteString("End with one of: complete (pass or fail), request_review, block. Ending without a verdict counts as no work done.\n")
	return b.String()
}

func writeInputs(b *strings.Builder, inputs []projections.Handoff, now time.Time) {
	if len(inputs) == 0 {
		return
	}
	b.WriteString("## Handed over by the tasks before this one\n\n")
	for _, h := range inputs {
		fmt.Fprintf(b, "### %s: %s (%s by %s, %s ago; check what matters again)\n\n", h.Task, oneLine(h.Title), h.Verdict, h.Agent, age(now, h.Time))
		if h.Summary != "" {
			fence(b, "summary", h.Summary, maxField)
		}
		if h.Result != "" {
			fence(b, "result", h.Result, maxField)
		}
		if len(h.Metadata) > 0 {
			fence(b, "metadata", string(h.Metadata), maxField)
		}
		for _, a := range h.Artifacts {
			fmt.Fprintf(b, "file: $HERMES_INPUTS/%s/%s (%d bytes)\n", h.Task, oneLine(a.Name), a.Size)
		}
		b.WriteString("\n")
	}
}

func writeAttempts(b *strings.Builder, runs []projections.RunRow) {
	var ended []projections.RunRow
	for _, r := range runs {
		if r.Outcome != 0 {
			ended = append(ended, r)
		}
	}
	if len(ended) == 0 {
		return
	}
	b.WriteString("## Earlier attempts\n\n")
	if n := len(ended) - maxAttempts; n > 0 {
		fmt.Fprintf(b, "%d older ones are left out.\n\n", n)
		ended = ended[n:]
	}
	for _, r := range ended {
		fmt.Fprintf(b, "### %s by %s: %s\n\n", r.Run, r.Agent, r.Outcome)
		if r.Summary != "" {
			fence(b, "summary", r.Summary, maxField)
		}
		if r.Evidence != "" {
			fence(b, "end of its output", r.Evidence, maxField)
		}
	}
}

func writeComments(b *strings.Builder, comments []projections.CommentRow, now time.Time) {
	if len(comments) == 0 {
		return
	}
	b.WriteString("## Comments\n\n")
	if n := len(comments) - maxComments; n > 0 {
		fmt.Fprintf(b, "%d older ones are left out.\n\n", n)
		comments = comments[n:]
	}
	for _, c := range comments {
		kind := "comment from " + c.By.Name
		if c.By.Kind == events.Worker {
			kind = "comment from worker " + c.By.Name
		}
		fence(b, fmt.Sprintf("%s, %s ago", kind, age(now, c.Time)), c.Body, maxComment)
	}
}

// fence writes others' words between lines that those words cannot contain.
func fence(b *strings.Builder, label, text string, limit int) {
	cut := ""
	if len(text) > limit {
		n := limit
		for n > 0 && text[n]&0xC0 == 0x80 {
			n--
		}
		cut = fmt.Sprintf("\n[%d more bytes left out]", len(text)-n)
		text = text[:n]
	}
	mark := "```"
	for strings.Contains(text, mark) {
		mark += "`"
	}
	fmt.Fprintf(b, "%s (%s)\n%s%s\n%s\n\n", mark, oneLine(label), plain(text), cut, mark)
}

// plain drops control characters except line breaks and tabs.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, s)
}

func oneLine(s string) string { return strings.Join(strings.Fields(plain(s)), " ") }

func age(now time.Time, t events.Time) string {
	d := now.Sub(t.Time())
	switch {
	case d < time.Minute:
		return "less than a minute"
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
