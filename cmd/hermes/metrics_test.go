package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func samples() []sample {
	var done counters
	for _, took := range []time.Duration{300 * time.Microsecond, 2 * time.Millisecond, time.Minute} {
		done.committed(took, 4)
		done.ticks.note(time.Millisecond)
	}
	return []sample{
		{Slug: "beta", Stats: projections.Stats{Events: 3}},
		{Slug: `a"c\me`, Info: api.Info{Bytes: 4096, Dispatcher: &api.DispatchInfo{LastTick: events.TimeOf(time.Now())}}, Told: notify.Counts{Sent: 5, Dead: 1, Lost: 2}, Done: done.now(),
			Stats: projections.Stats{Events: 12345678, Runs: 4, OpenRuns: 1, CostMicros: 1_920_000, Currency: "USD",
				ByOutcome: []projections.OutcomeCount{{Outcome: events.OutcomeCrashed, Count: 2}}, ByStatus: []projections.StatusCount{{Status: events.Ready, Count: 7}}}},
		{Slug: "gone", Err: errors.New("lost")},
	}
}

// expositionLine is a line of the text format 0.0.4.
var expositionLine = regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z_]+="([^"\\]|\\["\\n])*"(,[a-z_]+="([^"\\]|\\["\\n])*")*\})? -?[0-9.]+)$`)

func TestMetrics(t *testing.T) {
	text := string(exposition(samples(), &chat.Counts{Updates: 9, Sent: 8, Lost: 1, Again: 1, Dropped: 3}, time.Unix(1, 0), time.Now()))
	seen := map[string]bool{}
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		if !expositionLine.MatchString(l) {
			t.Errorf("not in the text format: %q", l)
		}
		if key, _, _ := strings.Cut(l, " "); key != "#" {
			if seen[key] {
				t.Errorf("%s is there twice", key)
			}
			seen[key] = true
		}
	}
	for _, want := range []string{"hermes_boards_held 3\n", "hermes_boards_unwell 1\n", `hermes_events_total{board="a\"c\\me"} 12345678` + "\n", `hermes_claims_total{board="a\"c\\me"} 5`,
		`hermes_runs_total{board="a\"c\\me",outcome="crashed"} 2`, `hermes_tasks{board="a\"c\\me",status="ready"} 7`, `hermes_cost_total{board="a\"c\\me",currency="USD"} 1.92`,
		`hermes_notifications_total{board="a\"c\\me",result="lost"} 2`, "hermes_start_time_seconds 1\n",
		`hermes_commit_seconds_bucket{board="a\"c\\me",le="0.0005"} 1`, `hermes_commit_seconds_bucket{board="a\"c\\me",le="0.0025"} 2`, `hermes_commit_seconds_bucket{board="a\"c\\me",le="+Inf"} 3`,
		`hermes_commit_seconds_sum{board="a\"c\\me"} 60.0023`, `hermes_commit_seconds_count{board="a\"c\\me"} 3`, `hermes_commands_total{board="a\"c\\me"} 12`,
		`hermes_dispatcher_tick_seconds_bucket{board="a\"c\\me",le="0.001"} 3`, `hermes_chat_updates_total{result="dropped"} 3`, `hermes_chat_answers_total{result="sent"} 8`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "gone") {
		t.Error("a board that does not answer has values")
	}
}

// TestMetricsAreBounded: a thousand boards do not make a thousand values.
func TestMetricsAreBounded(t *testing.T) {
	var list []sample
	for i := range 1000 {
		list = append(list, sample{Slug: fmt.Sprint("b", i)})
	}
	if n := strings.Count(string(exposition(list, nil, time.Now(), time.Now())), "hermes_events_total{"); n != maxMetricBoards {
		t.Errorf("got %d values, want %d", n, maxMetricBoards)
	}
}

func TestMonitor(t *testing.T) {
	list := samples()[:2]
	m := &monitor{since: time.Now(), boards: func(context.Context) []sample { return list }}
	l, err := listenLocal("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Serve(ctx, l) }()
	get := func(path string) (int, string) {
		r, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(b)
	}
	if code, body := get("/healthz"); code != 200 || body != "ok, 2 boards\n" {
		t.Errorf("got %d %q", code, body)
	}
	if code, body := get("/metrics"); code != 200 || !strings.Contains(body, "hermes_boards_held 2\n") {
		t.Errorf("got %d %q", code, body)
	}
	if code, _ := get("/debug/pprof/"); code != 404 {
		t.Errorf("got %d", code)
	}
	list = samples()
	list[0].Frozen = true
	list[1].Info.Dispatcher = &api.DispatchInfo{LastTick: events.TimeOf(time.Now().Add(-time.Hour))}
	if code, body := get("/healthz"); code != 503 || body != "a board does not answer (1 of 3)\na board has a dispatcher that hangs (1 of 3)\na board is frozen (1 of 3)\n" {
		t.Errorf("got %d %q", code, body)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	for _, test := range []struct {
		method, host string
		want         int
	}{{"POST", "127.0.0.1", 405}, {"GET", "evil.example", 403}, {"GET", "127.0.0.1.evil.example:80", 403}, {"GET", "[::1]:80", 200}, {"HEAD", "localhost:1", 200}} {
		r := httptest.NewRequest(test.method, "/metrics", nil)
		r.Host = test.host
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		if w.Code != test.want {
			t.Errorf("%s for %s: got %d, want %d", test.method, test.host, w.Code, test.want)
		}
	}
	for _, bad := range []string{"", "9464", ":9464", "0.0.0.0:0", "192.0.2.1:0", "[::]:0", "example.com:0"} {
		if l, err := listenLocal(bad); err == nil {
			l.Close()
			t.Errorf("%q was taken", bad)
		}
	}
}
