//go:build linux

package main

import (
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents/chat/chattest"
)

// TestPairing: somebody unknown is given a code, let in from a command line while
// the gateway runs, and shut out again.
func TestPairing(t *testing.T) {
	t.Parallel()
	tg, p := chattest.NewTelegram(t), newPlace(t, nil, nil)
	p.withBot(tg, "")
	g := p.gateway()
	mia := chattest.User{ID: 7042, First: "Mia\u202e"}
	last := func() string { sent := tg.Sent(); return sent[len(sent)-1].Text }
	says := func(what string, answers int) string {
		t.Helper()
		tg.Say(mia, chattest.Private(mia), what)
		tg.Await(t, "an answer to "+what, func() bool { return tg.Count() == answers })
		return last()
	}
	code := regexp.MustCompile(`[A-Z2-9]{8}$`).FindString(says("/kanban list", 1))
	if code == "" {
		t.Fatalf("got no code in %q", last())
	}
	if out := p.must("pairing", "list"); !strings.Contains(out, "7042") || !strings.Contains(out, "has a code for 1h0m0s") || strings.Contains(out, code) || strings.Contains(out, "\u202e") {
		t.Errorf("got\n%s", out)
	}
	for _, bad := range [][]string{{"approve", "telegram", "AAAAAAAA"}, {"approve", "telegramm", code}, {"approve", "telegram", code, "--role", "king"}, {"approve", code},
		{"revoke", "telegram", "7042"}, {"revoke", "telegram", "7001"}} {
		if _, errs, status := p.hermes(append([]string{"pairing"}, bad...)...); status == 0 || errs == "" {
			t.Errorf("%v: got exit %d, %q", bad, status, errs)
		}
	}
	if out := p.must("pairing", "approve", "telegram", strings.ToLower(code), "--role", "viewer"); out != "Mia (7042) is a viewer in the chats of profile default now\n" {
		t.Errorf("got %q", out)
	}
	if got := says("/kanban list", 2); !strings.Contains(got, "no tasks") && !strings.Contains(got, "Done.") && !strings.Contains(got, "acme") {
		t.Errorf("got %q", got)
	}
	if got := says("/kanban create x", 3); !strings.Contains(got, "you are a viewer here") {
		t.Errorf("got %q", got)
	}
	if out := p.must("pairing", "list"); !strings.Contains(out, "viewer") || !strings.Contains(out, ", by kai") {
		t.Errorf("got\n%s", out)
	}
	if out := p.must("pairing", "revoke", "telegram", "7042", "--json"); !strings.Contains(out, `"id": "7042"`) {
		t.Errorf("got %q", out)
	}
	if got := says("/kanban list", 4); !strings.HasPrefix(got, "I do not know you.") {
		t.Errorf("got %q", got)
	}
	if out := p.must("pairing", "clear-pending"); out != "1 code dropped\n" {
		t.Errorf("got %q", out)
	}
	if _, errs, status := p.hermes("pairing", "list"); status != 0 || !strings.Contains(errs, "nobody was let in") {
		t.Errorf("got exit %d, %q", status, errs)
	}
	// The list follows the configuration as well, without a restart.
	p.must("config", "set", "telegram.allow", `[{"id": "7042", "role": "member"}]`)
	eventually(t, "Mia is on the list", func() bool {
		tg.Say(mia, chattest.Private(mia), "/kanban create x")
		pauseFor(100 * time.Millisecond) // who has a code already is not answered
		return strings.Contains(last(), "  ready")
	})
	tg.Await(t, "all to be handled", func() bool { return tg.Waiting() == 0 })
	n := tg.Count()
	tg.Say(kai, chattest.Private(kai), "/kanban list")
	tg.Await(t, "an answer to whoever is not on it any more", func() bool { return tg.Count() > n })
	if got := last(); !strings.HasPrefix(got, "I do not know you.") {
		t.Errorf("got %q", got)
	}
	g.signal(syscall.SIGTERM)
	g.ends(stopWithin)
}
