package telegram_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/chat/chattest"
	"github.com/hermesboard/hermes/agents/chat/telegram"
	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

var (
	kai      = chattest.User{ID: 7001, First: "Kai"}
	ann      = chattest.User{ID: 7002, First: "Ann"}
	vic      = chattest.User{ID: 7003, First: "Vic"}
	stranger = chattest.User{ID: 9999, First: "Mallory"}
	group    = chattest.Chat{ID: -1001, Type: "supergroup", Title: "Acme", Forum: true}
)

// place is a board with a bot and a notifier, all real but the server.
type place struct {
	t      testing.TB
	tg     *chattest.Telegram
	board  *owner.Owner
	other  *owner.Owner // of another client
	chat   *chat.Chat
	driver *telegram.Driver
	seq    int
}

func allow() []chat.Person {
	g := fmt.Sprint(group.ID)
	return []chat.Person{{ID: "7001", Name: "Kai", Role: chat.Owner}, {ID: "7002", Name: "Ann", Role: chat.Member}, {ID: "7003", Name: "Vic", Role: chat.Viewer},
		{ID: "7001", Name: "Kai", Role: chat.Owner, Chat: g}, {ID: "7003", Name: "Vic", Role: chat.Viewer, Chat: g}}
}

func newBoard(t testing.TB, home *registry.Home, slug string) *owner.Owner {
	t.Helper()
	b, err := owner.Create(t.Context(), home, slug, strings.ToUpper(slug[:1])+slug[1:], events.DefaultPolicy(4), boardstest.Kai, owner.Options{Version: "test"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func newPlace(t testing.TB, change func(*chat.Options, *telegram.Options)) *place {
	t.Helper()
	home, err := registry.OpenHome(t.TempDir(), &registry.HomeOptions{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { home.Close() })
	p := &place{t: t, tg: chattest.NewTelegram(t), board: newBoard(t, home, "acme"), other: newBoard(t, home, "beta")}
	to := telegram.Options{Token: p.tg.Token, Server: p.tg.URL, Warn: func(err error) { p.noToken(err.Error()) }}
	o := chat.Options{Exec: createOnly, Allow: allow(), Zone: time.UTC,
		Rules: chat.Rules{Home: chat.Route{Board: "acme"}, Routes: []chat.Route{
			{Prefix: "/support", Board: "acme", Tenant: "support", Assignee: "helper", Tasks: true}, {Prefix: "/look", Board: "acme", ReadOnly: true}}},
		Board: func(_ context.Context, slug string) (api.Board, error) {
			if slug != "acme" {
				return nil, fmt.Errorf("board %s was opened", slug)
			}
			return p.board, nil
		},
		Warn: func(err error) { p.noToken(err.Error()) },
	}
	if change != nil {
		change(&o, &to)
	}
	if p.driver, err = telegram.New(to); err != nil {
		t.Fatal(err)
	}
	o.Platform = p.driver
	if p.chat, err = chat.New(o); err != nil {
		t.Fatal(err)
	}
	return p
}

// start runs the bot and the notifier; they end with the test, or by stop.
func (p *place) start() (stop func()) {
	ctx, cancel := context.WithCancel(p.t.Context())
	ended := make(chan error, 2)
	go func() { ended <- p.chat.Run(ctx) }()
	n := notify.New(p.board, notify.Options{Zone: time.UTC, Warn: func(err error) { p.noToken(err.Error()) },
		Platforms: map[string]notify.Platform{"telegram": {Sender: &chat.Notices{Platform: p.driver}}}})
	go func() { ended <- n.Run(ctx) }()
	done := false
	stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				p.t.Error(err)
			}
		}
		if wrong := p.tg.Wrong(); len(wrong) > 0 {
			p.t.Errorf("a real server would have refused: %q", wrong)
		}
	}
	p.t.Cleanup(stop)
	return stop
}

func (p *place) noToken(s string) {
	if strings.Contains(s, p.tg.Token) || strings.Contains(s, strings.SplitN(p.tg.Token, ":", 2)[1]) {
		p.t.Errorf("the token stands in %q", s)
	}
}

// createOnly stands for the command tree: it knows create and show.
func createOnly(ctx context.Context, c *chat.Call, b api.Board, argv []string) (out, words string, code int) {
	if err := chat.Check(c.Role, c.ReadOnly, c.Tenant != "", argv[0], nil); err != nil {
		return "", err.Error() + "\n", 2
	}
	if argv[0] != "create" {
		d, err := b.Show(ctx, 1)
		return fmt.Sprintf("%s %s\n%v\n", argv[0], d.Title, err), "", 0
	}
	t := boards.NewTask{Title: argv[1]}
	if len(argv) == 4 {
		t.Assignee = argv[3]
	}
	res, err := b.Do(ctx, boards.Principal{}, events.CommandID{}, boards.CreateTasks{Tasks: []boards.NewTask{t}})
	if err != nil {
		return "", err.Error() + "\n", 1
	}
	return fmt.Sprintf("%s  created\n", res.Tasks[0]), "", 0
}

// must carries out a command of the board's owner.
func (p *place) must(c boards.Command) boards.Result {
	p.t.Helper()
	res, err := p.board.Do(p.t.Context(), boardstest.Kai, owner.NewCommandID(), c)
	if err != nil {
		p.t.Fatal(err)
	}
	return res
}

// head is how many events of both boards came from a chat.
func (p *place) head() (n int) {
	p.t.Helper()
	for _, b := range []*owner.Owner{p.board, p.other} {
		err := eachRecord(p.t.Context(), b, func(r *events.Record) {
			if r.Actor.Via == "telegram" {
				n++
			}
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
	return n
}

func eachRecord(ctx context.Context, b api.Board, f func(*events.Record)) error {
	for from := uint64(1); ; {
		entries, err := b.Read(ctx, from, 0)
		if err != nil || len(entries) == 0 {
			return err
		}
		for _, e := range entries {
			r, err := events.Decode(e.Record)
			if err != nil {
				return err
			}
			f(&r)
			from = e.Seq + 1
		}
	}
}

// message waits for a message of the bot that says something, after those seen
// before.
func (p *place) message(says string) (m chattest.Posted) {
	p.t.Helper()
	p.tg.Await(p.t, fmt.Sprintf("a message that says %q", says), func() bool {
		sent := p.tg.Sent()
		for i := p.seq; i < len(sent); i++ {
			if strings.Contains(sent[i].Text, says) {
				m, p.seq = sent[i], i+1
				return true
			}
		}
		return false
	})
	return m
}

// edited waits until a message says something else.
func (p *place) edited(m chattest.Posted, says string) (now chattest.Posted) {
	p.t.Helper()
	p.tg.Await(p.t, fmt.Sprintf("message %d to say %q", m.ID, says), func() bool {
		for _, s := range p.tg.Sent() {
			if s.ID == m.ID && strings.Contains(s.Text, says) {
				now = s
				return true
			}
		}
		return false
	})
	return now
}

func (p *place) toast(says string) {
	p.t.Helper()
	p.tg.Await(p.t, fmt.Sprintf("a toast that says %q", says), func() bool {
		return slices.ContainsFunc(p.tg.Toasts(), func(s string) bool { return strings.Contains(s, says) })
	})
}

func (p *place) status(id events.TaskID) events.Status {
	d, err := p.board.Show(p.t.Context(), id)
	if err != nil {
		p.t.Fatal(err)
	}
	return d.Status
}

// button finds what a button carries.
func button(t testing.TB, m chattest.Posted, label string) string {
	t.Helper()
	for _, row := range m.Buttons {
		for _, k := range row {
			if k.Text == label {
				return k.Data
			}
		}
	}
	t.Fatalf("no button %q below %q: %v", label, m.Text, m.Buttons)
	return ""
}

func TestCreateAndBlockedAndAnswered(t *testing.T) {
	p := newPlace(t, nil)
	p.start()
	home := chattest.Private(kai)
	p.tg.Say(kai, home, `/kanban create “Collect prices” —assignee a`)
	if m := p.message("t1  created"); !strings.HasSuffix(m.Text, "acme 4") {
		t.Errorf("got %q, want the position of the last event", m.Text)
	}
	d, err := p.board.Show(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if d.Title != "Collect prices" || d.Assignee != "a" || d.CreatedBy != (events.Actor{Kind: events.Human, Name: "Kai", Via: "telegram"}) {
		t.Errorf("got %q for %q by %v", d.Title, d.Assignee, d.CreatedBy)
	}

	p.must(boards.BlockTask{Task: 1, Kind: events.BlockNeedsInput, Reason: "EUR or local?", Options: []string{"EUR", "local"}})
	m := p.message("t1 needs you")
	data := button(t, m, "EUR")
	if len(data) > 64 || len(m.Entities) != 1 || m.Entities[0].Type != "bold" {
		t.Errorf("got data %q, entities %v", data, m.Entities)
	}
	p.tg.Tap(kai, home, m, data)
	now := p.edited(m, "t1 answered by Kai ")
	if !strings.Contains(now.Text, ": EUR") || !strings.Contains(now.Text, "now ready") {
		t.Errorf("got %q", now.Text)
	}
	if p.status(1) != events.Ready {
		t.Errorf("got %s, want ready", p.status(1))
	}
	before := p.head()
	p.tg.Tap(kai, home, m, button(t, m, "local"))
	p.toast("already answered by Kai ")
	if p.head() != before {
		t.Errorf("a second tap left %d events", p.head()-before)
	}
}

// TestSettledElsewhere: what was answered from a command line, or in another chat,
// is not offered any more, and says by whom and what runs now.
func TestSettledElsewhere(t *testing.T) {
	p := newPlace(t, nil)
	p.start()
	p.tg.Topic(group, 5)
	for _, to := range []events.Destination{{Platform: "telegram", Chat: "7001"}, {Platform: "telegram", Chat: fmt.Sprint(group.ID), Thread: "5"}} {
		p.tg.Say(kai, chattest.Private(kai), "/kanban show t1") // a bot writes to who wrote first
		p.must(boards.Subscribe{To: to})
	}
	p.must(boards.CreateTasks{Tasks: []boards.NewTask{{Title: "prices"}}})
	claim(p, 1)
	p.must(boards.BlockTask{Task: 1, Reason: "EUR?", Options: []string{"EUR", "local"}})
	one := p.message("EUR?")
	two := p.message("EUR?")
	if one.Chat != kai.ID {
		one, two = two, one
	}
	p.must(boards.UnblockTask{Task: 1, Choice: 1})
	for _, m := range []chattest.Posted{one, two} {
		now := p.edited(m, "t1 answered by kai ")
		if !strings.Contains(now.Text, ": EUR") || len(now.Buttons) != 1 || len(now.Buttons[0]) != 1 || now.Buttons[0][0].Text != "Show" {
			t.Errorf("got %q with %v", now.Text, now.Buttons)
		}
	}
	claim(p, 1)
	p.edited(one, "running again, attempt 2")
	p.tg.Tap(kai, chattest.Private(kai), one, button(t, one, "local"))
	p.toast("already answered by kai ")
}

func TestLaterIsPutOff(t *testing.T) {
	p := newPlace(t, func(o *chat.Options, _ *telegram.Options) { o.Reminder = 7 * time.Hour })
	p.start()
	home := chattest.Private(kai)
	p.tg.Say(kai, home, "/kanban create prices")
	p.message("t1  created")
	p.must(boards.BlockTask{Task: 1, Reason: "EUR?"})
	m := p.message("EUR?")
	p.tg.Tap(kai, home, m, button(t, m, "Later"))
	p.toast("It stays as it is. You are reminded " + time.Now().Add(7*time.Hour).UTC().Format("Mon 15:"))
	if p.status(1) != events.Blocked {
		t.Errorf("it is %s", p.status(1))
	}
	p.tg.Reply(kai, home, m, "EUR")
	p.message("t1 answered.")
	p.edited(m, "answered by Kai")
	p.tg.Tap(kai, home, m, button(t, m, "Later")) // an old copy of it
	p.toast("already answered by Kai")
}

func TestRepliesAnswer(t *testing.T) {
	p := newPlace(t, nil)
	p.start()
	home := chattest.Private(ann)
	p.tg.Say(ann, home, `/kanban create report`)
	p.message("t1  created")
	p.must(boards.BlockTask{Task: 1, Reason: "which year?"})
	first := p.message("which year?")
	p.tg.Reply(ann, home, first, "2025")
	p.message("t1 answered.")
	p.edited(first, "answered by Ann ")
	d, _ := p.board.Show(t.Context(), 1)
	if d.Answer == nil || d.Answer.Body != "2025" || d.Answer.By.Name != "Ann" {
		t.Errorf("got the answer %+v", d.Answer)
	}
	p.tg.Reply(ann, home, first, "and hurry")
	p.message("t1 has your comment.")
	p.must(boards.BlockTask{Task: 1, Reason: "which month?"})
	second := p.message("which month?")
	before := p.head()
	p.tg.Reply(ann, home, first, "2024")
	p.message("t1 has asked something else since: which month?")
	if p.head() != before {
		t.Error("a reply to an old question left events")
	}
	p.tg.Reply(ann, home, second, "May")
	p.message("t1 answered.")
}

func TestReview(t *testing.T) {
	p := newPlace(t, nil)
	p.start()
	home := chattest.Private(ann)
	p.tg.Say(ann, home, `/kanban create copy`)
	p.message("t1  created")
	review := func() chattest.Posted {
		claim(p, 1)
		p.must(boards.RequestReview{Task: 1, Summary: "the page is written"})
		return p.message("the page is written")
	}
	m := review()
	p.tg.Tap(ann, home, m, button(t, m, "Ask for changes"))
	ask := p.message("What is to be changed?")
	if !ask.Force {
		t.Error("the question does not ask for a reply")
	}
	p.tg.Reply(ann, home, ask, "shorter, please")
	p.message("t1 sent back for changes.")
	d, _ := p.board.Show(t.Context(), 1)
	if d.Findings == nil || d.Findings.Body != "shorter, please" {
		t.Errorf("got findings %+v", d.Findings)
	}
	m = review()
	p.tg.Tap(ann, home, m, button(t, m, "Approve"))
	p.edited(m, "t1 approved by Ann ")
	if p.status(1) != events.Done {
		t.Errorf("got %s, want done", p.status(1))
	}
}

// claim has a person take a task.
func claim(p *place, id events.TaskID) {
	p.t.Helper()
	p.must(boards.ClaimTask{Task: id, Agent: "kai", Role: events.RoleWorker})
}

func TestRoles(t *testing.T) {
	p := newPlace(t, nil)
	p.start()
	p.must(boards.CreateTasks{Tasks: []boards.NewTask{{Title: "secret plan"}}})
	p.must(boards.Subscribe{To: events.Destination{Platform: "telegram", Chat: fmt.Sprint(group.ID), Thread: "5"}})
	p.tg.Topic(group, 5)
	p.must(boards.BlockTask{Task: 1, Reason: "why?", Options: []string{"so"}})
	m := p.message("why?")
	if m.Thread != 5 || m.Chat != group.ID {
		t.Errorf("got chat %d, topic %d", m.Chat, m.Thread)
	}
	before := p.head()
	for _, who := range []chattest.User{vic, stranger, ann} { // ann may in private only
		p.tg.Tap(who, group, m, button(t, m, "so"))
	}
	p.toast("You are a viewer here")
	p.toast("You may not answer here")
	p.tg.Say(vic, chattest.Private(vic), "/kanban create x")
	p.message("create is not for you: you are a viewer here")
	p.tg.Say(kai, chattest.Private(kai), "/look create x")
	p.message("nothing can be changed from here")
	p.tg.Say(vic, chattest.Private(vic), "/kanban show t1")
	p.message("show secret plan")
	if p.head() != before {
		t.Errorf("those without the right left %d events", p.head()-before)
	}
	p.tg.Tap(kai, group, m, button(t, m, "so"))
	p.edited(m, "answered by Kai")
}

func TestFreeText(t *testing.T) {
	p := newPlace(t, nil)
	p.start()
	home := chattest.Private(ann)
	p.tg.Say(ann, home, "hello, this is no command")
	p.tg.Say(ann, home, "/support the printer\non floor 2 is broken")
	p.message("t1 is on the board")
	d, _ := p.board.Show(t.Context(), 1)
	if d.Title != "the printer" || d.Body != "on floor 2 is broken" || d.Tenant != "support" || d.Assignee != "helper" {
		t.Errorf("got %q, %q, tenant %q, for %q", d.Title, d.Body, d.Tenant, d.Assignee)
	}
	p.must(boards.CompleteTask{Task: 1, Summary: "mended"})
	p.message("mended")
}
