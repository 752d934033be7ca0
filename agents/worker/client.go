package worker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/events"
)

// maxAnswerBytes is how much of an answer is read.
const maxAnswerBytes = 64 << 20

// Client calls the worker socket. It is safe for concurrent use.
type Client struct {
	http *http.Client

	mu      sync.Mutex
	notices []Notice // guarded by mu: came with files, and go with the next answer
}

// Dial returns a client of the socket; it connects with the first call.
func Dial(socket string) *Client {
	var d net.Dialer
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) },
	}}}
}

// Call sends the arguments of a tool ("show", "complete", …) and returns its
// answer. A refusal is an *[Error].
func (c *Client) Call(ctx context.Context, tool string, args any) (*Answer, error) {
	body, err := json.Marshal(args, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tool, err)
	}
	a, err := c.post(ctx, "/v1/"+tool, bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a.Notices, c.notices = append(c.notices, a.Notices...), nil
	return a, nil
}

// Put streams a file to the store and returns what to name in a verdict.
// Notices that come back are given with the answer to the next Call.
func (c *Client) Put(ctx context.Context, name string, r io.Reader) (Artifact, error) {
	a, err := c.post(ctx, "/v1/put?name="+url.QueryEscape(name), r, -1)
	if err != nil {
		return Artifact{}, err
	}
	if a.Put == nil {
		return Artifact{}, fmt.Errorf("put %q: the answer names no file", name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notices = append(c.notices, a.Notices...)
	return *a.Put, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) post(ctx context.Context, path string, body io.Reader, size int64) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://worker"+path, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("worker socket: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var env envelope
		if err := json.UnmarshalRead(io.LimitReader(resp.Body, MaxRequestBytes), &env); err != nil || env.Error == nil {
			return nil, fmt.Errorf("worker socket: %s", resp.Status)
		}
		return nil, env.Error
	}
	var a Answer
	if err := json.UnmarshalRead(io.LimitReader(resp.Body, maxAnswerBytes), &a); err != nil {
		return nil, fmt.Errorf("worker socket: %w", err)
	}
	return &a, nil
}

// Own returns the run's own task, with the bounded text about it.
func (c *Client) Own(ctx context.Context) (*Answer, error) { return c.Call(ctx, "show", Show{}) }

// Beat sends a heartbeat.
func (c *Client) Beat(ctx context.Context, note string, done, total int) error {
	_, err := c.Call(ctx, "heartbeat", Heartbeat{Note: note, Done: uint32(done), Total: uint32(total)})
	return err
}

// Make creates tasks in one commit.
func (c *Client) Make(ctx context.Context, key string, tasks ...Task) ([]events.TaskID, error) {
	a, err := c.Call(ctx, "create", Create{Key: key, Tasks: tasks})
	if err != nil {
		return nil, err
	}
	return a.Tasks, nil
}
