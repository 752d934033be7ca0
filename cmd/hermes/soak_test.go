//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/projections"
)

// load is what a process takes up.
type load struct {
	files, threads int
	residentKiB    int
	ticks          int // of processor time, 10 ms each
}

func loadOf(t testing.TB, pid int) (l load) {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	l.files = len(files)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch key {
		case "VmRSS":
			l.residentKiB = n
		case "Threads":
			l.threads = n
		}
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, f := range fields[11:13] { // utime, stime
		n, _ := strconv.Atoi(f)
		l.ticks += n
	}
	return l
}

// flood sends n commands and as many questions through clients at once; each
// client connects anew now and then.
func flood(t *testing.T, n int, dial func() (api.Board, error)) {
	t.Helper()
	const clients, perConnection = 8, 100
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			var b api.Board
			defer func() {
				if b != nil {
					b.Close()
				}
			}()
			by := personal(Env{User: "kai"})
			for i := range n / clients {
				if i%perConnection == 0 {
					if b != nil {
						b.Close()
					}
					var err error
					if b, err = dial(); err != nil {
						t.Error(err)
						return
					}
				}
				title := fmt.Sprintf("%d of %d", i, c)
				if _, err := b.Do(context.Background(), by, owner.NewCommandID(), boards.CreateTasks{Tasks: []boards.NewTask{{Title: title}}}); err != nil {
					t.Error(err)
					return
				}
				if _, err := b.List(context.Background(), projections.ListQuery{Limit: 1}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestGatewayDoesNotGrow sends a gateway many commands and counts its
// descriptors, threads and memory; then it must be idle.
func TestGatewayDoesNotGrow(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil, nil)
	g := p.gateway()
	dial := func() (api.Board, error) {
		return reach(context.Background(), p.home, "acme", owner.Options{Version: version()})
	}
	flood(t, 800, dial)
	before := loadOf(t, g.pid())
	n := 4_000 // over some forty connections
	if racing() {
		n = 2_000
	}
	flood(t, n, dial)
	eventually(t, "the connections are closed", func() bool { return loadOf(t, g.pid()).files <= before.files })
	after := loadOf(t, g.pid())
	if after.threads > before.threads+16 {
		t.Errorf("threads: %d before, %d after", before.threads, after.threads)
	}
	t.Logf("before %+v, after %d commands %+v", before, n, after)
	g.signal(syscall.SIGTERM)
	g.ends(stopWithin)
	p.must("board", "verify", "acme")
}

// TestIdleGateway measures a gateway with nothing to do, and one that waits.
func TestIdleGateway(t *testing.T) {
	t.Parallel()
	p := newPlace(t, agentScripts, nil)
	holds, waits := p.gateway(), p.spawn("--standby")
	p.endsAs(p.create("quick"), "completed") // so that it is warm
	eventually(t, "the other waits", func() bool { return strings.Contains(waits.log.String(), `"message":"waiting"`) })
	pauseFor(time.Second)
	for name, g := range map[string]*running{"holding": holds, "waiting": waits} {
		start := loadOf(t, g.pid())
		defer func() {
			end := loadOf(t, g.pid())
			if ticks := end.ticks - start.ticks; ticks > 15 { // 5 % of 3 s, a tenth of it on an idle machine
				t.Errorf("%s: %d ms of processor time in 3 s of idleness", name, 10*ticks)
			}
			if end.residentKiB > 40<<10 && !racing() {
				t.Errorf("%s: %d KiB resident, want at most 40 MiB", name, end.residentKiB)
			}
			t.Logf("%s: %d KiB, %d ms in 3 s, %d descriptors, %d threads", name, end.residentKiB, 10*(end.ticks-start.ticks), end.files, end.threads)
		}()
	}
	pauseFor(3 * time.Second)
}

// TestServingDoesNotLeak counts goroutines: an owner and its server in this
// process, the clients too. It does not run beside other tests.
func TestServingDoesNotLeak(t *testing.T) {
	p := newPlace(t, nil, nil)
	held, err := p.home.Hold(t.Context(), "acme", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := owner.Open(t.Context(), held, owner.Options{Version: version()})
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "s", "board.sock")
	l, err := api.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- (&api.Server{Board: o, Doors: o.Door, Version: version()}).Serve(ctx, l) }()
	dial := func() (api.Board, error) { return api.Dial(context.Background(), socket, version()) }
	flood(t, 400, dial)
	settled := func(most int) func() bool {
		return func() bool { return runtime.NumGoroutine() <= most }
	}
	pauseFor(100 * time.Millisecond)
	before := runtime.NumGoroutine()
	flood(t, 2_000, dial)
	eventually(t, fmt.Sprintf("the goroutines are %d again", before), settled(before))
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}
