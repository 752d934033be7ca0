package projections

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/events"
)

// List returns the cards a query selects, in its order, without their prose.
// hold says what a card waits for and is asked only if the query wants it and
// hold is not nil. For the order by title all cards are returned, and
// [FillCards] sorts and cuts them once the titles are known.
func (v *View) List(q ListQuery, hold func(events.TaskID) Hold) []Card {
	cards := []Card{}
	limit := q.Limit
	if q.Sort == "title" {
		limit = 0
	}
	for _, t := range v.selected(q, limit) {
		c := v.card(t)
		if q.Holds && hold != nil {
			h := hold(t.ID)
			c.Hold = &h
		}
		cards = append(cards, c)
	}
	return cards
}

// selected returns the tasks of a query in its order, at most limit; 0 = all.
func (v *View) selected(q ListQuery, limit int) []*Task {
	if len(q.Tasks) == 0 && (q.Sort == "" || strings.HasPrefix(q.Sort, "priority")) {
		return v.byPriority(q, limit)
	}
	var tasks []*Task
	if len(q.Tasks) > 0 {
		for _, id := range q.Tasks {
			if t := v.Task(id); t != nil && q.matches(t) && !slices.Contains(tasks, t) {
				tasks = append(tasks, t)
			}
		}
	} else {
		for id := events.TaskID(1); id <= v.last; id++ {
			if t := v.Task(id); t != nil && q.matches(t) {
				tasks = append(tasks, t)
			}
		}
	}
	slices.SortFunc(tasks, order(q.Sort))
	if limit > 0 && len(tasks) > limit {
		tasks = tasks[:limit]
	}
	return tasks
}

// byPriority takes the first tasks from the columns and looks at no more than it must.
func (v *View) byPriority(q ListQuery, limit int) []*Task {
	var m merge
	for _, s := range events.Statuses() {
		if q.wants(s) {
			m.add(&v.columns[s])
		}
	}
	m.start()
	var tasks []*Task
	for ; len(m) > 0 && (limit <= 0 || len(tasks) < limit); m.advance() {
		if t := v.Task(m[0].get().task); q.matches(t) {
			tasks = append(tasks, t)
		}
	}
	return tasks
}

// wants reports whether the query selects tasks of a status.
func (q *ListQuery) wants(s events.Status) bool {
	if len(q.Statuses) > 0 {
		return slices.Contains(q.Statuses, s)
	}
	return q.Archived || s != events.Archived
}

func (q *ListQuery) matches(t *Task) bool {
	return q.wants(t.Status) &&
		(len(q.Assignees) == 0 || slices.Contains(q.Assignees, t.Assignee)) &&
		(q.Tenant == nil || *q.Tenant == t.Tenant)
}

// order returns the comparison a sort word stands for; an unknown word is the
// default, by priority. Where tasks are alike the older goes first.
func order(sort string) func(a, b *Task) int {
	byID := func(a, b *Task) int { return cmp.Compare(a.ID, b.ID) }
	then := func(f func(a, b *Task) int) func(a, b *Task) int {
		return func(a, b *Task) int { return cmp.Or(f(a, b), byID(a, b)) }
	}
	switch sort {
	case "created":
		return byID
	case "created-desc":
		return func(a, b *Task) int { return byID(b, a) }
	case "status":
		return then(func(a, b *Task) int { return cmp.Compare(a.Status, b.Status) })
	case "assignee":
		return then(func(a, b *Task) int { return cmp.Compare(a.Assignee, b.Assignee) })
	case "updated":
		return then(func(a, b *Task) int { return cmp.Compare(b.Updated, a.Updated) })
	}
	return then(func(a, b *Task) int { return cmp.Compare(b.Priority, a.Priority) })
}

func (v *View) card(t *Task) Card {
	c := Card{
		ID: t.ID, Status: t.Status, Assignee: t.Assignee, Tenant: t.Tenant, Priority: t.Priority,
		Parents: make([]events.TaskID, len(t.Parents)), Verdict: t.Verdict,
		Since: t.Since, Created: t.Created, Updated: t.Updated, Attempts: t.Attempts,
		TitleAt: t.TitleAt,
	}
	for i, e := range t.Parents {
		c.Parents[i] = e.Parent
	}
	if t.Run != nil {
		row := t.Run.row()
		c.Run = &row
	}
	return c
}

// row returns what a query says about an open run.
func (r *Run) row() RunRow {
	return RunRow{
		Run: r.ID, Agent: r.Agent, Role: r.Role, Phase: r.Phase, Claimed: r.Claimed, Started: r.Started,
		Stopping: r.Stopping, Verdict: r.Verdict, Backend: r.Backend, Runtime: r.Runtime, Continues: r.Continues,
		LastSign: r.LastSign, Done: r.Done, Total: r.Total, Fence: r.Fence, PID: r.PID,
		NoteAt: r.NoteAt, VerdictAt: r.VerdictAt,
	}
}

// OpenRunRows returns the open runs in the order of their claims.
func (v *View) OpenRunRows() []RunRow {
	rows := []RunRow{}
	for _, r := range v.OpenRuns() {
		rows = append(rows, r.row())
	}
	return rows
}

// CardTexts returns the positions whose texts [FillCards] needs, ascending.
func CardTexts(cards []Card) []uint64 {
	seqs := make([]uint64, 0, len(cards))
	for _, c := range cards {
		seqs = append(seqs, c.TitleAt)
		if c.Run != nil {
			seqs = append(seqs, c.Run.NoteAt)
		}
	}
	return positions(seqs)
}

// FillCards fills in titles and the notes of open runs. Where the query orders
// by title it sorts and cuts the cards, which it returns.
func FillCards(cards []Card, q ListQuery, texts Texts) []Card {
	for i := range cards {
		c := &cards[i]
		c.Title = texts.title(c.TitleAt)
		if c.Run != nil && c.Run.NoteAt != 0 {
			c.Run.Note = texts.note(c.Run.NoteAt)
		}
	}
	if q.Sort == "title" {
		slices.SortFunc(cards, func(a, b Card) int {
			return cmp.Or(cmp.Compare(a.Title, b.Title), cmp.Compare(a.ID, b.ID))
		})
		if q.Limit > 0 && len(cards) > q.Limit {
			cards = cards[:q.Limit]
		}
	}
	return cards
}
