package telegram_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/chat/chattest"
	"github.com/hermesboard/hermes/agents/chat/telegram"
	"github.com/hermesboard/hermes/events"
)

// TestNotOurs: a driver that may not ask for updates any more stops to, also to
// confirm them, leaves them to who may, and still sends.
func TestNotOurs(t *testing.T) {
	tg := chattest.NewTelegram(t)
	var mine atomic.Bool
	mine.Store(true)
	d, err := telegram.New(telegram.Options{Token: tg.Token, Server: tg.URL, Mine: mine.Load})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	handled := make(chan string, 10)
	go func() {
		ended <- d.Run(t.Context(), func(_ context.Context, u *chat.Update) {
			mine.Store(false) // lost while this is handled
			handled <- u.Text
		})
	}()
	tg.Say(kai, chattest.Private(kai), "one")
	if err := <-ended; !errors.Is(err, chat.ErrTwoPollers) {
		t.Fatalf("got %v, want %v", err, chat.ErrTwoPollers)
	}
	if got := <-handled; got != "one" || len(handled) > 0 {
		t.Errorf("got %q and %d more", got, len(handled))
	}
	if tg.Waiting() != 1 {
		t.Errorf("got %d updates left to the other, want the one that was not confirmed", tg.Waiting())
	}
	polls, conflicts := tg.Polls()
	if err := d.Run(t.Context(), nil); !errors.Is(err, chat.ErrTwoPollers) {
		t.Errorf("got %v, want %v", err, chat.ErrTwoPollers)
	}
	if now, _ := tg.Polls(); now != polls || conflicts > 0 {
		t.Errorf("got %d requests for updates, %d conflicts", now-polls, conflicts)
	}
	if _, err := d.Send(t.Context(), &chat.Message{To: events.Destination{Platform: "telegram", Chat: "7001"}, Text: chat.Words("still here")}); err != nil {
		t.Errorf("it cannot send any more: %v", err)
	}
}
