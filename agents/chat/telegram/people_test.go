package telegram_test

import (
	"io"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/chat/chattest"
	"github.com/hermesboard/hermes/agents/chat/telegram"
	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func TestPairing(t *testing.T) {
	p := newPlace(t, func(o *chat.Options, _ *telegram.Options) { o.Pairs = chat.OpenPairs(t.TempDir(), "telegram") })
	p.start()
	mia := chattest.User{ID: 7100, First: "Mia"}
	p.tg.Say(mia, chattest.Private(mia), "/start")
	m := p.message("give them this code")
	code := m.Text[strings.LastIndexByte(m.Text, '\n')+1:]
	if len(code) != 8 || len(m.Entities) != 1 || m.Entities[0].Type != "code" || m.Chat != mia.ID {
		t.Fatalf("got %q, entities %v", code, m.Entities)
	}
	p.tg.Say(mia, chattest.Private(mia), "/kanban create x") // no second code
	p.tg.Say(ann, chattest.Private(ann), "/pair "+code)
	p.message("Nobody can be let in from here.")
	p.tg.Say(kai, chattest.Private(kai), "/pair AAAAAAAA")
	p.message("no such pairing code")
	p.tg.Say(kai, chattest.Private(kai), "/pair "+code+" member")
	p.message("Mia is a member now.")
	p.tg.Say(mia, chattest.Private(mia), "/kanban create x")
	p.message("t1  created")
	if n := len(p.tg.Sent()); n != 5 {
		t.Errorf("got %d messages, want 5\n%s", n, p.tg.Transcript())
	}
}

func TestNobodyIsAllowed(t *testing.T) {
	for _, allow := range [][]chat.Person{nil, {{ID: "", Role: chat.Owner}}, {{ID: "7"}}} {
		if _, err := chat.New(chat.Options{Allow: allow}); err != chat.ErrNobody {
			t.Errorf("%v: got %v, want nobody", allow, err)
		}
	}
}

func TestGroups(t *testing.T) {
	p := newPlace(t, nil)
	p.start()
	p.tg.Topic(group, 9)
	topic := map[string]any{"is_topic_message": true, "message_thread_id": 9}
	p.tg.Push("message", p.tg.Message(kai, group, "/kanban@another_bot create x", topic))
	p.tg.Push("message", p.tg.Message(kai, group, "/unknown x", topic))
	p.tg.Push("message", p.tg.Message(kai, group, "/kanban@Hermes_Test_Bot create y", topic))
	m := p.message("t1  created")
	if m.Thread != 9 || m.Chat != group.ID || m.ReplyTo == 0 {
		t.Errorf("got %+v, want an answer in the topic, to the message", m)
	}
	n, err := p.board.Notices(t.Context())
	if want := (events.Destination{Platform: "telegram", Chat: "-1001", Thread: "9"}); err != nil || len(n.Subscriptions) != 1 || n.Subscriptions[0].To != want {
		t.Errorf("got %+v, %v, want %v", n.Subscriptions, err, want)
	}
}

// TestBadInput: each has a clear answer, and none an effect.
func TestBadInput(t *testing.T) {
	p := newPlace(t, func(o *chat.Options, _ *telegram.Options) { o.PerMinute = 6 })
	p.start()
	home := chattest.Private(ann)
	before := p.head()
	for text, want := range map[string]string{
		`/kanban create "x`: "quotation mark",
		"/kanban create " + strings.Repeat("x", 100<<10): "too long",
		"/kanban creat x":                      "there is no creat in chat",
		"/nonsense":                            "/nonsense is not known",
		"/kanban " + strings.Repeat("x ", 300): "too much",
		"/\u202ekanban \u200bgateway \x1b[31mstop\x1b[0m": "there is no gateway in chat",
	} {
		p.seq = 0
		p.tg.Say(ann, home, text)
		p.message(want)
	}
	p.tg.Say(ann, home, "/kanban create x")
	p.tg.Say(ann, home, "/kanban create y")
	p.message("more than I can take")
	p.tg.Await(t, "both to be confirmed", func() bool { return p.tg.Waiting() == 0 })
	if n := len(p.tg.Sent()); p.head() != before || n != 7 {
		t.Errorf("got %d events and %d messages, want 0 and 7", p.head()-before, n)
	}
	if c := p.chat.Counts(); c.Dropped != 2 {
		t.Errorf("got %+v, want 2 dropped", c)
	}
}

// TestNoticeFiles: a notice is followed by the files it names, as far as they
// may be sent.
func TestNoticeFiles(t *testing.T) {
	p := newPlace(t, nil)
	p.tg.Message(kai, chattest.Private(kai), "", nil)
	n := &notify.Notice{Board: "acme", Name: "Acme", Seq: 9, Kind: notify.Completed, Task: 7, Title: strings.Repeat("*title* ", 1000), Token: strings.Repeat("A", 26),
		Files: []projections.ArtifactRow{{Name: "a.csv", Size: 3}, {Name: "empty", Size: 0}, {Name: "huge", Size: 51 << 20}}}
	s := &chat.Notices{Platform: p.driver, Warn: func(err error) { t.Error(err) },
		Open: func(string, events.Digest) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("a,b")), nil }}
	if _, err := s.Send(t.Context(), events.Destination{Platform: "telegram", Chat: "7001"}, n); err != nil {
		t.Fatal(err)
	}
	sent := p.tg.Sent()
	if len(sent) != 2 || sent[1].File != "a.csv" || string(sent[1].Data) != "a,b" || sent[1].ReplyTo != sent[0].ID || !strings.HasSuffix(sent[0].Text, "acme 9") {
		t.Errorf("got\n%s", p.tg.Transcript())
	}
}
