//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/events"
)

// holder is the gateway that has the board now.
func holder(gs []*running) int {
	return slices.IndexFunc(gs, func(g *running) bool {
		return !g.over() && strings.Contains(g.log.String(), `"message":"holding"`)
	})
}

// TestFailover kills the owner under load, with another waiting.
func TestFailover(t *testing.T) {
	t.Parallel()
	p := newPlace(t, killScripts, nil)
	l, c := newLedger(), p.census()
	gs := []*running{p.gateway(), p.spawn("--standby")}
	var gaps []time.Duration
	n := kills(t, 6)
	tries := p.storm(l, 3, func() {
		for range n {
			pauseFor(150 * time.Millisecond)
			i := holder(gs)
			if i < 0 {
				t.Error("no gateway holds the board")
				return
			}
			died := time.Now()
			gs[i].signal(syscall.SIGKILL)
			<-gs[i].done
			gs = slices.Delete(gs, i, i+1)
			eventually(t, "the waiting gateway takes over", func() bool { return holder(gs) >= 0 })
			gaps = append(gaps, time.Since(died))
			gs = append(gs, p.spawn("--standby"))
			eventually(t, "a new one waits", func() bool { return strings.Contains(gs[1].log.String(), `"message":"waiting"`) })
		}
	})
	p.settle(gs[1], gs[0])
	_, _, two := c.end()
	log := p.judge(l)
	for _, w := range append(two, c.outlived(log)...) {
		t.Error(w)
	}
	slices.Sort(gaps)
	if middle, worst := gaps[len(gaps)/2], gaps[len(gaps)-1]; middle > within(time.Second) || worst > within(5*time.Second) {
		t.Errorf("takeovers took %s (median) and %s (longest), want 1s and 5s at most", middle, worst)
	}
	t.Logf("%d owners killed: taken over after %s (median), %s (longest); %d commands acknowledged, %d sent again, %d events",
		n, gaps[len(gaps)/2], gaps[len(gaps)-1], len(l.acks), tries, len(log))
}

// A gateway that ends in good order hands over to the one that waits, and the
// run goes on through both.
func TestHandover(t *testing.T) {
	t.Parallel()
	p := newPlace(t, agentScripts, nil)
	first, second := p.gateway(), p.spawn("--standby")
	eventually(t, "the second waits", func() bool { return strings.Contains(second.log.String(), `"message":"waiting"`) })
	task := p.create("slow")
	p.agentOf(task)
	first.signal(syscall.SIGTERM)
	first.ends(2 * time.Second)
	eventually(t, "the second holds the board", func() bool { return strings.Contains(second.log.String(), `"message":"holding"`) })
	p.endsAs(task, "completed")
	second.signal(syscall.SIGTERM)
	second.ends(2 * time.Second)
}

// The last program that held the board left its socket and its name behind.
func TestDeadSocket(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil, nil)
	g := p.gateway()
	entries, err := p.home.List(t.Context())
	if err != nil || len(entries) != 1 || entries[0].Holder == nil {
		t.Fatalf("got %v, %v", entries, err)
	}
	socket := entries[0].Holder.Socket
	g.signal(syscall.SIGKILL)
	<-g.done
	if _, err := os.Stat(socket); err != nil {
		t.Fatalf("the dead gateway left no socket: %v", err)
	}
	start := time.Now()
	p.must("kanban", "create", "alone") // without a gateway
	if took := time.Since(start); took > within(2*time.Second) {
		t.Errorf("a call past the dead socket took %s", took)
	}
	g = p.gateway()
	p.must("kanban", "create", "served")
	g.signal(syscall.SIGTERM)
	g.ends(2 * time.Second)
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket is still there after a clean stop")
	}
	if out := p.must("kanban", "list"); !strings.Contains(out, "alone") || !strings.Contains(out, "served") {
		t.Errorf("list: %s", out)
	}
}

// An owner that hangs is named, never pushed aside.
func TestHungOwner(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil, nil)
	g, waiting := p.gateway(), p.spawn("--standby")
	g.signal(syscall.SIGSTOP)
	start := time.Now()
	_, errs, code := p.hermes("kanban", "create", "x")
	if took := time.Since(start); code != exitBusy || took < 4*time.Second || took > patience || !strings.Contains(errs, fmt.Sprint(g.pid())) {
		t.Errorf("got exit %d after %s: %s; want exit %d after about 5s, naming %d", code, took, errs, exitBusy, g.pid())
	}
	g.signal(syscall.SIGCONT)
	p.must("kanban", "create", "y")
	if holder([]*running{waiting}) >= 0 {
		t.Error("the waiting gateway took the board of one that only hung")
	}
	g.signal(syscall.SIGTERM)
	g.ends(2 * time.Second)
	eventually(t, "the waiting one follows", func() bool { return holder([]*running{waiting}) == 0 })
}

