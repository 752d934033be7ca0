//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/agents/chat/chattest"
	"github.com/hermesboard/hermes/events"
)

var kai = chattest.User{ID: 7001, First: "Kai"}

// withBot gives a place's profile a bot that Kai may use.
func (p *place) withBot(tg *chattest.Telegram, more string) {
	p.t.Helper()
	for name, content := range map[string]string{
		"config.yaml": "board: acme\nchat:\n  rate_per_minute: 1000000\n" + more + "telegram:\n  server: " + tg.URL + "\n  allow:\n    - {id: \"7001\", name: Kai, role: owner}\n",
		".env":        "TELEGRAM_BOT_TOKEN=" + tg.Token + "\n",
	} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
}

// wrote reports whether a gateway has logged something.
func (r *running) wrote(what string) bool { return strings.Contains(r.log.String(), what) }

// said is when a gateway logged something of a board first.
func (r *running) said(message, board string) time.Time {
	r.t.Helper()
	for l := range strings.Lines(r.log.String()) {
		var e struct {
			Message, Board string
			Time           time.Time
		}
		if json.Unmarshal([]byte(l), &e, json.MatchCaseInsensitiveNames(true)) == nil && e.Message == message && e.Board == board {
			return e.Time
		}
	}
	r.t.Fatalf("it never said %q of %s\n%s", message, board, r.log)
	return time.Time{}
}

// swap puts a whole file in the place of another, as an editor does.
func (p *place) swap(path, content string) {
	p.t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		p.t.Fatal(err)
	}
}

// made counts the tasks of a board by their titles.
func (p *place) made() map[string]int {
	p.t.Helper()
	b := p.open()
	defer b.Close()
	_, titles := wholeLog(p.t, b)
	return titles
}

// TestChatFailover: gateways that have the bot are killed in the middle of a
// burst. The one that waits takes over board, bot and updates; every command is
// carried out once, and answered.
func TestChatFailover(t *testing.T) {
	t.Parallel()
	tg, p := chattest.NewTelegram(t), newPlace(t, nil, nil)
	p.withBot(tg, "")
	first := p.gateway()
	eventually(t, "the first has the bot", func() bool { return first.wrote(`"message":"chat up"`) })
	n, killed := 0, 3
	for round := range killed {
		second := p.spawn("--standby")
		eventually(t, "another waits", func() bool {
			return second.wrote("no chat while another gateway has the bot") && second.wrote(`"message":"waiting"`)
		})
		for range 150 {
			tg.Say(kai, chattest.Private(kai), fmt.Sprintf("/kanban create n%d", n))
			n++
		}
		least := n - 150 + 20*(round+1)
		tg.Await(t, "some are answered", func() bool { return tg.Count() >= least })
		first.signal(syscall.SIGKILL)
		<-first.done
		eventually(t, "the one that waits takes the bot", func() bool { return second.wrote(`"message":"chat up"`) })
		first = second
		tg.Await(t, "every update is handled", func() bool { return tg.Waiting() == 0 })
	}
	answers := make(map[string]int)
	for _, m := range tg.Sent() {
		if m.Chat != kai.ID || !strings.Contains(m.Text, "ready") {
			t.Errorf("got an answer that is none: %q", m.Text)
		}
		id, _, _ := strings.Cut(m.Text, " ")
		if answers[id]++; answers[id] > 1 && !strings.Contains(m.Text, "you may have this answer already") {
			t.Errorf("a second answer does not say so: %q", m.Text)
		}
	}
	titles := p.made()
	twice := 0
	for i := range n {
		if got := titles[fmt.Sprint("n", i)]; got != 1 {
			t.Errorf("n%d was made %d times, want once", i, got)
		}
		id := fmt.Sprint("t", i+1)
		if answers[id] == 0 {
			t.Errorf("%s was never answered", id)
		}
		twice += max(0, answers[id]-1)
	}
	if len(titles) != n || twice > killed*101 { // a request brings a hundred updates, of which none was confirmed
		t.Errorf("got %d tasks and %d second answers of %d updates", len(titles), twice, n)
	}
	if wrong := tg.Wrong(); len(wrong) > 0 {
		t.Errorf("a real server would have refused %q", wrong)
	}
	t.Logf("%d updates, %d gateways killed, %d answers came twice", n, killed, twice)
	first.signal(syscall.SIGTERM)
	first.ends(stopWithin)
}

