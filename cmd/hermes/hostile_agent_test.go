package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/events"
)

// playHostile is an agent that tries what it may not, prints what it was answered,
// and then completes its task.
func playHostile() {
	socket := os.Getenv("HERMES_WORKER_SOCKET")
	c := worker.Dial(socket)
	defer c.Close()
	tell := func(what string, err error) {
		var refused *worker.Error
		switch {
		case errors.As(err, &refused):
			fmt.Println(what, refused.Code)
		case err != nil:
			fmt.Println(what, "error")
		default:
			fmt.Println(what, "done")
		}
		<-time.After(60 * time.Millisecond) // not too fast by itself
	}
	call := func(what, tool string, args any) { _, err := c.Call(context.Background(), tool, args); tell(what, err) }
	call("other-task", "show", worker.Show{Task: 1})
	call("other-comment", "comment", worker.Comment{Task: 1, Body: "x"})
	call("no-task", "show", worker.Show{Task: 4711})
	call("list", "list", worker.List{})
	call("unblock", "unblock", worker.Unblock{Task: 1})
	call("approve", "approve", worker.Approve{})
	call("unknown-field", "complete", map[string]any{"task_id": "t1", "run": "t1.1", "fence": 1, "board": "other"})
	call("unknown-tool", "../v1/show", worker.Show{})
	call("foreign-file", "complete", worker.Complete{Artifacts: []worker.Artifact{{Name: "x", SHA256: events.DigestOf([]byte("secret")), Size: 6}}})
	for i, name := range []string{"../up", "/etc/passwd", "a/../../b", `..\up`, "", ".", "a\x00b", "\x1b[2J", strings.Repeat("x", 5000)} {
		_, err := c.Put(context.Background(), name, strings.NewReader("x"))
		tell(fmt.Sprint("name-", i), err)
	}
	tell("huge", post(socket, "/v1/comment", io.LimitReader(endless{}, 100<<20)))
	tell("half", half(socket))
	fmt.Println("flood", floodCalls(c))
	fmt.Print("\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[0m \x9b5m\u202etxt\r\n")
	<-time.After(1500 * time.Millisecond) // the calls of a second are spent
	call("complete", "complete", worker.Complete{Summary: "\x1b[31mdone\x1b[0m"})
}

// endless is JSON that does not end.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

func post(socket, path string, body io.Reader) error {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	resp, err := client.Post("http://worker"+path, "application/json", body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// half sends the beginning of a call and hangs up.
func half(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	fmt.Fprintf(conn, "POST /v1/complete HTTP/1.1\r\nHost: worker\r\nContent-Length: 1000\r\n\r\n{\"summary\":")
	return conn.Close()
}

// floodCalls calls as often as it can for a second and returns what came of it.
func floodCalls(c *worker.Client) string {
	var done, refused, failed atomic.Int64
	var all sync.WaitGroup
	end := time.Now().Add(time.Second)
	for range 16 {
		all.Go(func() {
			for time.Now().Before(end) {
				_, err := c.Call(context.Background(), "heartbeat", worker.Heartbeat{Note: "still here"})
				var no *worker.Error
				switch {
				case err == nil:
					done.Add(1)
				case errors.As(err, &no) && no.Code == "too_fast":
					refused.Add(1)
				default:
					failed.Add(1)
				}
			}
		})
	}
	all.Wait()
	return fmt.Sprintf("%d %d %d", done.Load(), refused.Load(), failed.Load())
}
