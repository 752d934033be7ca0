package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/projections"
)

// maxMetricBoards bounds the values of the label board.
const maxMetricBoards = 500

// dispatchLate is after how long without a pass a dispatcher is not well; it
// looks at least twice a minute.
const dispatchLate = 3 * time.Minute

// sample is what is known of a held board at one instant.
type sample struct {
	Slug   string
	Info   api.Info
	Stats  projections.Stats
	Told   notify.Counts
	Done   work
	Frozen bool // an append of unknown outcome is being resolved
	Err    error
}

// trouble says why a board is not well; empty = it is.
func (s *sample) trouble(now time.Time) string {
	switch d := s.Info.Dispatcher; {
	case s.Err != nil:
		return "does not answer"
	case s.Frozen:
		return "is frozen"
	case d != nil && now.Sub(cmp.Or(d.LastTick, d.Since).Time()) > dispatchLate:
		return "has a dispatcher that hangs"
	}
	return ""
}

// work is what a gateway did for a board since it took it over.
type work struct {
	Commits  timed
	Commands uint64 // that made events
	Ticks    timed  // looks of the dispatcher
}

// counters count the work for a board. Safe for concurrent use.
type counters struct {
	commits, ticks timing
	commands       atomic.Uint64
}

func (c *counters) committed(took time.Duration, commands int) {
	c.commits.note(took)
	c.commands.Add(uint64(commands))
}

func (c *counters) now() work { return work{c.commits.now(), c.commands.Load(), c.ticks.now()} }

// monitor serves /healthz and /metrics of a gateway. Boards returns the boards
// it holds, chat what its chat did; they are called for each request.
type monitor struct {
	boards func(ctx context.Context) []sample
	chat   func() *chat.Counts // nil, or returning nil = there is no chat
	since  time.Time
}

// sample asks a held board.
func (s *service) sample(ctx context.Context, told notify.Counts) sample {
	m := sample{Slug: s.held.Slug(), Told: told, Done: s.done.now(), Frozen: s.owner.Frozen()}
	var err, err2 error
	m.Info, err = s.owner.Info(ctx)
	m.Stats, err2 = s.owner.Stats(ctx)
	m.Err = errors.Join(err, err2)
	return m
}

// listenLocal listens for a monitor. The address is a loopback one: what it
// tells is for this host.
func listenLocal(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("gateway.listen: %q is not a loopback address with a port (want for example 127.0.0.1:9464)", address)
	}
	return net.Listen("tcp", address)
}

// Serve answers until ctx ends. It closes l.
func (m *monitor) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: m, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}

// ServeHTTP implements [http.Handler]. A request that names another host is
// refused: it comes from a page in somebody's browser.
func (m *monitor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case host != "localhost" && (ip == nil || !ip.IsLoopback()):
		http.Error(w, "not for this host", http.StatusForbidden)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "GET only", http.StatusMethodNotAllowed)
	case r.URL.Path == "/healthz":
		m.health(w, r)
	case r.URL.Path == "/metrics":
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		var chats *chat.Counts
		if m.chat != nil {
			chats = m.chat()
		}
		w.Write(exposition(m.boards(r.Context()), chats, m.since, time.Now()))
	default:
		http.NotFound(w, r)
	}
}

// health says in one line whether all is well, and what is not, without names.
func (m *monitor) health(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	list := m.boards(r.Context())
	count := make(map[string]int)
	for i := range list {
		if s := list[i].trouble(time.Now()); s != "" {
			count["a board "+s]++
		}
	}
	if len(count) == 0 {
		fmt.Fprintf(w, "ok, %s\n", plural(len(list), "board", "boards"))
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	for _, s := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(w, "%s (%d of %d)\n", s, count[s], len(list))
	}
}

// exposition is what /metrics answers: the text format of Prometheus. It is
// written here because the client library would be in the way of every start of
// a command line for the sake of one page.
func exposition(list []sample, chats *chat.Counts, since, now time.Time) []byte {
	slices.SortFunc(list, func(a, b sample) int { return strings.Compare(a.Slug, b.Slug) })
	x := &metrics{}
	x.family("hermes_build_info", "gauge", "The program that runs.")
	x.line(1, "version", version())
	x.family("hermes_start_time_seconds", "gauge", "When the gateway started.")
	x.line(float64(since.UnixMilli()) / 1000)
	x.family("hermes_goroutines", "gauge", "Goroutines of the gateway.")
	x.line(float64(runtime.NumGoroutine()))
	x.family("hermes_boards_held", "gauge", "Boards this gateway holds.")
	x.line(float64(len(list)))
	x.family("hermes_boards_unwell", "gauge", "Boards among them that do not answer, are frozen or have a dispatcher that hangs.")
	unwell := 0
	for i := range list {
		if list[i].trouble(now) != "" {
			unwell++
		}
	}
	x.line(float64(unwell))
	if chats != nil {
		x.chat(chats)
	}
	list = slices.DeleteFunc(slices.Clone(list), func(s sample) bool { return s.Err != nil })
	x.boards(list[:min(len(list), maxMetricBoards)])
	return x.Bytes()
}

