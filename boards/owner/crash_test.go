package owner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

const ownerProcess = "HERMES_TEST_OWNER_OF"

func TestMain(m *testing.M) {
	if home := os.Getenv(ownerProcess); home != "" {
		if err := serveBoard(home); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveBoard holds the board acme and serves it until standard input ends.
func serveBoard(dir string) error {
	home, err := registry.OpenHome(dir, &registry.HomeOptions{TempDir: dir, Version: "1"})
	if err != nil {
		return err
	}
	h, err := home.Hold(context.Background(), "acme", 10*time.Second, &registry.HoldOptions{})
	if err != nil {
		return err
	}
	o, err := Open(context.Background(), h, Options{Version: "1"})
	if err != nil {
		return err
	}
	socket, err := h.SocketPath()
	if err != nil {
		return err
	}
	l, err := api.Listen(socket)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- (&api.Server{Board: o, Doors: o.Door, Version: "1"}).Serve(ctx, l) }()
	fmt.Println(socket)
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent closes it
	stop()
	return errors.Join(<-served, o.Close())
}

// process is an owner in a process of its own.
type process struct {
	cmd    *exec.Cmd
	socket string
	stdin  interface{ Close() error }
}

func startOwner(t *testing.T, home string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownerProcess+"="+home)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, stdin: stdin}
	if _, err := fmt.Fscanln(stdout, &p.socket); err != nil {
		_ = cmd.Wait()
		t.Fatalf("the owner did not come up: %v", err)
	}
	return p
}

// Clients send commands while their owner is killed again and again. What was
// acknowledged is there, and nothing is there twice.
func TestKilledOwners(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	home, err := registry.OpenHome(dir, &registry.HomeOptions{TempDir: t.TempDir(), Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	o, err := Create(t.Context(), home, "acme", "Acme", events.DefaultPolicy(2), kai, Options{}, &registry.HoldOptions{})
	if err != nil {
		t.Fatal(err)
	}
	closeOwner(t, o)

	kills := 10
	if testing.Short() {
		kills = 2
	}
	p := startOwner(t, dir)
	socket := p.socket
	done := make(chan struct{})
	progress := make(chan struct{}, 10_000)
	var mu sync.Mutex
	acked := map[events.CommandID]bool{}
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for {
				id := NewCommandID()
				if !insist(t, socket, id) {
					return
				}
				mu.Lock()
				acked[id] = true
				mu.Unlock()
				select {
				case progress <- struct{}{}:
				default:
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range kills {
		for range 40 { // let it do something first
			<-progress
		}
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.cmd.Wait() // killed
		p = startOwner(t, dir)
	}
	close(done)
	clients.Wait()
	if err := p.stdin.Close(); err != nil {
		t.Error(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the last owner: %v", err)
	}

	h, err := home.Hold(t.Context(), "acme", time.Second, &registry.HoldOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	if h.Unclean() {
		t.Error("got an unclean stop of the last owner")
	}
	n := map[events.CommandID]int{}
	if err := fold(t.Context(), h.Log(), 1, h.Log().Head().Seq, func(r *events.Record) { n[r.Cmd]++ }); err != nil {
		t.Fatal(err)
	}
	for id := range acked {
		if n[id] != 1 {
			t.Errorf("acknowledged command %s has %d records, want 1", id, n[id])
		}
	}
	if len(n) != len(acked)+1 {
		t.Errorf("got %d commands in the log, want %d and the board's own", len(n), len(acked))
	}
}

// insist sends a command until it is answered, whoever holds the board.
func insist(t *testing.T, socket string, id events.CommandID) bool {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		c, err := api.Dial(t.Context(), socket, "1")
		if err == nil {
			_, err = c.Do(t.Context(), kai, id, create("one"))
			_ = c.Close() // only idle connections
		}
		if err == nil {
			return true
		}
		if errors.Is(err, context.Canceled) {
			return false
		}
		select {
		case <-time.After(5 * time.Millisecond): // until the next owner listens
		case <-t.Context().Done():
			return false
		}
	}
	t.Errorf("command %s was not answered", id)
	return false
}