// TestChatOfAStoppedGateway: one that is stopped by a signal loses the bot and,
// when it goes on, does not ask for updates any more. The other answers, on a
// board that the first holds, and that stands in the record as what it is.
func TestChatOfAStoppedGateway(t *testing.T) {
	t.Parallel()
	tg, p := chattest.NewTelegram(t), newPlace(t, nil, nil)
	p.withBot(tg, "")
	first := p.gateway()
	eventually(t, "the first has the bot", func() bool { return first.wrote(`"message":"chat up"`) })
	second := p.spawn("--standby")
	eventually(t, "the second waits", func() bool { return second.wrote("no chat while another gateway has the bot") })
	first.signal(syscall.SIGSTOP)
	eventually(t, "the second takes the bot", func() bool { return second.wrote(`"message":"chat up"`) })
	first.signal(syscall.SIGCONT)
	eventually(t, "the first finds that it has lost it", func() bool { return first.wrote("chat down: this process has lost the bot") })
	tg.Say(kai, chattest.Private(kai), "/kanban create x")
	tg.Await(t, "an answer", func() bool { return tg.Count() == 1 })
	if got := tg.Sent()[0].Text; !strings.HasPrefix(got, "t1  ready") {
		t.Fatalf("got %q", got)
	}
	want := events.Actor{Kind: events.Human, Name: "Kai", Via: fmt.Sprintf("telegram uid=%d pid=%d", os.Geteuid(), second.pid())}
	if got := p.show("t1").CreatedBy; got != want {
		t.Errorf("it was made by %v, want %v", got, want)
	}
	polls, _ := tg.Polls()
	pauseFor(1200 * time.Millisecond) // more than one look at the lock
	if first.wrote("another process receives") {
		t.Errorf("the first fights for the updates:\n%s", first.log)
	}
	if after, _ := tg.Polls(); after > polls+2 {
		t.Errorf("got %d requests for updates in a second without any", after-polls)
	}
	for _, g := range []*running{first, second} {
		g.signal(syscall.SIGTERM)
		g.ends(stopWithin)
	}
}

// TestTwoGatewaysOfAProfile: of two that hold different boards one has the bot.
// The other tells through it all the same, and takes it when the first ends.
func TestTwoGatewaysOfAProfile(t *testing.T) {
	t.Parallel()
	tg, p := chattest.NewTelegram(t), newPlace(t, nil, nil)
	p.must("board", "create", "beta")
	p.withBot(tg, "")
	first := p.gateway("--only", "acme")
	eventually(t, "the first has the bot", func() bool { return first.wrote(`"message":"chat up"`) })
	second := p.spawn("--only", "beta")
	eventually(t, "the second holds the other board", func() bool { return second.wrote(`"board":"beta","runs":0`) })
	tg.Say(kai, chattest.Private(kai), "/kanban list") // a bot writes to who wrote first
	tg.Await(t, "an answer", func() bool { return tg.Count() == 1 })
	p.must("kanban", "notify-subscribe", "--board", "beta", "--board-wide", "--to", "telegram:7001")
	p.must("kanban", "create", "x", "--board", "beta")
	p.must("kanban", "complete", "t1", "--board", "beta")
	tg.Await(t, "the news", func() bool { return tg.Count() == 2 })
	if got := tg.Sent()[1].Text; !strings.HasPrefix(got, "beta · t1 is done") {
		t.Errorf("got %q", got)
	}
	first.signal(syscall.SIGKILL)
	<-first.done
	eventually(t, "the second has the bot", func() bool { return second.wrote(`"message":"chat up"`) })
	second.signal(syscall.SIGTERM)
	second.ends(stopWithin)
	if wrong := tg.Wrong(); len(wrong) > 0 {
		t.Errorf("a real server would have refused %q", wrong)
	}
}

