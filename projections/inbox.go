package projections

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/hermesboard/hermes/events"
)

// NeedsYou returns how many items the inbox has.
func (v *View) NeedsYou(now events.Time) int {
	n := v.asking.len()
	for _, h := range v.held {
		if !h.Over(now) {
			n++
		}
	}
	return n
}

// Inbox returns what waits for a person, oldest first: blocked tasks, reviews
// without a reviewing agent, ideas that planning gave up on, and agents that
// are held.
func (v *View) Inbox(now events.Time) []InboxItem {
	items := make([]InboxItem, 0, v.asking.len())
	for id := range v.asking.all() {
		items = append(items, v.inboxItem(v.Task(id)))
	}
	for _, h := range v.Agents() {
		if !h.Over(now) {
			items = append(items, InboxItem{
				Kind: "agent_held", Agent: h.Agent, Since: h.Since,
				Settle: "hermes agent release " + h.Agent, TextAt: h.Seq,
			})
		}
	}
	slices.SortStableFunc(items, func(a, b InboxItem) int { return cmp.Compare(a.Since, b.Since) })
	return items
}

func (v *View) inboxItem(t *Task) InboxItem {
	item := InboxItem{
		Task: t.ID, Agent: t.Assignee, Since: t.Since, Blocks: v.HoldsUp(t),
		TitleAt: t.TitleAt,
	}
	switch {
	case t.Block != nil:
		item.Kind, item.TextAt = t.Block.Kind.String(), t.Block.Seq
		if t.Block.By.Kind == events.Worker {
			item.Agent = t.Block.By.Name
		}
	case t.Status == events.Review:
		item.Kind, item.Agent, item.TextAt = "review", t.Implementer, t.HandoffAt
	default:
		item.Kind = t.Status.String()
	}
	item.Settle = Settle(t)
	return item
}

// Settle returns the command by which a person lets a task go on that waits
// for one; empty for any other. Where words are wanted it ends in an empty
// pair of quotes to type them into.
func Settle(t *Task) string {
	id := t.ID.String()
	switch {
	case t.Block != nil:
		switch t.Block.Kind {
		case events.BlockStopped, events.BlockGaveUp, events.BlockTransient:
			return "hermes kanban retry " + id
		case events.BlockPerson:
			return "hermes kanban unblock " + id
		}
		return "hermes kanban unblock " + id + ` ""`
	case t.Status == events.Review && t.Reviewer == "":
		return "hermes kanban approve " + id
	case t.Status == events.Triage:
		return "hermes kanban specify " + id
	}
	return ""
}

// InboxTexts returns the positions whose texts [FillInbox] needs, ascending.
func InboxTexts(items []InboxItem) []uint64 {
	var seqs []uint64
	for _, item := range items {
		seqs = append(seqs, item.TitleAt, item.TextAt)
	}
	return positions(seqs)
}

// FillInbox fills in titles, questions and options.
func FillInbox(items []InboxItem, texts Texts) {
	for i := range items {
		item := &items[i]
		if item.TitleAt != 0 {
			item.Title = texts.title(item.TitleAt)
		}
		f := texts[item.TextAt]
		if f == nil { // nothing was said, or it was erased
			continue
		}
		item.Question, item.Options = f.Reason, f.Options
		if item.Kind == "review" {
			item.Question = f.Summary
		}
		if item.Question == "" {
			item.Question = lastLine(f.Evidence)
		}
		if len(f.Options) > 0 {
			item.Settle = "hermes kanban unblock " + item.Task.String() + " " + strconv.Quote(f.Options[0])
		}
	}
}
