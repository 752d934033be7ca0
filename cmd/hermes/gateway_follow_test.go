//go:build linux

package main

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/agents/chat/chattest"
)

// gatewayOf is the only gateway, as hermes gateway status --json shows it.
func (p *place) gatewayOf() gatewayInfo {
	p.t.Helper()
	var out struct{ Gateways []gatewayInfo }
	if err := json.Unmarshal([]byte(p.must("gateway", "status", "--json")), &out, json.MatchCaseInsensitiveNames(true)); err != nil || len(out.Gateways) != 1 {
		p.t.Fatalf("got %+v, %v", out, err)
	}
	return out.Gateways[0]
}

// secret sets a secret of the profile.
func (p *place) secret(name, value string) {
	p.t.Helper()
	p.swap(filepath.Join(p.dir, ".env"), name+"="+value+"\n")
}

// freePort is a loopback address that nobody listens at.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestRevokedToken: a bot whose token was revoked is shown as such, with what
// helps; a new token is taken without a restart, and what was to be told is.
func TestRevokedToken(t *testing.T) {
	t.Parallel()
	tg, p := chattest.NewTelegram(t), newPlace(t, nil, nil)
	p.withBot(tg, "")
	g := p.gateway()
	tg.Say(kai, chattest.Private(kai), "/kanban create x")
	tg.Await(t, "an answer", func() bool { return tg.Count() == 1 })
	eventually(t, "the chat is up", func() bool { c := p.gatewayOf().Chat; return c != nil && c.State == chatUp })
	if out := p.must("gateway", "status"); strings.Contains(out, "no chat") {
		t.Errorf("got\n%s", out)
	}
	before := time.Now().Add(-time.Millisecond)
	tg.Revoke()
	eventually(t, "the token is known to be revoked", func() bool { return p.gatewayOf().Chat.State == chatRevoked })
	c := p.gatewayOf().Chat
	if at := c.Since.Time(); at.Before(before) || at.After(time.Now()) || !strings.Contains(c.Why, "401") || c.Token != "TELEGRAM_BOT_TOKEN" {
		t.Errorf("got %+v", c)
	}
	if out := p.must("gateway", "status"); !strings.Contains(out, "no chat: Telegram refuses the bot's token (401)") ||
		!strings.Contains(out, "hermes -p default config set TELEGRAM_BOT_TOKEN -\n") {
		t.Errorf("got\n%s", out)
	}
	const renewed = "4242:canary-0123456789abcdefghijklmnopq"
	tg.Renew(renewed)
	p.secret("TELEGRAM_BOT_TOKEN", renewed)
	tg.Say(kai, chattest.Private(kai), "/kanban create y")
	tg.Await(t, "an answer with the new token", func() bool { return tg.Count() == 2 })
	p.must("kanban", "block", "t1", "which?")
	tg.Await(t, "what is to be told", func() bool { return tg.Count() == 3 })
	eventually(t, "the chat is up again", func() bool { return p.gatewayOf().Chat.State == chatUp })
	if strings.Contains(g.log.String(), "canary") {
		t.Errorf("the new token shows:\n%s", g.log)
	}
	g.signal(syscall.SIGTERM)
	g.ends(stopWithin)
}

// TestGatewayFollows: quiet hours, webhooks, the address of health and metrics,
// and a bot where there was none are followed without a restart. What cannot be
// done is said, and leaves all as it was.
func TestGatewayFollows(t *testing.T) {
	t.Parallel()
	tg, r, p := chattest.NewTelegram(t), newReceiver(t), newPlace(t, nil, nil)
	g := p.gateway()
	if c := p.gatewayOf().Chat; c != nil {
		t.Errorf("got %+v without a bot", c)
	}
	p.secret("TELEGRAM_BOT_TOKEN", tg.Token)
	eventually(t, "a bot that nobody may use is not taken", func() bool {
		i := p.gatewayOf().Ignored
		return i != nil && strings.Contains(i.Why, "telegram.allow names nobody")
	})
	if out := p.must("gateway", "status"); !strings.Contains(out, "not as it is configured: ") {
		t.Errorf("got\n%s", out)
	}
	zone, at := daytime()
	p.must("config", "set", "board", "acme")
	p.must("config", "set", "chat.time_zone", zone)
	p.must("config", "set", "chat.quiet_hours", at.Add(-time.Hour).Format("15:04")+"-"+at.Add(3*time.Hour).Format("15:04"))
	p.must("config", "set", "telegram.server", tg.URL)
	p.must("config", "set", "telegram.allow", `[{"id": "7001", "name": "Kai", "role": "owner"}]`)
	tg.Say(kai, chattest.Private(kai), "/kanban create x")
	tg.Await(t, "an answer", func() bool { return tg.Count() == 1 })
	eventually(t, "it does as it is configured", func() bool { s := p.gatewayOf(); return s.Ignored == nil && s.Chat.State == chatUp })

	// What happens in quiet hours is told when there are none any more.
	p.must("kanban", "block", "t1", "which?")
	p.must("config", "set", "webhooks", `[{"name": "ci", "url": "`+r.URL+`/hook", "secret": "CI_SECRET"}]`)
	eventually(t, "a webhook without its secret is not taken", func() bool { i := p.gatewayOf().Ignored; return i != nil && strings.Contains(i.Why, "CI_SECRET") })
	if out, _, code := p.hermes("config", "check"); code != exitRefused || !strings.Contains(out, "CI_SECRET") {
		t.Errorf("config check: got exit %d, %s", code, out)
	}
	if tg.Count() != 1 {
		t.Errorf("told in quiet hours: %q", tg.Transcript())
	}
	p.secret("CI_SECRET", "0123456789abcdef-canary\nTELEGRAM_BOT_TOKEN="+tg.Token)
	p.must("kanban", "notify-subscribe", "--board-wide", "--to", "webhook:ci")
	p.must("kanban", "complete", p.create("nobody"))
	eventually(t, "the webhook is told", func() bool { w, _ := r.told(); return len(w) == 1 })
	if tg.Count() != 1 {
		t.Errorf("told in quiet hours: %q", tg.Transcript())
	}
	p.must("config", "unset", "chat.quiet_hours")
	tg.Await(t, "what was held back", func() bool { return tg.Count() >= 2 })

	inTheWay, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inTheWay.Close()
	p.must("config", "set", "gateway.listen", inTheWay.Addr().String())
	eventually(t, "it says that the address is taken", func() bool { i := p.gatewayOf().Ignored; return i != nil && strings.Contains(i.Why, "in use") })
	for range 2 {
		address := freePort(t)
		p.must("config", "set", "gateway.listen", address)
		eventually(t, "metrics at the new address", func() bool {
			return fetched("http://"+address+"/metrics", `hermes_notifications_total{board="acme",result="sent"} 2`)
		})
	}
	eventually(t, "all is as it is configured", func() bool { return p.gatewayOf().Ignored == nil })
	if strings.Contains(g.log.String(), "canary") || strings.Contains(g.log.String(), tg.Token) {
		t.Errorf("a secret shows:\n%s", g.log)
	}
	g.signal(syscall.SIGTERM)
	g.ends(stopWithin)
	if wrong := tg.Wrong(); len(wrong) > 0 {
		t.Errorf("a real server would have refused %q", wrong)
	}
}

