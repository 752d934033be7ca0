//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/agents/notify/webhook"
	"github.com/hermesboard/hermes/events/bus"
)

// receiver is a program that is told, with an answer that can be changed.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	answer int            // 0 = none; guarded by mu
	got    map[string]int // deliveries by what they told and their id; guarded by mu
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{answer: http.StatusNoContent, got: map[string]int{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		var e bus.Event
		if err != nil || json.Unmarshal(body, &e) != nil {
			t.Errorf("got %q, %v", body, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.answer/100 == 2 {
			r.got[fmt.Sprintf("%s %s %d", e.Subject, strings.TrimPrefix(e.Type, bus.TypePrefix+"task."), e.Sequence)]++
		}
		if q.Header.Get(webhook.HeaderSignature) == "" {
			t.Error("a delivery without a signature")
		}
		w.WriteHeader(r.answer)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(status int) { r.mu.Lock(); r.answer = status; r.mu.Unlock() }

// told lists what was told, as "t1 completed", and how often in all.
func (r *receiver) told() (words []string, times int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, n := range r.got {
		words, times = append(words, key[:strings.LastIndexByte(key, ' ')]), times+n
	}
	slices.Sort(words)
	return words, times
}

// TestGatewayTells: a gateway tells a program, also what happened while there
// was none and while it was killed; what the program refuses for good is listed
// and can be sent again; schedules and metrics are seen to.
func TestGatewayTells(t *testing.T) {
	t.Parallel()
	p, r := newPlace(t, nil, nil), newReceiver(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // a free port
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for name, content := range map[string]string{
		"config.yaml": "webhooks:\n  - {name: ci, url: \"" + r.URL + "/hook\", secret: CI_SECRET}\ngateway:\n  listen: " + address + "\n",
		".env":        "CI_SECRET=0123456789abcdef-canary\n",
	} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	complete := func() { p.must("kanban", "complete", p.create("nobody")) }
	p.must("kanban", "notify-subscribe", "--board-wide", "--to", "webhook:ci")
	complete() // nobody tells yet
	g := p.gateway()
	tells := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d events are told", n), func() bool { w, _ := r.told(); return len(w) == n })
	}
	tells(1)
	for range 3 { // killed as soon as something has happened
		complete()
		g.signal(syscall.SIGKILL)
		<-g.done
		g = p.gateway()
	}
	tells(4)
	// The last may have been taken by the receiver and come again, because the
	// gateway was killed before it could say so.
	eventually(t, "t4 is on record as told", func() bool { return strings.Contains(p.must("kanban", "why", "t4"), "ci on webhook ") })
	r.answers(http.StatusGone)
	complete()
	eventually(t, "a dead letter", func() bool { return strings.Contains(p.must("kanban", "notify-list", "--dead"), "it answered 410") })
	r.answers(http.StatusOK)
	p.must("kanban", "notify-retry", "--all")
	tells(5)
	if words, times := r.told(); !slices.Equal(words, []string{"t1 completed", "t2 completed", "t3 completed", "t4 completed", "t5 completed"}) || times > 5+3 {
		t.Errorf("got %v in %d deliveries", words, times)
	}
	if why := p.must("kanban", "why", "t1"); !strings.Contains(why, "ci on webhook ") {
		t.Errorf("why says\n%s", why)
	}
	answer, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(text), `hermes_notifications_total{board="acme",result="dead"} 1`) {
		t.Errorf("got %v\n%s", err, text)
	}
	if strings.Contains(g.log.String()+string(text), "canary") {
		t.Error("the secret shows")
	}
	g.signal(syscall.SIGTERM)
	g.ends(stopWithin)
}
