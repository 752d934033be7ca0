package cron_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/agents/cron"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
)

// board counts what was made, each id once.
type board struct {
	mu    sync.Mutex
	made  map[events.CommandID]time.Time
	order []time.Time
	fail  error
	lose  bool // it is made, and the answer is lost
}

func (b *board) Info(context.Context) (api.Info, error) {
	return api.Info{Slug: "acme", Board: events.BoardID{1}}, nil
}

func (b *board) Do(_ context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return boards.Result{}, b.fail
	}
	if b.made == nil {
		b.made = map[events.CommandID]time.Time{}
	}
	if _, ok := b.made[id]; !ok {
		b.made[id] = time.Now()
		b.order = append(b.order, time.Now())
	}
	if b.lose {
		return boards.Result{}, errors.New("the answer is lost")
	}
	return boards.Result{}, nil
}

func (b *board) set(f func()) { b.mu.Lock(); f(); b.mu.Unlock() }

func (b *board) times() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var words []string
	for _, t := range b.order {
		words = append(words, t.UTC().Format("15:04"))
	}
	return strings.Join(words, " ")
}

func start(t *testing.T, dir string, b *board) (stop func()) {
	t.Helper()
	r := &cron.Runner{Dir: dir, Warn: func(error) {}, Board: func(slug string) (cron.Board, bool) { return b, slug == "acme" }}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func entry(name string, missed cron.Missed) *cron.Entry {
	return &cron.Entry{Name: name, Schedule: "30 * * * *", TimeZone: "UTC", Missed: missed, Board: "acme", Task: cron.Task{Title: "scan", Workspace: "dir:/tmp", MaxRuntime: "2h"}}
}

func save(t *testing.T, dir string, e *cron.Entry) {
	t.Helper()
	if err := cron.Save(dir, e); err != nil {
		t.Fatal(err)
	}
}

// TestTicks runs in a bubble that begins at midnight UTC.
func TestTicks(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &board{}
		save(t, dir, entry("hourly", cron.Once))
		foreign := entry("foreign", cron.All)
		foreign.Board = "beta"
		save(t, dir, foreign)
		paused := entry("paused", cron.All)
		paused.Paused = true
		save(t, dir, paused)
		stop := start(t, dir, b)
		time.Sleep(2*time.Hour + time.Minute)
		if got := b.times(); got != "00:30 01:30" {
			t.Fatalf("got %q", got)
		}
		stop()
		time.Sleep(4 * time.Hour) // 02:30 to 05:30 are missed
		for range 3 {
			stop = start(t, dir, b)
			time.Sleep(time.Minute)
			stop()
		}
		if got := b.times(); got != "00:30 01:30 06:01" {
			t.Errorf("got %q, want the last missed one made up for", got)
		}
		stop = start(t, dir, b)
		defer stop()
		if err := cron.Remove(dir, "hourly"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if got := b.times(); got != "00:30 01:30 06:01" {
			t.Errorf("got %q after it was removed", got)
		}
	})
}

// TestTicksThroughTrouble: a board that fails gets its task later, and an answer
// that was lost makes no second one.
func TestTicksThroughTrouble(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &board{fail: errors.New("frozen")}
		save(t, dir, entry("hourly", cron.Once))
		stop := start(t, dir, b)
		time.Sleep(35 * time.Minute)
		b.set(func() { b.fail, b.lose = nil, true })
		time.Sleep(5 * time.Minute)
		stop()
		stop = start(t, dir, b)
		defer stop()
		time.Sleep(5 * time.Minute)
		b.set(func() { b.lose = false })
		time.Sleep(30 * time.Minute)
		if got := b.times(); got != "00:35" {
			t.Errorf("got %q, want one at 00:35", got)
		}
	})
}

// TestClockPutBack: what was done is not done again, and the entry goes on.
func TestClockPutBack(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &board{}
		save(t, dir, entry("hourly", cron.All))
		if err := cron.SetLast(dir, "hourly", time.Now().AddDate(3, 0, 0)); err != nil { // the clock was wrong by years
			t.Fatal(err)
		}
		for _, at := range []int{30, 90} { // both ticks were made before it was put back
			b.Do(t.Context(), boards.Principal{}, cron.ID(events.BoardID{1}, "hourly", time.Now().Add(time.Duration(at)*time.Minute)), nil)
		}
		stop := start(t, dir, b)
		defer stop()
		time.Sleep(3 * time.Hour)
		if got := b.times(); got != "00:00 00:00 02:30" {
			t.Errorf("got %q, want nothing but 02:30 made anew", got)
		}
	})
}

func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cron")
	want := entry("nightly", cron.All)
	want.Task.Body, want.Task.Skills, want.Task.Priority = "first\n  second: \"x\"\n", []string{"web"}, -3
	save(t, dir, want)
	got, err := cron.Load(dir, "nightly")
	if err != nil || got.Task.Body != want.Task.Body || got.Task.Priority != -3 || got.Missed != cron.All || got.Schedule != want.Schedule {
		t.Errorf("got %+v, %v", got, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "nightly.yaml")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info, err)
	}
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{
		"unknown-key": "schedule: '@daily'\nboard: acme\ntask: {title: a}\ncolour: red\n", "no-board": "schedule: '@daily'\ntask: {title: a}\n",
		"no-title": "schedule: '@daily'\nboard: acme\n", "missed": "schedule: '@daily'\nboard: acme\nmissed: never\ntask: {title: a}\n",
		"workspace": "schedule: '@daily'\nboard: acme\ntask: {title: a, workspace: 'x:y'}\n", "empty": "", "torn": "schedule: '", "large": strings.Repeat("#", cron.MaxEntry+1),
		"runtime": "schedule: '@daily'\nboard: acme\ntask: {title: a, max_runtime: '-2h'}\n",
	} {
		write(name, content)
		if e, err := cron.Load(dir, name); err == nil {
			t.Errorf("%s was taken: %+v", name, e)
		} else if errors.Is(err, cron.ErrUnknown) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link", "absent", "../nightly", "Nightly"} {
		if _, err := cron.Load(dir, name); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := cron.Remove(dir, "../x"); !errors.Is(err, cron.ErrUnknown) {
		t.Errorf("got %v", err)
	}
}
