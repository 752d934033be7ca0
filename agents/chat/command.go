package chat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// saidBefore stands below the answer to an update that was carried out before:
// whoever did so ended before it was known whether they had answered.
const saidBefore = "(carried out before; you may have this answer already)"

// longest is how long one command may take.
const longest = 30 * time.Second

// run runs a verb and answers with what it printed.
func (c *Chat) run(ctx context.Context, u *Update, who Person, in Intent) error {
	call := c.call(u, who, in.Route)
	limited, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	seat, err := c.seat(limited, call)
	if err != nil {
		return err
	}
	if own[in.Argv[0]] {
		return c.own(limited, ctx, u, seat, in.Argv)
	}
	out, words, _ := c.Exec(limited, call, seat, in.Argv)
	if out == "" || words != "" && seat.Last() == 0 {
		out = strings.Trim(out+"\n"+words, "\n")
	}
	foot := ""
	if seat.Last() > 0 {
		foot = fmt.Sprintf("%s %d", call.Board, seat.Last())
	}
	if seat.Again() {
		c.counts.again.Add(1)
		foot += "\n" + saidBefore
	}
	text, file := shape(out, foot, in.Argv[0], Table[in.Argv[0]].Table, c.platform.Limits())
	c.deliver(ctx, &Message{To: u.Chat, Text: text, File: file, ReplyTo: c.replyTo(u)})
	return nil
}

// idea makes a task of free text; the chat is told what becomes of it.
func (c *Chat) idea(ctx context.Context, u *Update, who Person, in Intent) error {
	call := c.call(u, who, in.Route)
	if err := Check(who.Role, in.Route.ReadOnly, false, "create", nil); err != nil {
		return err
	}
	seat, err := c.seat(ctx, call)
	if err != nil {
		return err
	}
	title, body, _ := strings.Cut(in.Text, "\n")
	if t := clean(title, 150); t != strings.Join(strings.Fields(title), " ") {
		title, body = t, in.Text
	}
	res, err := seat.Do(ctx, call.By, events.CommandID{}, boards.CreateTasks{Tasks: []boards.NewTask{{Title: clean(title, 200), Body: strings.TrimSpace(body)}}})
	if err != nil {
		return err
	}
	for _, t := range res.Tasks {
		c.say(ctx, u, Words(fmt.Sprintf("%s is on the board. You are told here what becomes of it.\n\n%s %d", t, call.Board, seat.Last())))
	}
	return nil
}

// own carries out the verbs that exist in chat only.
func (c *Chat) own(ctx, sending context.Context, u *Update, seat *Seat, argv []string) error {
	if argv[0] == "get" {
		return c.get(ctx, sending, u, seat, argv[1:])
	}
	if seat.call.Role < Member {
		return &Denied{Message: argv[0] + " is not for you: you are a viewer here"}
	}
	var task events.TaskID
	if len(argv) > 2 {
		return &Denied{Message: argv[0] + " wants a task, or nothing for the whole board"}
	}
	if len(argv) == 2 {
		var err error
		if task, err = events.ParseTaskID(argv[1]); err != nil {
			return &Denied{Message: err.Error()}
		}
	} else if seat.call.Role < Owner {
		return &Denied{Message: argv[0] + " wants a task; the whole board is for owners"}
	}
	var cmd boards.Command = boards.Subscribe{Task: task, To: u.Chat}
	done := "This chat is told what happens from here on."
	if argv[0] == "unsubscribe" {
		cmd, done = boards.Unsubscribe{Task: task, To: u.Chat}, "This chat is not told of it any more."
	}
	if _, err := seat.Do(ctx, boards.Principal{}, events.CommandID{}, cmd); err != nil {
		return err
	}
	c.say(sending, u, Words(fmt.Sprintf("%s\n\n%s %d", done, seat.call.Board, seat.Last())))
	return nil
}

// get sends a task's files.
func (c *Chat) get(ctx, sending context.Context, u *Update, seat *Seat, argv []string) error {
	if len(argv) == 0 || len(argv) > 2 {
		return &Denied{Message: "get wants a task, and the name of a file if it is to be one", Hint: "hermes kanban attachments t7"}
	}
	task, err := events.ParseTaskID(argv[0])
	if err != nil {
		return &Denied{Message: err.Error()}
	}
	d, err := seat.Show(ctx, task)
	if err != nil {
		return err
	}
	sent := 0
	for _, a := range d.Artifacts {
		name := clean(a.Name, 200)
		if len(argv) == 2 && a.Name != argv[1] {
			continue
		}
		if sent++; sent > maxFiles {
			c.tell(sending, u, fmt.Sprintf("There are more than %d; name the one you want: /kanban get %s NAME", maxFiles, task))
			break
		}
		if err := c.file(sending, u, seat.call.Board, name, a); err != nil {
			return err
		}
	}
	if sent == 0 {
		return &Denied{Message: fmt.Sprintf("%s has no such file", task), Hint: "hermes kanban attachments " + task.String()}
	}
	return nil
}

// maxFiles is how many files one command sends.
const maxFiles = 10

// ErrNoFiles says that files are not sent from here.
var ErrNoFiles = errors.New("files cannot be had from here")

func (c *Chat) file(ctx context.Context, u *Update, board, name string, a projections.ArtifactRow) error {
	l := c.platform.Limits()
	switch {
	case c.Artifact == nil:
		return ErrNoFiles
	case a.Size > l.File:
		return &Denied{Message: fmt.Sprintf("%s has %s; at most %s can be sent here", name, projections.Size(a.Size), projections.Size(l.File))}
	case a.Size == 0:
		return &Denied{Message: name + " is empty"}
	}
	c.deliver(ctx, &Message{To: u.Chat, ReplyTo: c.replyTo(u), Text: Words(fmt.Sprintf("%s %d", board, a.Seq)), File: &File{Name: name, Size: a.Size,
		Open: func() (io.ReadCloser, error) { return c.Artifact(board, a.SHA256) }}})
	return nil
}
