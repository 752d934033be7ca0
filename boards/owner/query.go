package owner

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Info implements [api.Board]. It also answers while the board is frozen.
func (o *Owner) Info(ctx context.Context) (api.Info, error) {
	var b projections.Board
	info := api.Info{
		Slug: o.store.Slug(), Board: o.store.Board(), Signed: o.store.Anchored().Seq,
		Owner: api.Owner{PID: os.Getpid(), Started: events.TimeOf(o.started), Version: o.opts.Version, Socket: o.opts.Socket},
	}
	o.View(func(v *projections.View) {
		b = v.Board()
		info.Head = o.head
		info.OpenRuns = len(v.OpenRuns())
	})
	info.Created, info.Paused, info.Drain = b.Created, b.PausedAt != 0, b.Drain
	if f := o.dispatcher.Load(); f != nil && *f != nil {
		info.Dispatcher = (*f)()
	}
	usage := o.space.look()
	info.Bytes, info.MaxBytes = usage.FileBytes, usage.MaxBytes
	info.Intake = o.space.closed()
	if o.Frozen() {
		info.Intake = errFrozen().Error()
		return info, nil
	}
	texts, err := o.texts(ctx, []uint64{b.TitleAt})
	if err != nil {
		return info, err
	}
	if t := texts[b.TitleAt]; t != nil {
		info.Title = t.Title
	}
	return info, nil
}

// List implements [api.Board].
func (o *Owner) List(ctx context.Context, q projections.ListQuery) ([]projections.Card, error) {
	var cards []projections.Card
	o.View(func(v *projections.View) {
		if now := now(); o.opts.Explain != nil {
			cards = v.List(q, func(t events.TaskID) projections.Hold { return o.opts.Explain(v, t, now).Hold })
		} else {
			cards = v.List(q, nil)
		}
	})
	texts, err := o.texts(ctx, projections.CardTexts(cards))
	if err != nil {
		return nil, err
	}
	return projections.FillCards(cards, q, texts), nil
}

// Show implements [api.Board].
func (o *Owner) Show(ctx context.Context, task events.TaskID) (projections.Detail, error) {
	var d projections.Detail
	var found bool
	var head uint64
	o.View(func(v *projections.View) {
		d, found = v.Detail(task)
		head = o.head.Seq
	})
	if !found {
		return d, noTask(task)
	}
	history, err := o.history(ctx, task, head)
	if err != nil {
		return d, err
	}
	var others []projections.Entry
	for _, seq := range d.Others() {
		entries, err := o.Read(ctx, seq, 1)
		if err != nil {
			return d, err
		}
		if others, err = appendEntries(others, entries, head); err != nil {
			return d, o.readError(err)
		}
	}
	projections.FillDetail(&d, history, others)
	return d, nil
}

// history reads all entries of a task up to head.
func (o *Owner) history(ctx context.Context, task events.TaskID, head uint64) ([]projections.Entry, error) {
	var list []projections.Entry
	for from := uint64(1); from <= head; {
		entries, err := o.ReadTask(ctx, task, from, 0)
		if err != nil {
			return nil, err
		}
		if len(entries) == 0 {
			break
		}
		from = entries[len(entries)-1].Seq + 1
		if list, err = appendEntries(list, entries, head); err != nil {
			return nil, o.readError(err)
		}
	}
	return list, nil
}

// appendEntries decodes entries up to head, where the view stood.
func appendEntries(list []projections.Entry, entries []events.Entry, head uint64) ([]projections.Entry, error) {
	for _, e := range entries {
		if e.Seq > head {
			break
		}
		r, err := events.Decode(e.Record)
		if err != nil {
			return list, err
		}
		entry := projections.Entry{Record: r}
		if e.Text != nil {
			if entry.Fields, err = decodeFields(e.Text); err != nil {
				return list, err
			}
		}
		list = append(list, entry)
	}
	return list, nil
}

// Why implements [api.Board].
func (o *Owner) Why(_ context.Context, task events.TaskID) (projections.Why, error) {
	var why projections.Why
	var found bool
	o.View(func(v *projections.View) {
		t := v.Task(task)
		if found = t != nil; !found {
			return
		}
		if o.opts.Explain != nil {
			why = o.opts.Explain(v, task, now())
			return
		}
		why = projections.Why{Task: task, Status: t.Status, Hold: projections.Hold{Reason: t.Status.String(), Since: t.Since},
			Detail: "the task is " + t.Status.String()}
	})
	if !found {
		return why, noTask(task)
	}
	return why, nil
}

// Inbox implements [api.Board].
func (o *Owner) Inbox(ctx context.Context) ([]projections.InboxItem, error) {
	var items []projections.InboxItem
	o.View(func(v *projections.View) { items = v.Inbox(now()) })
	texts, err := o.texts(ctx, projections.InboxTexts(items))
	if err != nil {
		return nil, err
	}
	projections.FillInbox(items, texts)
	return items, nil
}

// Stats implements [api.Board].
func (o *Owner) Stats(context.Context) (s projections.Stats, err error) {
	o.View(func(v *projections.View) { s = v.Stats(now()) })
	return s, nil
}

// Policy implements [api.Board].
func (o *Owner) Policy(context.Context) (p events.Policy, seq uint64, err error) {
	o.View(func(v *projections.View) { p, seq = v.Policy() })
	return p, seq, nil
}

// texts fetches what was written with the records at these positions.
func (o *Owner) texts(ctx context.Context, seqs []uint64) (projections.Texts, error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	stored, err := o.store.Log().Texts(ctx, seqs)
	if err != nil {
		return nil, o.readError(err)
	}
	texts := make(projections.Texts, len(seqs))
	for i, b := range stored {
		if b == nil {
			continue
		}
		if texts[seqs[i]], err = decodeFields(b); err != nil {
			return nil, o.readError(fmt.Errorf("text %d: %w", seqs[i], err))
		}
	}
	return texts, nil
}

func decodeFields(b []byte) (*events.Fields, error) {
	t, err := events.DecodeText(b)
	if err != nil {
		return nil, err
	}
	return &t.Fields, nil
}

func noTask(task events.TaskID) error {
	return &boards.Rejection{Code: boards.CodeNotFound, Task: task, Detail: fmt.Sprintf("no task %s on this board", task)}
}

func now() events.Time { return events.TimeOf(time.Now()) }
