package chat

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Notices tells people through a platform. It is a notify.Sender.
type Notices struct {
	Platform Platform
	// Open opens an artifact of a board; nil = files are only named.
	Open func(board string, digest events.Digest) (io.ReadCloser, error)
	// Warn is told of files that could not be sent; the message is. Nil = dropped.
	Warn func(error)
	Zone *time.Location // of the times in messages; nil = the host's
}

var (
	_ notify.Sender  = (*Notices)(nil)
	_ notify.Settler = (*Notices)(nil)
)

// Send sends a notice, and after it the files it names.
func (s *Notices) Send(ctx context.Context, to events.Destination, n *notify.Notice) (string, error) {
	id, err := s.Platform.Send(ctx, Render(to, n, s.Platform.Limits()))
	if err != nil || s.Open == nil {
		return id, err
	}
	for _, f := range n.Files {
		if err := s.file(ctx, to, n, id, clean(f.Name, 200), f.Size, f.SHA256); err != nil && s.Warn != nil {
			s.Warn(fmt.Errorf("%s %s: %s: %w", n.Board, n.Task, clean(f.Name, 200), err))
		}
	}
	return id, nil
}

func (s *Notices) file(ctx context.Context, to events.Destination, n *notify.Notice, reply, name string, size int64, digest events.Digest) error {
	if size > s.Platform.Limits().File || size == 0 {
		return nil // its name and size are in the message
	}
	_, err := s.Platform.Send(ctx, &Message{To: to, ReplyTo: reply, Text: Words(n.Footer()), File: &File{Name: name, Size: size,
		Open: func() (io.ReadCloser, error) { return s.Open(n.Board, digest) }}})
	return err
}

// Settled implements notify.Settler.
func (s *Notices) Settled(ctx context.Context, t *notify.Settlement) error {
	zone := s.Zone
	if zone == nil {
		zone = time.Local
	}
	d := t.Detail
	foot := fmt.Sprintf("%s %d", t.Board, t.Seq)
	return s.Platform.Edit(ctx, t.Sent.Message, settled(&t.Sent, t.Name, settledBy(d, t.Sent.Of, zone), d, foot, s.Platform.Limits()))
}

// settled is what a message becomes when what it asked was settled: who did it,
// and what the task does now.
func settled(sent *projections.Sent, name, done string, d *projections.Detail, foot string, l Limits) *Message {
	text := Text{{Words: fmt.Sprintf("%s · %s %s", name, d.ID, done), Style: Bold}, {Words: fmt.Sprintf("\n%s\n\n%s\n\n%s", clean(d.Title, 200), doing(d), foot)}}
	m := &Message{To: sent.To, Text: text.Cut(l.Text, l)}
	if sent.Token != "" {
		m.Buttons = [][]Button{{{"Show", sent.Token + ":" + Show}}}
	}
	return m
}

// Render makes a message of a notice. It is pure.
func Render(to events.Destination, n *notify.Notice, l Limits) *Message {
	text := Text{{n.Headline(), Bold}}
	body := ""
	for _, line := range n.Body() {
		body += "\n" + inChat(line)
	}
	if n.NeedsYou && n.Task != 0 {
		body += "\nReply to this message to answer in words."
	}
	foot := ""
	if f := n.Footer(); f != "" {
		foot = "\n\n" + f
	}
	room := max(0, l.Text-l.Length(n.Headline())-l.Length(foot))
	text = append(text, Words(body).Cut(room, l)...)
	if foot != "" {
		text = append(text, Span{Words: foot})
	}
	return &Message{To: to, Text: text.Cut(l.Text, l), Buttons: buttons(n, l)}
}

// maxLabel is how much of an answer a button shows, in bytes.
const maxLabel = 60

// buttons are what can be done about a notice: the answers that are offered,
// three in a row, and below them what can always be done.
func buttons(n *notify.Notice, l Limits) (rows [][]Button) {
	if n.Token == "" || n.Task == 0 {
		return nil
	}
	var row []Button
	add := func(label, action string) {
		if data := n.Token + ":" + action; len(data) <= l.Data {
			row = append(row, Button{clean(label, maxLabel), data})
		}
	}
	flush := func() {
		if len(row) > 0 {
			rows, row = append(rows, row), nil
		}
	}
	if n.NeedsYou {
		for i, o := range n.Options {
			add(o, fmt.Sprint(i+1))
			if len(row) == 3 {
				flush()
			}
		}
		flush()
	}
	switch {
	case n.NeedsYou && n.Kind == notify.ReviewRequested:
		add("Approve", Approve)
		add("Ask for changes", Changes)
	case n.NeedsYou && (n.Kind == notify.GaveUp || n.Kind == notify.Loop || n.Kind == notify.Blocked && len(n.Options) == 0):
		add("Retry", Retry)
	}
	flush()
	add("Show", Show)
	if n.NeedsYou {
		add("Later", Later)
	}
	switch n.Kind {
	case notify.Blocked, notify.GaveUp, notify.Loop, notify.Crashed, notify.TimedOut, notify.OverBudget:
		add("Stop task", Stop)
	}
	flush()
	return rows
}
