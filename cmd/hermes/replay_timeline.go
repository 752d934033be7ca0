package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// timeline prints events as lines under days, and counts them.
type timeline struct {
	x     *call
	board string
	wide  int // digits of the highest position
	where *time.Location

	day      string
	events   int
	runs     int
	cost     int64
	currency string
	answers  int // by persons
	refused  int
}

// whoWide is the width of the column that says who.
const whoWide = 16

// tell prints one event.
func (l *timeline) tell(e events.Entry, r events.Record) error {
	entry := projections.Entry{Record: r}
	if e.Text != nil {
		text, err := events.DecodeText(e.Text)
		if err != nil {
			return err
		}
		entry.Fields = &text.Fields
	}
	l.count(&r)
	at := r.Time.Time().In(l.where)
	if day := at.Format("Monday 2 January 2006"); day != l.day {
		l.day = day
		fmt.Fprintln(l.x.Stdout, day)
	}
	w := projections.Words(entry)
	who := line(w.Who)
	if w.Indent {
		who = "  " + who
	}
	who = cut(who, whoWide)
	text := line(w.What)
	if w.Aside != "" {
		text += "   " + line(w.Aside)
	}
	_, err := fmt.Fprintf(l.x.Stdout, "%s  %*d  %s%s  %s\n", at.Format(time.TimeOnly), l.wide, r.Seq, who, strings.Repeat(" ", whoWide-runes(who)), text)
	indent := strings.Repeat(" ", len("15:04:05")+2+l.wide+2+whoWide+2)
	for _, more := range w.More {
		if _, err := fmt.Fprintf(l.x.Stdout, "%s%s\n", indent, line(more)); err != nil {
			return err
		}
	}
	return err
}

func (l *timeline) count(r *events.Record) {
	l.events++
	switch p := r.Data.(type) {
	case events.RunClaimed:
		l.runs++
	case events.RunEnded:
		l.cost += p.Usage.CostMicros
		if p.Usage.Currency != "" {
			l.currency = p.Usage.Currency
		}
	case events.TaskUnblocked:
		if r.Actor.Kind == events.Human {
			l.answers++
		}
	case events.CallRefused:
		l.refused += int(p.Count)
	}
}

// sum prints what it came to.
func (l *timeline) sum(hint bool) {
	if l.events == 0 {
		fmt.Fprintln(l.x.Stdout, "no events of that kind")
		return
	}
	text := fmt.Sprintf("%s, %s, %s, %s by persons, %s", plural(l.events, "event", "events"), plural(l.runs, "run", "runs"),
		money(l.cost, l.currency), plural(l.answers, "answer", "answers"), plural(l.refused, "refused call", "refused calls"))
	if hint {
		text += "        hermes board verify " + l.board
	}
	fmt.Fprintf(l.x.Stdout, "\n%s\n", text)
}