// chat writes the families of the gateway's chat.
func (x *metrics) chat(n *chat.Counts) {
	x.family("hermes_chat_updates_total", "counter", "Updates of the chat: those that meant something, and those beyond a chat's rate, which were dropped.")
	x.line(float64(n.Updates), "result", "taken")
	x.line(float64(n.Dropped), "result", "dropped")
	x.family("hermes_chat_answers_total", "counter", "Answers that the platform took, whose reply was lost, and that were sent twice because of that.")
	x.line(float64(n.Sent), "result", "sent")
	x.line(float64(n.Lost), "result", "lost")
	x.line(float64(n.Again), "result", "again")
}

// boards writes the families that have a line for each board.
func (x *metrics) boards(list []sample) {
	each := func(name, kind, help string, value func(s *sample) float64) {
		x.family(name, kind, help)
		for i := range list {
			x.line(value(&list[i]), "board", list[i].Slug)
		}
	}
	each("hermes_events_total", "counter", "Events in the log.", func(s *sample) float64 { return float64(s.Stats.Events) })
	each("hermes_board_bytes", "gauge", "Size of the board's file.", func(s *sample) float64 { return float64(s.Info.Bytes) })
	each("hermes_claims_total", "counter", "Runs that were claimed.", func(s *sample) float64 { return float64(s.Stats.Runs + s.Stats.OpenRuns) })
	each("hermes_runs_open", "gauge", "Runs that have not ended.", func(s *sample) float64 { return float64(s.Stats.OpenRuns) })
	each("hermes_needs_you", "gauge", "Things that wait for a person.", func(s *sample) float64 { return float64(s.Stats.NeedsYou) })
	each("hermes_tokens_total", "counter", "Tokens that runs read and wrote.", func(s *sample) float64 { return float64(s.Stats.Tokens) })
	x.family("hermes_cost_total", "counter", "What runs cost, in the currency of the board's policy.")
	for i := range list {
		x.line(float64(list[i].Stats.CostMicros)/1e6, "board", list[i].Slug, "currency", list[i].Stats.Currency)
	}
	x.family("hermes_runs_total", "counter", "Runs that ended, by outcome.")
	for i := range list {
		for _, c := range list[i].Stats.ByOutcome {
			x.line(float64(c.Count), "board", list[i].Slug, "outcome", c.Outcome.String())
		}
	}
	x.family("hermes_tasks", "gauge", "Tasks, by status.")
	for i := range list {
		for _, c := range list[i].Stats.ByStatus {
			x.line(float64(c.Count), "board", list[i].Slug, "status", c.Status.String())
		}
	}
	x.family("hermes_notifications_total", "counter", "Messages that a platform took, that were given up, and whose answer was lost, since the board was taken over.")
	for i := range list {
		s := &list[i]
		x.line(float64(s.Told.Sent), "board", s.Slug, "result", "sent")
		x.line(float64(s.Told.Dead), "board", s.Slug, "result", "dead")
		x.line(float64(s.Told.Lost), "board", s.Slug, "result", "lost")
	}
	each("hermes_commands_total", "counter", "Commands that made events, since the board was taken over.", func(s *sample) float64 { return float64(s.Done.Commands) })
	x.family("hermes_commit_seconds", "histogram", "Commits to the log, since the board was taken over.")
	for i := range list {
		x.histogram(list[i].Done.Commits, "board", list[i].Slug)
	}
	x.family("hermes_dispatcher_tick_seconds", "histogram", "Looks of the dispatcher at the board, since it was taken over.")
	for i := range list {
		x.histogram(list[i].Done.Ticks, "board", list[i].Slug)
	}
	x.family("hermes_dispatcher_last_tick_seconds", "gauge", "When the dispatcher last looked.")
	for i := range list {
		if d := list[i].Info.Dispatcher; d != nil && d.LastTick != 0 {
			x.line(float64(d.LastTick)/1e6, "board", list[i].Slug)
		}
	}
}

// metrics writes lines of the text format.
type metrics struct {
	bytes.Buffer
	name string // of the family
}

func (x *metrics) family(name, kind, help string) {
	x.name = name
	fmt.Fprintf(x, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// line writes one value; labels are names and values in turn.
func (x *metrics) line(value float64, labels ...string) {
	x.WriteString(x.name)
	for i := 0; i+1 < len(labels); i += 2 {
		x.WriteByte("{,"[min(i, 1)])
		fmt.Fprintf(x, `%s="%s"`, labels[i], labelEscapes.Replace(labels[i+1]))
	}
	if len(labels) > 0 {
		x.WriteByte('}')
	}
	x.WriteByte(' ')
	x.Write(strconv.AppendFloat(nil, value, 'f', -1, 64))
	x.WriteByte('\n')
}
