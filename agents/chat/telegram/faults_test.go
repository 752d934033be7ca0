package telegram_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/chat/chattest"
	"github.com/hermesboard/hermes/agents/chat/telegram"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// TestDroppedReplies: an answer whose receipt was lost is sent once more, counted,
// and shows the same position.
func TestDroppedReplies(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.start()
	home := chattest.Private(kai)
	p.tg.Await(t, "the bot to be there", func() bool { n, _ := p.tg.Polls(); return n > 0 })
	p.tg.Drop(1)
	p.tg.Say(kai, home, "/kanban create x")
	p.message("t1  created\n\nacme 4")
	again := p.message("sent again")
	if !strings.Contains(again.Text, "t1  created\n\nacme 4") {
		t.Errorf("got %q, want the same position", again.Text)
	}
	p.tg.Await(t, "one lost answer, sent again, to be counted", func() bool {
		return p.chat.Counts() == chat.Counts{Updates: 1, Sent: 1, Lost: 1, Again: 1}
	})
	p.tg.Drop(1)
	p.must(boards.BlockTask{Task: 1, Reason: "why?"})
	p.message("why?")
	if m := p.message("sent again"); !strings.HasSuffix(m.Text, "acme 5") {
		t.Errorf("got %q, want the same position", m.Text)
	}
	p.tg.Drop(2)
	p.tg.Say(kai, home, "/kanban create y")
	p.message("t2  created")
	p.message("t2  created")
	p.tg.Say(kai, home, "/kanban create z")
	p.message("t3  created")
	if n := len(p.tg.Sent()); n != 7 {
		t.Errorf("got %d messages, want 7: at most one repetition each", n)
	}
}

func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.start()
	p.tg.Await(t, "the bot to be there", func() bool { n, _ := p.tg.Polls(); return n > 0 })
	p.tg.TooMany(2, 1)
	start := time.Now()
	p.tg.Say(kai, chattest.Private(kai), "/kanban create x")
	p.message("t1  created")
	if d := time.Since(start); d < 2*time.Second {
		t.Errorf("the answer came after %s; it was to wait a second, twice", d)
	}
	p.tg.TooMany(0, 0)
	if wrong := p.tg.Wrong(); len(wrong) > 0 {
		t.Errorf("got %q", wrong)
	}
}

func TestNetworkLoss(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.tg.Cut(5)
	p.start()
	p.tg.Say(kai, chattest.Private(kai), "/kanban create x")
	p.message("t1  created")
	p.tg.Cut(3)
	p.tg.Say(kai, chattest.Private(kai), "/kanban create y")
	p.message("t2  created")
}

func TestRevoked(t *testing.T) {
	p := newPlace(t, nil)
	ended := make(chan error, 1)
	go func() { ended <- p.chat.Run(t.Context()) }()
	p.tg.Await(t, "the bot to be there", func() bool { n, _ := p.tg.Polls(); return n > 0 })
	p.tg.Revoke()
	if err := <-ended; !errors.Is(err, chat.ErrRevoked) {
		t.Errorf("got %v, want revoked", err)
	} else {
		p.noToken(err.Error())
	}
	d, err := telegram.New(telegram.Options{Token: "1:wrong", Server: p.tg.URL})
	if err != nil {
		t.Fatal(err)
	}
	if at := d.Revoked(); !at.IsZero() {
		t.Errorf("revoked at %s, before anybody was asked", at)
	}
	if err := d.Run(t.Context(), nil); !errors.Is(err, chat.ErrRevoked) {
		t.Errorf("a wrong token: got %v, want revoked", err)
	}
	since := d.Revoked()
	if _, err := d.Send(t.Context(), &chat.Message{To: events.Destination{Chat: "7001"}, Text: chat.Words("x")}); !errors.Is(err, chat.ErrRevoked) || d.Revoked() != since || since.IsZero() {
		t.Errorf("got %v, revoked at %s and %s, want the first time it was refused", err, since, d.Revoked())
	}
	p.tg.Renew("1:wrong") // which is right by now
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- d.Run(ctx, func(context.Context, *chat.Update) {}) }()
	p.tg.Await(t, "it is taken", func() bool { return d.Revoked().IsZero() })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, token := range []string{"", "x", "12", "12:a/b", "12:a b", "a:b"} {
		if _, err := telegram.New(telegram.Options{Token: token}); err == nil {
			t.Errorf("token %q: got no error", token)
		} else if len(token) > 3 && strings.Contains(err.Error(), token) {
			t.Errorf("the token stands in %q", err)
		}
	}
}

// TestTwoPollers: one of two processes with the same bot gives way, and says why.
func TestTwoPollers(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for range 2 {
		d, err := telegram.New(telegram.Options{Token: p.tg.Token, Server: p.tg.URL})
		if err != nil {
			t.Fatal(err)
		}
		go func() { ended <- d.Run(ctx, func(context.Context, *chat.Update) {}) }()
	}
	if err := <-ended; !errors.Is(err, chat.ErrTwoPollers) {
		t.Errorf("got %v, want two pollers", err)
	}
	cancel()
	<-ended
}

func TestWebhook(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // a free port
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	p := newPlace(t, func(_ *chat.Options, o *telegram.Options) {
		o.Webhook = &telegram.Webhook{URL: "http://" + address + "/hook", Listen: address, Secret: "s3cret"}
	})
	p.start()
	p.tg.Say(kai, chattest.Private(kai), "/kanban create x")
	p.message("t1  created")
	p.tg.Await(t, "the update to be confirmed", func() bool { return p.tg.Waiting() == 0 })
	before := p.head()
	forged := `{"update_id":999,"message":{"message_id":1,"date":1,"from":{"id":7001,"first_name":"Kai"},"chat":{"id":7001,"type":"private"},"text":"/kanban create forged"}}`
	for _, secret := range []string{"", "wrong", "s3cre", "s3crett"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/hook", strings.NewReader(forged))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Telegram-Bot-Api-Secret-Token", secret)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("secret %q: got %d, want 404", secret, res.StatusCode)
		}
	}
	if p.head() != before {
		t.Error("a forged update left events")
	}
}
