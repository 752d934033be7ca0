//go:build linux

package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// idleLimit is what the gateway of a client that has nothing to do may keep in
// memory.
const idleLimit = 40 << 20

// TestHundredClients serves a hundred clients on one host, each with its own
// profile, board and gateway, and measures what they cost while they wait.
func TestHundredClients(t *testing.T) {
	clients, _ := strconv.Atoi(os.Getenv("HERMES_TEST_CLIENTS"))
	if clients == 0 {
		t.Skip("HERMES_TEST_CLIENTS is not set: as many clients are served at once")
	}
	p := clientPlace(t)
	gates := make([]*running, clients)
	began := time.Now()
	for i := range gates {
		name := fmt.Sprintf("client-%03d", i+1)
		p.must("profile", "create", name, "--no-alias", "-q")
		p.must("-p", name, "kanban", "create", "wait for me", "--triage", "-q")
		gates[i] = p.gateway("--profile", name)
	}
	t.Logf("%d clients are served after %s", clients, time.Since(began).Round(time.Second))
	// Twice the time in which a gateway looks after its boards by itself.
	before, at := ticks(t, gates), time.Now()
	pauseFor(time.Minute)
	busy := float64(ticks(t, gates)-before) / 100 / time.Since(at).Seconds()
	var rss, pss []int64
	for _, g := range gates {
		if g.over() {
			t.Fatalf("a gateway ended\n%s", g.log)
		}
		m := memory(t, g.pid())
		rss, pss = append(rss, m["Rss"]), append(pss, m["Pss"])
	}
	if held := strings.Count(p.must("status"), "up "); held != clients {
		t.Errorf("got %d boards with a gateway, want %d", held, clients)
	}
	for _, g := range gates {
		g.signal(syscall.SIGTERM)
	}
	for _, g := range gates {
		g.ends(stopWithin)
	}
	slices.Sort(rss)
	slices.Sort(pss)
	mib := func(n int64) float64 { return float64(n) / (1 << 20) }
	t.Logf("idle gateways, RSS: median %.1f MiB, max %.1f MiB; PSS: median %.1f MiB, max %.1f MiB, sum %.0f MiB; all together %.1f %% of one processor",
		mib(rss[clients/2]), mib(rss[clients-1]), mib(pss[clients/2]), mib(pss[clients-1]), mib(sum(pss)), 100*busy)
	if rss[clients-1] > idleLimit {
		t.Errorf("a gateway keeps %.1f MiB, want at most %.0f", mib(rss[clients-1]), mib(idleLimit))
	}
}

func sum(list []int64) (n int64) {
	for _, v := range list {
		n += v
	}
	return n
}

// memory is what the kernel says of a process's memory, in bytes.
func memory(t *testing.T, pid int) map[string]int64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := map[string]int64{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var name string
		var kb int64
		if n, _ := fmt.Sscanf(lines.Text(), "%s %d kB", &name, &kb); n == 2 {
			m[strings.TrimSuffix(name, ":")] = kb << 10
		}
	}
	return m
}

// ticks is the processor time that processes have used, in hundredths of a second.
func ticks(t *testing.T, gates []*running) (n int64) {
	t.Helper()
	for _, g := range gates {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.pid()))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		fields := strings.Fields(rest)
		for _, f := range fields[11:13] { // utime, stime
			v, _ := strconv.ParseInt(f, 10, 64)
			n += v
		}
	}
	return n
}
