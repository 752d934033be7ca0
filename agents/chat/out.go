package chat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/notify"
)

// Patience is how long an answer is tried to be sent.
const Patience = 10 * time.Minute

// maxTries is how often a platform may refuse an answer.
const maxTries = 3

// send sends an answer. Where the platform's reply was lost it is sent once more,
// and says so.
func (c *Chat) send(ctx context.Context, m *Message) (id string, err error) {
	start, wait, lost := time.Now(), 100*time.Millisecond, false
	for tries := 1; ; {
		id, err = c.platform.Send(ctx, m)
		pause := wait
		var later *notify.RetryAfterError
		var gone *notify.LostError
		var never *notify.PermanentError
		switch {
		case err == nil:
			c.counts.sent.Add(1)
			return id, nil
		case ctx.Err() != nil || errors.As(err, &never):
			return "", err
		case errors.As(err, &gone):
			c.counts.lost.Add(1)
			if lost {
				return "", err
			}
			lost = true
			c.counts.again.Add(1)
			m.Text = append(append(Text{}, m.Text...), Span{Words: "\n(sent again: the answer to the first was lost)"})
		case errors.As(err, &later):
			pause = later.After
		default:
			if tries++; tries > maxTries && !isNetwork(err) {
				return "", err
			}
		}
		if time.Since(start)+pause > Patience {
			return "", err
		}
		if !sleep(ctx, pause) {
			return "", ctx.Err()
		}
		wait = min(2*wait, 10*time.Second)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// inChat turns what is typed in a shell into what is typed here, and leaves out
// the line about other boards: there are none here.
func inChat(s string) string {
	if i := strings.Index(s, "All boards: hermes "); i >= 0 {
		line, rest, _ := strings.Cut(s[i:], "\n")
		_, more, _ := strings.Cut(line, "      ") // what follows on the same line
		s = s[:i] + strings.TrimSpace(more) + "\n" + rest
	}
	return strings.ReplaceAll(s, "hermes kanban ", "/kanban ")
}

// shape makes a message of a command's output: short ones as they are, long
// ones as a file. foot is set below: board and position.
func shape(out, foot, name string, table bool, l Limits) (Text, *File) {
	out = strings.TrimRight(strings.Trim(inChat(agents.Plain(out)), "\n"), " \n")
	if out == "" {
		out = "Done."
	}
	if foot != "" {
		foot = "\n\n" + foot
	}
	if l.Length(out)+l.Length(foot) <= l.Text-200 { // room to say that it is sent again
		span := Span{Words: out}
		if table && strings.Contains(out, "\n") {
			span.Style = Pre
		}
		return Text{span, {Words: foot}}, nil
	}
	first, _, _ := strings.Cut(out, "\n")
	data := out
	if int64(len(data)) > l.File {
		data = data[:l.File]
	}
	file := &File{Name: name + ".txt", Size: int64(len(data)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(data)), nil
	}}
	text := Words(fmt.Sprintf("%s\n%d lines", first, strings.Count(out, "\n")+1)).Cut(l.Caption-200, l)
	return append(text, Span{Words: foot}), file
}

// isNetwork reports whether an error is one of the way to the platform.
func isNetwork(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