// A board made while the gateway runs is held soon, one that is archived is let go.
func TestBoardsComeAndGo(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil, nil)
	g := p.gateway()
	p.must("board", "create", "beta")
	made := time.Now()
	eventually(t, "the new board is held", func() bool { return strings.Contains(g.log.String(), `"board":"beta","runs":0`) })
	if took := time.Since(made); took > within(2*time.Second) {
		t.Errorf("a new board was noticed after %s", took)
	}
	g.signal(syscall.SIGTERM)
	g.ends(2 * time.Second)
	if out := g.log.String(); strings.Contains(out, `"level":"warn"`) {
		t.Errorf("warnings: %s", out)
	}
}

// A board on a disk without room: reading goes on, a write is refused and the
// gateway lives; with room again all goes on by itself.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small file system")
	}
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m,mode=0700"); err != nil {
		t.Skipf("needs a small file system: mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	p := emptyPlace(t, dir)
	p.must("board", "create", "acme")
	g := p.gateway()
	first := strings.TrimSpace(p.must("kanban", "create", "before", "-q"))
	fill, err := os.Create(filepath.Join(dir, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	defer fill.Close()
	for chunk := make([]byte, 64<<10); err == nil; {
		_, err = fill.Write(chunk)
	}
	var errs string
	var code int
	for range 50 { // the file of the board has some free pages left
		if _, errs, code = p.hermes("kanban", "create", "full", "--body", strings.Repeat("x", 100<<10)); code != exitOK {
			break
		}
	}
	if code == exitOK || !strings.Contains(errs, "disk") && !strings.Contains(errs, "full") {
		t.Errorf("creating on a full disk: exit %d: %s", code, errs)
	}
	p.must("kanban", "show", first)
	p.must("kanban", "complete", first) // what ends work goes into the reserve
	if g.over() {
		t.Fatalf("the gateway died of the full disk: %s", g.log)
	}
	g.signal(syscall.SIGTERM)
	g.ends(stopWithin)
	g = p.gateway() // starts on a full disk, too
	p.must("kanban", "show", first)
	if err := fill.Truncate(0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "writing goes on", func() bool {
		_, _, code := p.hermes("kanban", "create", "after")
		return code == exitOK
	})
	g.signal(syscall.SIGTERM)
	g.ends(stopWithin)
	p.must("board", "verify", "acme")
}

// A home that cannot be written to is refused in words.
func TestReadOnlyHome(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a read-only file system")
	}
	t.Parallel()
	p := newPlace(t, nil, nil)
	if err := syscall.Mount(p.dir, p.dir, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("needs a mount: %v", err)
	}
	defer syscall.Unmount(p.dir, syscall.MNT_DETACH)
	if err := syscall.Mount("", p.dir, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("needs a read-only mount: %v", err)
	}
	for _, args := range [][]string{{"gateway", "run"}, {"gateway", "start"}, {"kanban", "create", "x"}} {
		_, errs, code := p.hermes(args...)
		if code == exitOK || !strings.Contains(errs, "read-only file system") {
			t.Errorf("hermes %v: exit %d: %s", args, code, errs)
		}
	}
}

// The same command sent to the owner before and after it died has one effect,
// and the same answer.
func TestRetryAcrossOwners(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil, nil)
	g := p.gateway()
	id, by := owner.NewCommandID(), personal(Env{User: "kai"})
	cmd := boards.CreateTasks{Tasks: []boards.NewTask{{Title: "once"}}}
	send := func() boards.Result {
		b := p.open()
		defer b.Close()
		res, err := b.Do(context.Background(), by, id, cmd)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	first := send()
	g.signal(syscall.SIGKILL)
	<-g.done
	alone := send()
	g = p.gateway()
	served := send()
	for name, res := range map[string]boards.Result{"without an owner": alone, "to the next owner": served} {
		if !res.Repeat || res.First != first.First || !slices.Equal(res.Tasks, first.Tasks) {
			t.Errorf("%s: got %+v, want a repeat of %+v", name, res, first)
		}
	}
	b := p.open()
	defer b.Close()
	if _, titles := wholeLog(t, b); titles["once"] != 1 {
		t.Errorf("got %d tasks, want 1", titles["once"])
	}
	if s := p.show("t1"); s.Status != events.Ready {
		t.Errorf("it is %v", s.Status)
	}
	g.signal(syscall.SIGTERM)
	g.ends(2 * time.Second)
}

// waiter is an agent that gives its verdict when the file go is there.
const waiter = `until test -e $HERMES_STATE/go; do sleep 0.02; done; exec $HERMES_BIN worker complete ok`

// let makes a waiter go on.
func (p *place) let(task, agent string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.home.Paths("acme").State, task, agent, "go"), nil, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// A verdict given while the owner hangs waits, and counts.
func TestVerdictWhileTheOwnerHangs(t *testing.T) {
	t.Parallel()
	p := newPlace(t, map[string]string{"waiter": waiter}, nil)
	g := p.gateway()
	task := p.create("waiter")
	agent := p.agentOf(task)
	g.signal(syscall.SIGSTOP)
	p.let(task, "waiter")
	pauseFor(2 * time.Second) // it calls meanwhile
	if !agent.alive() {
		t.Error("the agent gave up on an owner that hung for two seconds")
	}
	g.signal(syscall.SIGCONT)
	p.endsAs(task, "completed")
	g.signal(syscall.SIGTERM)
	g.ends(2 * time.Second)
}
