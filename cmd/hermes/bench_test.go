package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/events"
)

// The benchmarks of the process: what a person waits for. Each reports the
// median in ms and how many times that of a process that does nothing, taken
// in turns with it, since the absolute numbers move with the machine.

// program builds the program once, as make build does.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hermes-bench")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "hermes")
	out, err := exec.Command("go", "build", "-trimpath", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// bench is a home with a board of n rough ideas and 50 ready ones.
type bench struct {
	b    *testing.B
	home string
	path string
}

func newBench(b *testing.B, n int) *bench {
	path, err := program()
	if err != nil {
		b.Fatal(err)
	}
	h := &bench{b: b, home: filepath.Join(b.TempDir(), "home"), path: path}
	if n > 0 {
		h.fill(n)
	}
	return h
}

func (h *bench) fill(n int) {
	home, err := openHome(Env{Getenv: os.Getenv}, h.home)
	if err != nil {
		h.b.Fatal(err)
	}
	defer home.Close()
	kai := personal(Env{User: "kai"})
	board, err := owner.Create(h.b.Context(), home, "default", "", events.DefaultPolicy(2), kai, owner.Options{}, nil)
	if err != nil {
		h.b.Fatal(err)
	}
	defer board.Close()
	for made := 0; made < n+50; made += 200 {
		tasks := make([]boards.NewTask, 200)
		for i := range tasks {
			tasks[i] = boards.NewTask{Title: fmt.Sprintf("Task %d of many", made+i), Assignee: "researcher", Triage: made+i < n}
		}
		if _, err := board.Do(h.b.Context(), kai, owner.NewCommandID(), boards.CreateTasks{Tasks: tasks}); err != nil {
			h.b.Fatal(err)
		}
	}
}

func (h *bench) command(args ...string) *exec.Cmd {
	cmd := exec.Command(h.path, args...)
	cmd.Env = append(os.Environ(), "HERMES_HOME="+h.home, "HERMES_USER=kai")
	return cmd
}

// measure runs the program and a process that does nothing in turns.
func (h *bench) measure(args ...string) {
	b := h.b
	nothing, err := exec.LookPath("true")
	if err != nil {
		b.Skip("there is no program that does nothing: true")
	}
	timed := func(cmd *exec.Cmd) time.Duration {
		var words strings.Builder
		cmd.Stderr = &words
		start := time.Now()
		if err := cmd.Run(); err != nil {
			b.Fatalf("%v: %v\n%s", cmd.Args, err, words.String())
		}
		return time.Since(start)
	}
	timed(h.command(args...)) // once for the page cache
	var some, none []time.Duration
	b.ResetTimer()
	for range b.N {
		some = append(some, timed(h.command(args...)))
		none = append(none, timed(exec.Command(nothing)))
	}
	b.StopTimer()
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
	b.ReportMetric(ms(median(some)), "ms/median")
	b.ReportMetric(ms(median(some))/ms(median(none)), "x/nothing")
	b.ReportMetric(0, "ns/op")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// gateway holds the boards of the home until the benchmark ends.
func (h *bench) gateway() {
	g := h.command("gateway", "run")
	if err := g.Start(); err != nil {
		h.b.Fatal(err)
	}
	h.b.Cleanup(func() {
		g.Process.Kill()
		g.Wait()
	})
	for range 500 {
		if out, _ := h.command("board", "show", "default", "--json").Output(); strings.Contains(string(out), `"dispatcher": {`) {
			return
		}
		pause(context.Background(), 20*time.Millisecond)
	}
	h.b.Fatal("the gateway does not come up")
}

func BenchmarkVersion(b *testing.B) { newBench(b, 0).measure("version") }

func BenchmarkHelp(b *testing.B) { newBench(b, 0).measure("kanban", "create", "--help") }

// BenchmarkCreate: the command opens the board, writes and lets go of it, or
// asks the gateway.
func BenchmarkCreate(b *testing.B) {
	for _, n := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("tasks=%d/alone", n), func(b *testing.B) {
			newBench(b, n).measure("kanban", "create", "one more", "--triage")
		})
	}
	b.Run("tasks=10000/gateway", func(b *testing.B) {
		h := newBench(b, 10_000)
		h.gateway()
		h.measure("kanban", "create", "one more", "--triage")
	})
}

// BenchmarkList50: the ready tasks of a board of 100,000.
func BenchmarkList50(b *testing.B) {
	h := newBench(b, 100_000)
	b.Run("alone", func(b *testing.B) { h.in(b).measure("kanban", "list", "--status", "ready", "--limit", "50") })
	b.Run("gateway", func(b *testing.B) {
		h.in(b).gateway()
		h.in(b).measure("kanban", "list", "--status", "ready", "--limit", "50")
	})
}

// in is the same home in a part of a benchmark.
func (h *bench) in(b *testing.B) *bench { return &bench{b, h.home, h.path} }
