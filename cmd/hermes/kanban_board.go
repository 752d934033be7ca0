package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// doneShown is how many of the tasks done in the last day a table shows, the
// latest first.
const doneShown = 5

// printBoard prints the head line of a board, the cards a query selects, and
// where to go from there.
func (x *call) printBoard(ctx context.Context, b api.Board, q projections.ListQuery, prefix string) error {
	info, err := b.Info(ctx)
	if err != nil {
		return err
	}
	stats, err := b.Stats(ctx)
	if err != nil {
		return err
	}
	policy, _, err := b.Policy(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	cards, err := shownCards(ctx, b, q, stats, now)
	if err != nil {
		return err
	}
	questions, err := questions(ctx, b, cards)
	if err != nil {
		return err
	}
	fmt.Fprintln(x.Stdout, headLine(info, stats, policy))
	if len(cards) > 0 {
		fmt.Fprintln(x.Stdout)
		rows := [][]string{{"ID", "STATUS", "PRI", "WHO", "FOR", "TITLE", "NOW"}}
		for _, c := range cards {
			rows = append(rows, []string{prefix + c.ID.String(), c.Status.String(), fmt.Sprint(c.Priority), dash(line(c.Assignee)),
				ago(now, c.Since), cut(line(c.Title), x.titleWidth()), doing(c, questions, now)})
		}
		if x.narrow() {
			for i, r := range rows {
				rows[i] = []string{r[0], r[1], r[5], r[6]}
			}
		}
		table(x.Stdout, x.Width, rows)
	}
	fmt.Fprintf(x.Stdout, "\n%s\n", x.footer(stats, len(cards), prefix != ""))
	x.sayNoDispatcher(info)
	return nil
}

// shownCards are the cards of a table: those of the query, of what is done
// only the latest of the last day unless the query asks for it.
func shownCards(ctx context.Context, b api.Board, q projections.ListQuery, stats projections.Stats, now time.Time) ([]projections.Card, error) {
	if len(q.Statuses) > 0 || q.Archived {
		return b.List(ctx, q)
	}
	for _, s := range events.Statuses() {
		if s != events.Done && s != events.Archived {
			q.Statuses = append(q.Statuses, s)
		}
	}
	cards, err := b.List(ctx, q)
	if err != nil || stats.Done24h == 0 || q.Limit > 0 && len(cards) == q.Limit {
		return cards, err
	}
	q.Statuses, q.Sort, q.Holds = []events.Status{events.Done}, "updated", false
	if q.Limit == 0 || q.Limit-len(cards) > doneShown {
		q.Limit = doneShown
	} else {
		q.Limit -= len(cards)
	}
	done, err := b.List(ctx, q)
	for _, c := range done {
		if now.Sub(c.Since.Time()) < 24*time.Hour {
			cards = append(cards, c)
		}
	}
	return cards, err
}

// questions returns what waits for a person, by task, if any of the cards does.
func questions(ctx context.Context, b api.Board, cards []projections.Card) (map[events.TaskID]projections.InboxItem, error) {
	asked := make(map[events.TaskID]projections.InboxItem)
	for _, c := range cards {
		if c.Status != events.Blocked && c.Status != events.Review {
			continue
		}
		items, err := b.Inbox(ctx)
		for _, item := range items {
			asked[item.Task] = item
		}
		return asked, err
	}
	return asked, nil
}

// footer says what a table leaves out and where to go from there.
func (x *call) footer(s projections.Stats, shown int, all bool) string {
	var words []string
	if shown == 0 {
		words = append(words, "no tasks; make one: hermes kanban create TITLE")
	}
	if s.Done24h > 0 {
		words = append(words, fmt.Sprintf("%d done today: hermes kanban list --status done", s.Done24h))
	}
	if s.NeedsYou > 0 {
		words = append(words, "What needs me: hermes inbox")
	}
	if !all {
		words = append(words, "All boards: hermes kanban list -A")
	}
	return strings.Join(words, "      ")
}

// narrow reports whether a terminal has no room for all columns of a table.
func (x *call) narrow() bool { return x.Width > 0 && x.Width < 90 }

// titleWidth is how much of a title fits beside the rest.
func (x *call) titleWidth() int {
	switch {
	case x.Width == 0 || x.Width > 120:
		return 40
	case x.narrow():
		return max(12, x.Width/4)
	}
	return x.Width / 3
}

// doing says what a card does at the moment, or what it waits for.
func doing(c projections.Card, asked map[events.TaskID]projections.InboxItem, now time.Time) string {
	item, needsYou := asked[c.ID]
	switch {
	case needsYou && item.Kind == "review":
		return "NEEDS YOU: review " + dash(line(item.Question))
	case needsYou && asksQuestion(item):
		return "NEEDS YOU: " + line(item.Question)
	case needsYou && c.Hold != nil:
		return "NEEDS YOU: " + line(c.Hold.Detail)
	case c.Hold != nil && c.Hold.Reason == "claimed":
		return "claimed by " + line(c.Run.Agent)
	case c.Run != nil || c.Verdict != 0:
		return nowWords(c, now)
	case c.Status == events.Scheduled && c.Hold != nil && c.Hold.Until != 0:
		return "waits: until " + clock(c.Hold.Until)
	}
	words, waits := strings.CutPrefix(nowWords(c, now), "waits for ")
	if waits || words != "" && (c.Status == events.Ready || c.Status == events.Review || c.Status == events.Todo) {
		words = "waits: " + words
	}
	if c.Hold != nil && c.Hold.Until != 0 {
		words += ", until " + clock(c.Hold.Until)
	}
	return words
}

// asksQuestion reports whether the words of an item say more than what holds its task.
func asksQuestion(item projections.InboxItem) bool {
	return item.Question != "" && item.Kind != "gave_up" && item.Kind != "loop"
}

// headLine says in one line how a board is doing.
func headLine(info api.Info, s projections.Stats, p events.Policy) string {
	open := s.Tasks
	for _, c := range s.ByStatus {
		if c.Status == events.Done || c.Status == events.Archived {
			open -= c.Count
		}
	}
	limit := p.BoardCap
	if limit == 0 {
		limit = p.HostSlots
	}
	parts := []string{fmt.Sprintf("%d open", open), fmt.Sprintf("%d running (cap %d)", s.OpenRuns, limit)}
	if s.NeedsYou > 0 {
		parts = append(parts, plural(s.NeedsYou, "needs you", "need you"))
	}
	today := money(s.CostToday, p.Currency)
	if p.Budget.BoardDay > 0 {
		today += " of " + money(p.Budget.BoardDay, p.Currency)
	}
	parts = append(parts, today+" today")
	switch {
	case info.Paused && info.Drain:
		parts = append(parts, "draining")
	case info.Paused:
		parts = append(parts, "paused")
	}
	if info.Dispatcher != nil {
		parts = append(parts, "dispatcher up "+ago(time.Now(), info.Dispatcher.Since))
	}
	return info.Slug + "   " + strings.Join(parts, ", ")
}

// nowWords says what a card does at the moment.
func nowWords(c projections.Card, now time.Time) string {
	if c.Run != nil {
		text := fmt.Sprintf("attempt %d", c.Run.Run.N)
		if c.Run.Stopping {
			text += ", stopping"
		}
		if c.Run.Total > 0 {
			text += fmt.Sprintf(", %d/%d", c.Run.Done, c.Run.Total)
		}
		if c.Run.Note != "" {
			text += ", " + line(c.Run.Note)
		}
		if c.Run.LastSign != 0 {
			text += ", last sign " + ago(now, c.Run.LastSign) + " ago"
		}
		return text
	}
	if c.Verdict != 0 {
		return c.Verdict.String()
	}
	if c.Hold == nil || c.Hold.Reason == "start" {
		return ""
	}
	if c.Hold.Detail != "" {
		return line(c.Hold.Detail)
	}
	return c.Hold.Reason
}
