package chattest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/events"
)

// Fixture is a driver and the server it talks to, as the suite needs them. The
// chat is a private one with a person.
type Fixture struct {
	Open       func() chat.Platform // a driver of the same bot, each time
	Credential string               // that must never show
	Chat       events.Destination
	Person     string                     // the person's id
	Say        func(text string)          // the person writes
	Reply      func(message, text string) // the person replies to a message of the bot
	Tap        func(message, data string) // the person taps
	Texts      func() []string            // the bot's messages, as they stand
	Toasts     func() []string            // its answers to taps
	Drop       func()                     // the next message is taken, and the answer lost
	TooMany    func(after time.Duration)  // the next message is refused for so long
	Revoke     func()                     // the credential is not valid any more
	Await      func(what string, ok func() bool)
}

// heard collects updates.
type heard struct {
	mu      sync.Mutex
	updates []chat.Update
}

func (h *heard) handle(_ context.Context, u *chat.Update) {
	h.mu.Lock()
	h.updates = append(h.updates, *u)
	h.mu.Unlock()
}

func (h *heard) all() []chat.Update {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.updates)
}

// TestPlatform runs the suite that every driver must pass.
func TestPlatform(t *testing.T, open func(t *testing.T) *Fixture) {
	for name, test := range map[string]func(*testing.T, *Fixture){
		"receives once and in order": receives, "what was cut short comes again": comesAgain, "sends, edits and answers": sends,
		"limits hold": limits, "a lost answer": lost, "too many requests": tooMany, "a revoked credential": revoked, "a file": file,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// runs runs a driver until the function it returns is called.
func runs(t *testing.T, p chat.Platform, handle func(context.Context, *chat.Update)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx, handle) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run ended with %v, want nil: it was told to", err)
		}
	}
}

func receives(t *testing.T, f *Fixture) {
	var h heard
	stop := runs(t, f.Open(), h.handle)
	const n = 250
	for i := range n {
		f.Say(fmt.Sprintf("number %d “é” 😀", i))
	}
	f.Await("all updates", func() bool { return len(h.all()) >= n })
	ids := map[string]bool{}
	for i, u := range h.all() {
		want := fmt.Sprintf("number %d “é” 😀", i)
		if u.Kind != chat.Said || u.Text != want || u.Chat != f.Chat || !u.Private || u.From.ID != f.Person || u.From.Bot || u.Foreign || u.Message == "" || u.ID == "" {
			t.Fatalf("got %+v, want %q", u, want)
		}
		ids[u.ID] = true
	}
	if len(ids) != n {
		t.Errorf("got %d names of updates, want %d", len(ids), n)
	}
	stop()
	var later heard
	p := f.Open()
	stop = runs(t, p, later.handle)
	id, err := p.Send(t.Context(), &chat.Message{To: f.Chat, Text: chat.Words("ask")})
	if err != nil {
		t.Fatal(err)
	}
	f.Reply(id, "answer")
	f.Await("the reply", func() bool { return len(later.all()) > 0 })
	if u := later.all()[0]; u.Text != "answer" || u.ReplyTo != id {
		t.Errorf("got %+v, want only the reply to %s: the others were handled", u, id)
	}
	stop()
}

// comesAgain: an update whose handling ended with the process is not lost.
func comesAgain(t *testing.T, f *Fixture) {
	started, stopping := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var once sync.Once
	go func() {
		ended <- f.Open().Run(ctx, func(ctx context.Context, u *chat.Update) {
			once.Do(func() { close(started) })
			<-stopping
		})
	}()
	f.Say("first")
	f.Say("second")
	<-started
	cancel()
	close(stopping)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	var h heard
	stop := runs(t, f.Open(), h.handle)
	f.Await("both updates", func() bool { return len(h.all()) == 2 })
	if all := h.all(); all[0].Text != "first" || all[1].Text != "second" {
		t.Errorf("got %+v", all)
	}
	stop()
}

