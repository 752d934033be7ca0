package telegram_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/chat/chattest"
	"github.com/hermesboard/hermes/agents/chat/telegram"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// TestHostileUpdates: ten thousand updates that nobody may have sent leave no
// event on any board.
func TestHostileUpdates(t *testing.T) {
	p := newPlace(t, func(o *chat.Options, _ *telegram.Options) { o.Pairs = chat.OpenPairs(t.TempDir(), "telegram") })
	p.start()
	home := chattest.Private(kai)
	p.must(boards.CreateTasks{Tasks: []boards.NewTask{{Title: "x"}}})
	p.must(boards.Subscribe{Task: 1, To: events.Destination{Platform: "telegram", Chat: fmt.Sprint(kai.ID)}})
	p.tg.Say(kai, home, "/kanban create first")
	p.message("t2  created")
	p.must(boards.BlockTask{Task: 1, Reason: "why?", Options: []string{"so"}})
	m := p.message("why?")
	before := p.head()

	const create = `/kanban create "made by nobody"`
	channel := chattest.Chat{ID: -1009, Type: "channel", Title: "news"}
	say := func(kind string, from chattest.User, c chattest.Chat, more map[string]any) {
		p.tg.Push(kind, p.tg.Message(from, c, create, more))
	}
	spy := chattest.User{ID: 8888, First: "Kai"} // takes the name of another
	attacks := []func(i int){
		func(i int) {
			say("message", chattest.User{ID: int64(100000 + i), First: "M"}, chattest.Private(stranger), nil)
		},
		func(int) { say("message", spy, chattest.Private(spy), nil) },
		func(int) { say("message", spy, group, nil) },
		func(int) { say("message", ann, group, nil) }, // is allowed in private only
		func(int) {
			say("message", kai, home, map[string]any{"forward_origin": map[string]any{"type": "user", "date": 1, "sender_user": kai}})
		},
		func(int) { say("edited_message", kai, home, map[string]any{"edit_date": 2}) },
		func(int) { say("channel_post", kai, channel, map[string]any{"sender_chat": channel}) },
		func(int) { say("message", kai, channel, nil) },
		func(int) { say("message", kai, group, map[string]any{"sender_chat": group}) }, // an anonymous administrator
		func(int) {
			say("message", kai, home, map[string]any{"via_bot": chattest.User{ID: 5, Bot: true, First: "b"}})
		},
		func(int) { say("business_message", kai, home, nil) },
		func(int) { say("message", chattest.User{ID: kai.ID, Bot: true, First: "Kai"}, home, nil) },
		func(int) { p.tg.Again(101, "message", p.tg.Message(kai, home, create, nil)) }, // confirmed long ago
		func(int) { p.tg.Tap(stranger, home, m, button(t, m, "so")) },
		func(int) { p.tg.Tap(kai, group, m, button(t, m, "so")) }, // its message is in another chat
		func(int) { p.tg.Tap(ann, chattest.Private(ann), m, button(t, m, "so")) },
		func(int) { p.tg.Tap(spy, home, m, "0:so\x00"+strings.Repeat("x", 40)) },
		func(int) { p.tg.Reply(stranger, home, m, "so") },
		func(int) {
			p.tg.Push("poll_answer", map[string]any{"poll_id": "1", "user": kai, "option_ids": []int{0}})
		},
		func(int) {
			p.tg.Push("inline_query", map[string]any{"id": "1", "from": kai, "query": create, "offset": ""})
		},
	}
	n := 10000
	if testing.Short() {
		n = 1000
	}
	for i := range n {
		attacks[i%len(attacks)](i)
	}
	last := p.tg.Say(kai, home, "/kanban create last")
	p.message("t3  created")
	if got := p.head() - before; got != 2 { // the last task, and its subscription
		t.Errorf("got %d events from the chat, want 2: those of update %d", got, last)
	}
	if n := len(p.tg.Sent()); n > 12 {
		t.Errorf("the bot sent %d messages, want few", n)
	}
	if p.status(1) != events.Blocked {
		t.Errorf("t1 is %s, want blocked", p.status(1))
	}
}

// TestReplayed: an update that comes again does nothing again, also in the
// bot's next life.
func TestReplayed(t *testing.T) {
	p := newPlace(t, nil)
	stop := p.start()
	home := chattest.Private(kai)
	m := p.tg.Message(kai, home, "/kanban create once", nil)
	id := p.tg.Push("message", m)
	p.message("t1  created")
	before := p.head()
	stop()
	driver, err := telegram.New(telegram.Options{Token: p.tg.Token, Server: p.tg.URL})
	if err != nil {
		t.Fatal(err)
	}
	o := p.chat.Options
	o.Platform = driver
	p.driver = driver
	if p.chat, err = chat.New(o); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		p.tg.Again(id, "message", m)
	}
	p.start()
	p.message("t1  created") // whoever asked again is answered again
	p.tg.Await(t, "all updates to be confirmed", func() bool { return p.tg.Waiting() == 0 })
	if p.head() != before {
		t.Errorf("the repetition left %d events", p.head()-before)
	}
	if n := len(p.tg.Sent()); n != 2 {
		t.Errorf("got %d messages, want one in each life", n)
	}
}
