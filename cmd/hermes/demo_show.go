package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/recipe"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// ownTopic is the question about the documents of this program.
const ownTopic = "What happens when the gateway is killed or the disk is full?"

// tasks is what the demonstration begins with: the recipe research.
func (d *demo) tasks() ([]boards.NewTask, error) {
	r, err := recipe.Load(nil, "research")
	if err != nil {
		return nil, err
	}
	topic := d.topic
	switch {
	case topic == "" && d.str("input") == "":
		topic = ownTopic
	case topic == "":
		topic = "these documents" // which the researchers read as: what is central to them
	}
	return r.Expand(recipe.Inputs{"topic": topic, "team": "researcher-a,researcher-b"})
}

// progress shows how far the pipeline is: a small board that redraws itself on
// a terminal, one line for each change otherwise.
type progress struct {
	d     *demo
	lines int // drawn and to be overdrawn
	last  map[events.TaskID]string
	drawn string
}

func newProgress(d *demo) *progress { return &progress{d: d, last: make(map[events.TaskID]string)} }

func (p *progress) update(cards []projections.Card) {
	switch {
	case p.d.json():
	case p.d.Terminal:
		p.draw(cards)
	default:
		p.print(cards)
	}
}

// print says what changed, one line a change.
func (p *progress) print(cards []projections.Card) {
	for _, c := range cards {
		state := c.Status.String()
		if c.Verdict != 0 {
			state += ": " + c.Verdict.String()
		}
		if p.last[c.ID] == state {
			continue
		}
		p.last[c.ID] = state
		fmt.Fprintf(p.d.Stdout, "%6s  %s %-13s %-14s %s\n", short(time.Since(p.d.started)), c.ID, c.Assignee, state, line(c.Title))
	}
}

// draw redraws the board in place.
func (p *progress) draw(cards []projections.Card) {
	columns := [3][]string{}
	waits := ""
	for _, c := range cards {
		switch {
		case c.Status == events.Done:
			columns[2] = append(columns[2], fmt.Sprintf("%s %s  %s", c.ID, c.Assignee, c.Verdict))
		case c.Run != nil:
			text := fmt.Sprintf("%s %s  %s", c.ID, c.Assignee, short(time.Since(c.Run.Claimed.Time())))
			if c.Run.Total > 0 {
				text += fmt.Sprintf("  %d/%d", c.Run.Done, c.Run.Total)
			}
			columns[1] = append(columns[1], text)
		default:
			columns[0] = append(columns[0], fmt.Sprintf("%s %s", c.ID, c.Assignee))
			if c.Hold != nil && len(c.Hold.Tasks) > 0 {
				waits = fmt.Sprintf("%s waits for %s", c.ID, ids(c.Hold.Tasks))
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n  %-24s %-34s %s\n", "TODO", "RUNNING", "DONE")
	for i := range max(len(columns[0]), len(columns[1]), len(columns[2]), 3) {
		cell := func(col int) string {
			if i < len(columns[col]) {
				return columns[col][i]
			}
			return ""
		}
		fmt.Fprintf(&b, "  %-24s %-34s %s\n", cut(cell(0), 24), cut(cell(1), 34), cell(2))
	}
	fmt.Fprintf(&b, "  %s\n", waits)
	if b.String() == p.drawn {
		return
	}
	if p.lines > 0 {
		fmt.Fprintf(p.d.Stdout, "\x1b[%dA\x1b[J", p.lines)
	}
	p.drawn, p.lines = b.String(), strings.Count(b.String(), "\n")
	fmt.Fprint(p.d.Stdout, p.drawn)
}

func (p *progress) end() {
	if p.d.Terminal && !p.d.json() {
		fmt.Fprintln(p.d.Stdout)
	}
}

// conclude says where the result is, what was checked, what happened, and what
// to type next.
func (d *demo) conclude(ctx context.Context, res demoResult) error {
	w := d.Stdout
	brief, err := os.ReadFile(res.Deliverable)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nResult        %s   (%d words, %s)\n", res.Deliverable, len(strings.Fields(string(brief))), plural(res.report.Total, "citation", "citations"))
	for i, c := range res.report.Citations {
		if i == 3 {
			break
		}
		fmt.Fprintln(w, d.fit(fmt.Sprintf("  [%d] %s   %q", c.Ref, line(c.Place()), line(c.Quote))))
	}
	fmt.Fprintf(w, "Checked       %s\n", res.report)
	for _, p := range res.report.Problems {
		fmt.Fprintf(w, "  line %d: %s: %s\n", p.Line, line(p.Text), line(p.Why))
	}
	fmt.Fprintf(w, "Verified      %s\n", res.verify.words())

	fmt.Fprint(w, "\nWhat happened\n")
	if err := d.history(ctx); err != nil {
		return err
	}
	exe := "hermes"
	if path, err := os.Executable(); err == nil && strings.Contains(path, "go-build") {
		exe = "go run ./cmd/hermes"
	}
	fmt.Fprintf(w, "\nDone in %s. Next\n", short(time.Since(d.started)))
	fmt.Fprintf(w, "  %s --home %s kanban list --board %s\n", exe, d.home.Dir(), demoBoard)
	fmt.Fprintf(w, "  %s --home %s board replay %s\n", exe, d.home.Dir(), demoBoard)
	fmt.Fprintf(w, "  %s --home %s board verify %s\n", exe, d.home.Dir(), demoBoard)
	return nil
}

// history tells the pipeline's story from its log.
func (d *demo) history(ctx context.Context) error {
	b, err := reach(ctx, d.home, demoBoard, d.ownerOptions(d.home))
	if err != nil {
		return err
	}
	defer b.Close()
	return readAll(ctx, readerOf(b), 1, 0, d.tell)
}

// tell prints an event, if it is one of those that make the story.
func (d *demo) tell(e events.Entry) error {
	r, err := events.Decode(e.Record)
	if err != nil || r.Time < events.TimeOf(d.started) || !tells(r) {
		return err
	}
	entry := projections.Entry{Record: r}
	if e.Text != nil {
		text, err := events.DecodeText(e.Text)
		if err != nil {
			return err
		}
		entry.Fields = &text.Fields
	}
	words := projections.Words(entry)
	who := words.Who
	if words.Indent {
		who = "  " + who
	}
	_, err = fmt.Fprintln(d.Stdout, d.fit(fmt.Sprintf("  %s   %-16s %s", r.Time.Time().Local().Format("15:04:05"), line2(who), line(words.What))))
	return err
}

// fit cuts a line to the terminal, or to a readable width elsewhere.
func (d *demo) fit(s string) string {
	if d.Width > 0 {
		return cut(s, d.Width)
	}
	return cut(s, 140)
}

// tells picks the events that make the story.
func tells(r events.Record) bool {
	switch r.Data.(type) {
	case events.TaskCreated, events.RunClaimed, events.TaskCompleted, events.TaskBlocked:
		return true
	}
	return false
}

// line2 is line, leading blanks kept.
func line2(s string) string {
	trimmed := strings.TrimLeft(s, " ")
	return strings.Repeat(" ", len(s)-len(trimmed)) + line(trimmed)
}
