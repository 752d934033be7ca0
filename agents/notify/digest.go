package notify

import (
	"fmt"
	"strings"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Digest says how boards stand, and what happened on them since the last one.
type Digest struct {
	Since, Until string // local times of day, for example "Mon 07:30"
	Boards       []BoardDigest
	Up, Gateways int // gateways that run, of those that should; 0 = not said
}

// BoardDigest is one board of a digest.
type BoardDigest struct {
	Board, Name  string
	Done, Failed int
	GaveUp       []events.TaskID
	Waiting      int             // things that wait for a person
	Waits        []events.TaskID // the tasks among them
	Micros       int64           // what the runs that ended cost
	Budget       int64           // for a day, in millionths; 0 = none
	Currency     string
	Head         events.Head
	Unread       bool // it could not be opened, so all the rest is not known
}

func (d *Digest) headline() string {
	return fmt.Sprintf("Good morning. %s to %s, %s", d.Since, d.Until, counted(len(d.Boards), "board"))
}

func (d *Digest) lines() []string {
	var lines, heads []string
	var micros, budget int64
	alike, currency := true, ""
	for i := range d.Boards {
		b := &d.Boards[i]
		lines = append(lines, b.Name+": "+b.sentence())
		if b.Unread {
			continue
		}
		heads = append(heads, fmt.Sprintf("%s %d %.8s", b.Board, b.Head.Seq, b.Head.Root))
		micros, budget = micros+b.Micros, budget+b.Budget
		if currency == "" {
			currency = b.Currency
		}
		alike = alike && b.Currency == currency
	}
	var sums []string
	if alike && len(heads) > 0 {
		sum := projections.Money(micros, currency)
		if budget > 0 {
			sum += " of " + projections.Money(budget, currency) + " a day"
		}
		sums = append(sums, sum+".")
	}
	if d.Gateways > 0 {
		sums = append(sums, fmt.Sprintf("Gateways %d of %d up.", d.Up, d.Gateways))
	}
	if len(sums) > 0 {
		lines = append(lines, strings.Join(sums, " "))
	}
	return append(lines, "Heads: "+strings.Join(heads, " · "))
}

func (b *BoardDigest) sentence() string {
	if b.Unread {
		return "cannot be read"
	}
	var parts []string
	say := func(n int, what string, tasks []events.TaskID) {
		if n == 0 {
			return
		}
		s := fmt.Sprintf("%d %s", n, what)
		if len(tasks) > 0 {
			more := ""
			if len(tasks) > 5 {
				tasks, more = tasks[:5], ", …"
			}
			words := make([]string, len(tasks))
			for i, t := range tasks {
				words[i] = t.String()
			}
			s += " (" + strings.Join(words, ", ") + more + ")"
		}
		parts = append(parts, s)
	}
	needs := "need you"
	if b.Waiting == 1 {
		needs = "needs you"
	}
	say(b.Done, "done", nil)
	say(b.Failed, "failed", nil)
	say(b.Waiting, needs, b.Waits)
	say(len(b.GaveUp), "gave up", b.GaveUp)
	if b.Micros > 0 {
		parts = append(parts, projections.Money(b.Micros, b.Currency))
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// count adds what an event says to the digest of its board.
func (b *BoardDigest) count(r *events.Record) {
	switch p := r.Data.(type) {
	case events.TaskCompleted:
		switch p.Verdict {
		case events.Pass:
			b.Done++
		case events.Fail:
			b.Failed++
		}
	case events.TaskApproved:
		b.Done++
	case events.TaskBlocked:
		if p.Kind == events.BlockGaveUp {
			b.GaveUp = append(b.GaveUp, r.Task)
		}
	case events.RunEnded:
		if c := p.Usage.Currency; c == "" || c == b.Currency {
			b.Micros += p.Usage.CostMicros
		}
	}
}