// TestChatWithoutAPlaceForItsLock: a gateway that cannot lock its bot holds its
// boards, says why it has no chat, and has one when it can.
func TestChatWithoutAPlaceForItsLock(t *testing.T) {
	t.Parallel()
	tg, p := chattest.NewTelegram(t), newPlace(t, nil, nil)
	p.withBot(tg, "")
	inTheWay := filepath.Join(p.dir, sharedPrefix+fmt.Sprint(os.Geteuid()))
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g := p.gateway()
	eventually(t, "it says why", func() bool { return g.wrote("chat: token locks: " + inTheWay + " is not a folder of user") })
	if g.wrote("chat up") {
		t.Errorf("it has a chat:\n%s", g.log)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has a chat", func() bool { return g.wrote("chat up") })
	g.signal(syscall.SIGTERM)
	g.ends(stopWithin)
}

// TestOneBotInTwoHomes: two homes of a user that have the same bot see each other.
func TestOneBotInTwoHomes(t *testing.T) {
	t.Parallel()
	tg, p, q := chattest.NewTelegram(t), newPlace(t, nil, nil), newPlace(t, nil, nil)
	for i, e := range q.env {
		if strings.HasPrefix(e, "HERMES_SHARED_DIR=") {
			q.env[i] = "HERMES_SHARED_DIR=" + p.dir
		}
	}
	p.withBot(tg, "")
	q.withBot(tg, "")
	g := p.gateway()
	_, errs, code := q.hermes("gateway", "run")
	want := fmt.Sprintf("[Telegram] Bot token already in use by profile default (PID %d).", g.pid())
	if code != exitRefused || !strings.Contains(errs, want) {
		t.Errorf("got exit %d, %s; want %s", code, errs, want)
	}
	g.signal(syscall.SIGTERM)
	g.ends(stopWithin)
	h := q.gateway()
	eventually(t, "the other has the bot", func() bool { return h.wrote(`"message":"chat up"`) })
	h.signal(syscall.SIGTERM)
	h.ends(stopWithin)
}

// TestBoardTakenFromAProfile: a board that a profile may not open any more is let
// go of, and given back to whoever holds what nobody names.
func TestBoardTakenFromAProfile(t *testing.T) {
	t.Parallel()
	p := newPlace(t, agentScripts, nil)
	p.must("board", "create", "beta")
	p.must("profile", "create", "client")
	p.must("profile", "boards", "client", "acme", "beta")
	own := p.spawn()
	eventually(t, "the operator's gateway is up", func() bool { return own.wrote("gateway up") })
	client := p.spawn("--profile", "client")
	eventually(t, "the client's holds both boards", func() bool {
		return client.wrote(`"board":"acme","runs":0`) && client.wrote(`"board":"beta","runs":0`)
	})
	if own.wrote(`"board":"acme"`) || own.wrote(`"board":"beta"`) {
		t.Fatalf("the operator's gateway holds a board of the client:\n%s", own.log)
	}
	p.must("profile", "boards", "client", "acme")
	eventually(t, "the board is let go of", func() bool {
		return client.wrote(`"board":"beta","runs":0,"time":`) && client.wrote(`"message":"let go"`)
	})
	eventually(t, "the operator's gateway takes it", func() bool { return own.wrote(`"board":"beta","runs":0`) })
	left, taken := client.said("let go", "beta"), own.said("holding", "beta")
	if took := taken.Sub(left); took > lookEvery-time.Second { // it did not wait until it looks anyway
		t.Errorf("the operator's gateway took the board %s after the client's let go of it", took)
	}
	p.must("profile", "boards", "client", "acme", "beta")
	eventually(t, "it comes back", func() bool { return strings.Count(client.log.String(), `"message":"holding"`) == 3 })
	p.swap(filepath.Join(p.dir, "profiles", "client", "config.yaml"), "boards: [\n")
	p.must("kanban", "create", "while the configuration is broken", "--board", "beta")
	if strings.Count(client.log.String(), `"message":"let go"`) != 1 {
		t.Errorf("a broken configuration took a board away:\n%s", client.log)
	}
	for _, g := range []*running{client, own} {
		g.signal(syscall.SIGTERM)
		g.ends(stopWithin)
	}
}
