//go:build linux

package main

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hermesboard/hermes/agents/chat/chattest"
)

// metricFamilies are the metrics of a gateway. Their names and labels are a
// promise to whoever has a dashboard.
var metricFamilies = []string{"hermes_board_bytes", "hermes_boards_held", "hermes_boards_unwell", "hermes_build_info", "hermes_chat_answers_total", "hermes_chat_updates_total",
	"hermes_claims_total", "hermes_commands_total", "hermes_commit_seconds", "hermes_cost_total", "hermes_dispatcher_last_tick_seconds", "hermes_dispatcher_tick_seconds",
	"hermes_events_total", "hermes_goroutines", "hermes_needs_you", "hermes_notifications_total", "hermes_runs_open", "hermes_runs_total", "hermes_start_time_seconds",
	"hermes_tasks", "hermes_tokens_total"}

// scraped are the values of a gateway by name and labels, and its families.
func scraped(t *testing.T, address string) (values map[string]float64, families []string) {
	t.Helper()
	answer, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("got %s, %v", answer.Status, err)
	}
	values = make(map[string]float64)
	for l := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(l, "# TYPE "); ok {
			families = append(families, strings.Fields(name)[0])
			continue
		}
		if i := strings.LastIndexByte(l, ' '); i > 0 && l[0] != '#' {
			n, err := strconv.ParseFloat(strings.TrimSpace(l[i:]), 64)
			if err != nil {
				t.Errorf("%q: %v", l, err)
			}
			values[l[:i]] = n
		}
	}
	slices.Sort(families)
	return values, families
}

// TestScrape: what a gateway does shows in its metrics.
func TestScrape(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // a free port
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	tg, p := chattest.NewTelegram(t), newPlace(t, agentScripts, nil)
	p.withBot(tg, "gateway:\n  listen: "+address+"\n")
	g := p.gateway()
	tg.Say(kai, chattest.Private(kai), "/kanban create x --assignee quick")
	tg.Await(t, "the answer", func() bool { return tg.Count() >= 1 })
	p.endsAs("t1", "completed")
	tg.Await(t, "the answer and the news", func() bool { return tg.Count() >= 2 })
	got, families := scraped(t, address)
	if !slices.Equal(families, metricFamilies) {
		t.Errorf("got the families\n%q, want\n%q", families, metricFamilies)
	}
	for name, least := range map[string]float64{
		"hermes_boards_held": 1, `hermes_commit_seconds_count{board="acme"}`: 4, `hermes_commands_total{board="acme"}`: 6, `hermes_commit_seconds_sum{board="acme"}`: 1e-6,
		`hermes_dispatcher_tick_seconds_count{board="acme"}`: 2, `hermes_dispatcher_tick_seconds_bucket{board="acme",le="+Inf"}`: 2,
		`hermes_chat_updates_total{result="taken"}`: 1, `hermes_chat_answers_total{result="sent"}`: 1,
		`hermes_notifications_total{board="acme",result="sent"}`: 1, `hermes_runs_total{board="acme",outcome="completed"}`: 1,
	} {
		if got[name] < least {
			t.Errorf("%s is %g, want at least %g", name, got[name], least)
		}
	}
	if t.Failed() {
		t.Log(fmt.Sprint(slices.Sorted(maps.Keys(got))))
	}
	g.signal(syscall.SIGTERM)
	g.ends(stopWithin)
}