func sends(t *testing.T, f *Fixture) {
	var h heard
	p := f.Open()
	stop := runs(t, p, h.handle)
	defer stop()
	m := &chat.Message{To: f.Chat, Text: chat.Text{{Words: "<b>*bold*</b> 😀 ", Style: chat.Bold}, {Words: "_plain_ [x](y)"}, {Words: "\n  code", Style: chat.Pre}},
		Buttons: [][]chat.Button{{{Label: "One", Data: strings.Repeat("x", p.Limits().Data)}}, {{Label: "Two", Data: "2"}}}}
	id, err := p.Send(t.Context(), m)
	if err != nil || id == "" || len(id) > 200 {
		t.Fatalf("got %q, %v", id, err)
	}
	if got := f.Texts(); len(got) != 1 || got[0] != m.Text.String() {
		t.Errorf("got %q, want the words as they are: %q", got, m.Text)
	}
	f.Tap(id, "2")
	f.Await("the tap", func() bool { return len(h.all()) == 1 })
	u := h.all()[0]
	if u.Kind != chat.Tapped || u.Data != "2" || u.Message != id || u.Chat != f.Chat || u.From.ID != f.Person || u.Tap == "" {
		t.Errorf("got %+v", u)
	}
	if err := p.Toast(t.Context(), u.Tap, "done"); err != nil || !slices.Contains(f.Toasts(), "done") {
		t.Errorf("got %v, toasts %q", err, f.Toasts())
	}
	if err := p.Toast(t.Context(), "gone", "late"); err != nil {
		t.Errorf("a tap that is too old: got %v, want no error", err)
	}
	edit := &chat.Message{To: f.Chat, Text: chat.Words("new")}
	for range 2 { // the second changes nothing
		if err := p.Edit(t.Context(), id, edit); err != nil {
			t.Error(err)
		}
	}
	if got := f.Texts(); len(got) != 1 || got[0] != "new" {
		t.Errorf("got %q after an edit", got)
	}
	var never *notify.PermanentError
	if err := p.Edit(t.Context(), "987654", edit); !errors.As(err, &never) {
		t.Errorf("edit of a message that is gone: got %v, want permanent", err)
	}
	if _, err := p.Send(t.Context(), &chat.Message{To: f.Chat, Text: chat.Words("x"), ReplyTo: "987654"}); err != nil {
		t.Errorf("a reply to a message that is gone: got %v, want no error", err)
	}
	if _, err := p.Send(t.Context(), &chat.Message{To: events.Destination{Platform: f.Chat.Platform, Chat: "31415926"}, Text: chat.Words("x")}); !errors.As(err, &never) {
		t.Errorf("a chat that is not there: got %v, want permanent", err)
	}
	if err := p.Menu(t.Context(), []chat.Entry{{Command: "kanban", About: "tasks"}, {Command: "no-such form", About: "left out"}}); err != nil {
		t.Errorf("menu: %v", err)
	}
}

func limits(t *testing.T, f *Fixture) {
	p := f.Open()
	l := p.Limits()
	for _, c := range []string{"x", "é", "😀"} {
		n := l.Text / l.Length(c)
		if _, err := p.Send(t.Context(), &chat.Message{To: f.Chat, Text: chat.Text{{Words: strings.Repeat(c, n), Style: chat.Bold}}}); err != nil {
			t.Errorf("%d of %s: got %v, want no error", n, c, err)
		}
		if _, err := p.Send(t.Context(), &chat.Message{To: f.Chat, Text: chat.Words(strings.Repeat(c, n+1))}); err == nil {
			t.Errorf("%d of %s: got no error", n+1, c)
		}
		if got := chat.Words(strings.Repeat(c, n+1)).Cut(l.Text, l); l.Length(got.String()) > l.Text {
			t.Errorf("cut to %d, got %d", l.Text, l.Length(got.String()))
		}
	}
}

func lost(t *testing.T, f *Fixture) {
	p := f.Open()
	if _, err := p.Send(t.Context(), &chat.Message{To: f.Chat, Text: chat.Words("warm")}); err != nil {
		t.Fatal(err)
	}
	f.Drop()
	_, err := p.Send(t.Context(), &chat.Message{To: f.Chat, Text: chat.Words("x")})
	var gone *notify.LostError
	if !errors.As(err, &gone) {
		t.Fatalf("got %v, want lost", err)
	}
	quiet(t, f, err)
	if got := f.Texts(); len(got) != 2 {
		t.Errorf("got %q, want the message once: a driver does not repeat it", got)
	}
}

func tooMany(t *testing.T, f *Fixture) {
	p := f.Open()
	f.TooMany(7 * time.Second)
	_, err := p.Send(t.Context(), &chat.Message{To: f.Chat, Text: chat.Words("x")})
	var later *notify.RetryAfterError
	if !errors.As(err, &later) || later.After != 7*time.Second {
		t.Errorf("got %v, want again after 7s", err)
	}
}

func revoked(t *testing.T, f *Fixture) {
	p := f.Open()
	f.Revoke()
	err := p.Run(t.Context(), func(context.Context, *chat.Update) {})
	if !errors.Is(err, chat.ErrRevoked) {
		t.Errorf("Run: got %v, want revoked", err)
	}
	quiet(t, f, err)
	_, err = p.Send(t.Context(), &chat.Message{To: f.Chat, Text: chat.Words("x")})
	if !errors.Is(err, chat.ErrRevoked) {
		t.Errorf("Send: got %v, want revoked", err)
	}
	quiet(t, f, err)
}

func file(t *testing.T, f *Fixture) {
	p := f.Open()
	opened := 0
	m := &chat.Message{To: f.Chat, Text: chat.Words("caption"), File: &chat.File{Name: "prices “EU”.csv", Size: 3, Open: func() (io.ReadCloser, error) {
		opened++
		return io.NopCloser(strings.NewReader("a,b")), nil
	}}}
	if id, err := p.Send(t.Context(), m); err != nil || id == "" || opened != 1 {
		t.Errorf("got %q, %v, opened %d times", id, err, opened)
	}
	m.File.Open = func() (io.ReadCloser, error) { return nil, io.ErrUnexpectedEOF }
	if _, err := p.Send(t.Context(), m); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that cannot be opened: got %v", err)
	}
}

// quiet checks that an error does not name the credential.
func quiet(t *testing.T, f *Fixture, err error) {
	t.Helper()
	if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, f.Credential) {
		t.Errorf("the credential stands in %q", text)
	}
}
