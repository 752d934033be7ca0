package api

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// A stop waits for calls under way and for nothing else: the grace of the
// server in these tests is longer than they may run.
func TestStopWaitsForNobodyIdle(t *testing.T) {
	s := serve(t)
	s.raw(t) // says nothing
	for _, request := range []string{askInfo, askOddly} {
		s.peer(t).ask(t, request, `"acme"`)
	}
	half := s.peer(t)
	half.send(t, "POST /v1/do HTTP/1.1\r\nHost:")
	half = s.peer(t)
	half.ask(t, askInfo, `"acme"`)
	half.send(t, "POST /v1/do HTT")
	half = s.peer(t)
	half.ask(t, askOddly, `"acme"`)
	half.send(t, "POST /v1/do HTT")
	p := s.peer(t)
	p.send(t, "GET /v1/events HTTP/1.1\r\nHost: h\r\n\r\n")
	if r, err := http.ReadResponse(p.r, nil); err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("got %v, %v, want a stream", r, err)
	}
	s.stop()
}

func TestStopLetsABodyComeIn(t *testing.T) {
	s := serve(t)
	p := s.peer(t)
	p.send(t, askInfo[:len(askInfo)-1])
	waitFor(t, func() bool {
		s.h.mu.Lock()
		defer s.h.mu.Unlock()
		for n := range s.h.lanes {
			return n.state.Load() == laneWorks
		}
		return false
	})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.stop()
	}()
	<-s.h.stopping
	p.ask(t, "}", `"acme"`)
	if _, err := p.r.ReadByte(); err != io.EOF {
		t.Errorf("got %v, want the end", err)
	}
	<-stopped
}

func TestStopGivesCallsUp(t *testing.T) {
	for _, head := range []string{"", "Connection: keep-alive\r\n"} {
		socket := filepath.Join(t.TempDir(), "run", "s")
		l, err := Listen(socket)
		if err != nil {
			t.Fatal(err)
		}
		b := newFakeBoard()
		entered := make(chan struct{})
		b.do = func(ctx context.Context, _ boards.Principal, _ events.CommandID, _ boards.Command) (boards.Result, error) {
			close(entered)
			<-ctx.Done()
			return boards.Result{}, ctx.Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- (&Server{Board: b, grace: time.Millisecond}).Serve(ctx, l) }()
		p := (&served{socket: socket}).peer(t)
		do := fmt.Sprintf(`{"by":{"kind":"human"},"id":%q,"command":"resume_board","data":{}}`, ulid.Make())
		p.send(t, fmt.Sprintf("POST /v1/do HTTP/1.1\r\nHost: h\r\n%sContent-Length: %d\r\n\r\n%s", head, len(do), do))
		<-entered
		cancel()
		if err := <-done; err != nil {
			t.Errorf("got %v, want nil", err)
		}
	}
}

type noListener struct{ net.Listener }

func (noListener) Addr() net.Addr { return nil }

func TestSlowPeersAreNotWaitedForForever(t *testing.T) {
	for _, tc := range []struct {
		name, request, want string
		after               time.Duration
	}{
		{"says nothing", "", "", idleTimeout},
		{"keeps its body back", askInfo[:len(askInfo)-1], CodeBadRequest, bodyTimeout},
		{"does not take its answer", askInfo, "", answerTimeout},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				h := newHandler(&Server{Board: newFakeBoard()}, noListener{})
				n := newLane(t.Context(), h, ours)
				n.conn.peer = peerFound{peer: peer{UID: h.uid}}
				start := time.Now()
				var answer []byte
				go func() {
					_, _ = io.WriteString(theirs, tc.request)
					if tc.want != "" {
						answer, _ = io.ReadAll(theirs)
					}
				}()
				n.run()
				synctest.Wait()
				if took := time.Since(start); took != tc.after || !strings.Contains(string(answer), tc.want) {
					t.Errorf("got %q after %v, want %q after %v", answer, took, tc.want, tc.after)
				}
				_ = theirs.Close()
			})
		})
	}
}

// pipes is a listener of connections that are made by hand.
type pipes struct {
	noListener
	conns chan net.Conn
}

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error {
	close(p.conns)
	return nil
}

// net/http by itself would wait five seconds for the rest of a head.
func TestStopDoesNotWaitForTheRestOfAHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipes{conns: make(chan net.Conn)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- (&Server{Board: newFakeBoard()}).Serve(ctx, l) }()
		for _, said := range []string{"", "G", "POST /v1/do HTTP/1.1\r\nHost:"} {
			ours, theirs := net.Pipe()
			l.conns <- ours
			if said != "" {
				(&peerConn{Conn: theirs}).send(t, said)
			}
		}
		synctest.Wait()
		start := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took >= time.Second {
			t.Errorf("got a stop that took %v, want none of it spent waiting", took)
		}
	})
}

func waitFor(t *testing.T, what func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !what(); {
		if time.Now().After(until) {
			t.Fatal("waited in vain")
		}
		<-time.After(time.Millisecond)
	}
}