// daytime is a zone in which it is far from midnight, and the time there.
func daytime() (zone string, now time.Time) {
	zone = "Etc/GMT"
	if h := time.Now().UTC().Hour(); h < 6 {
		zone = "Etc/GMT-6"
	} else if h >= 18 {
		zone = "Etc/GMT+6"
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		panic(err)
	}
	return zone, time.Now().In(loc)
}

// fetched reports whether a page can be had, and has something in it.
func fetched(url, what string) bool {
	answer, err := http.Get(url)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return err == nil && strings.Contains(string(b), what)
}

// TestOperatorsDigest: an owner of a profile that may open every board is told
// each morning of all, whoever holds them; a group is told of its own.
func TestOperatorsDigest(t *testing.T) {
	t.Parallel()
	tg, p := chattest.NewTelegram(t), newPlace(t, nil, nil)
	p.must("profile", "create", "beta")
	p.must("profile", "create", "gamma") // whose gateway does not run
	p.withBot(tg, "")
	client, g := p.spawn("--profile", "beta"), p.gateway()
	eventually(t, "the client's gateway holds its board", func() bool { return client.wrote(`"message":"holding"`) })
	group := chattest.Chat{ID: -100, Type: "supergroup"}
	tg.Say(kai, chattest.Private(kai), "/kanban list")
	tg.Await(t, "an answer", func() bool { return tg.Count() == 1 })
	tg.Say(kai, group, "hello")
	p.must("kanban", "notify-subscribe", "--board-wide", "--to", "telegram:7001")
	p.must("kanban", "notify-subscribe", "--board-wide", "--to", "telegram:-100")
	p.must("kanban", "create", "a", "--board", "beta")
	p.must("kanban", "complete", "t1", "--board", "beta")
	p.must("kanban", "create", "a", "--board", "gamma", "--triage")
	tg.Await(t, "the group is known", func() bool { return tg.Waiting() == 0 })
	zone, at := daytime()
	p.must("config", "set", "chat.time_zone", zone)
	p.must("config", "set", "chat.digest", at.Add(-time.Minute).Format("15:04"))
	var own, other string
	tg.Await(t, "both digests", func() bool {
		for _, m := range tg.Sent() {
			if strings.HasPrefix(m.Text, "Good morning. ") {
				if m.Chat == kai.ID {
					own = m.Text
				} else {
					other = m.Text
				}
			}
		}
		return own != "" && other != ""
	})
	for _, want := range []string{", 3 boards", "\nAcme: nothing\n", "\nbeta: 1 done\n", "\ngamma: ", "Gateways 2 of 3 up.", "Heads: acme ", " · beta ", " · gamma "} {
		if !strings.Contains(own, want) {
			t.Errorf("got\n%s\nwant %q in it", own, want)
		}
	}
	if strings.Contains(other, "beta") || strings.Contains(other, "gamma") || !strings.Contains(other, "Acme: nothing") {
		t.Errorf("the group got\n%s", other)
	}
	for _, slug := range []string{"beta", "gamma"} {
		if log := p.must("board", "replay", slug, "--json"); strings.Contains(log, "notify") {
			t.Errorf("it is on record on %s", slug)
		}
	}
	for _, g := range []*running{client, g} {
		g.signal(syscall.SIGTERM)
		g.ends(stopWithin)
	}
}
