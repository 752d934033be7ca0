package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Client is a board that another process holds. Its connections are kept open
// and one that has died is replaced once per call, which is safe because
// commands are carried out once per id. Where nobody holds the board any more
// errors match ErrNoOwner. Only kind, name and via of a principal go over the
// wire. Safe for concurrent use.
type Client struct{ d *dialer }

var _ Board = (*Client)(nil)

// Dial connects to the owner that listens at socket; version is of this
// program. Errors match ErrNoOwner where nobody listens.
func Dial(ctx context.Context, socket, version string) (*Client, error) {
	return DialUser(ctx, socket, version, -1)
}

// DialUser is Dial for a socket that is to be served by a process of a user;
// -1 = of any.
func DialUser(ctx context.Context, socket, version string, uid int) (*Client, error) {
	d := newDialer(socket, version, "")
	d.uid = uid
	c, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	d.give(c)
	return &Client{d}, nil
}

func newDialer(socket, version, authorization string) *dialer {
	lines := "Host: hermes\r\n" + header(version)
	if authorization != "" {
		lines += "Authorization: " + line(authorization) + "\r\n"
	}
	return &dialer{socket: socket, version: version, header: lines, patience: patience, uid: -1}
}

// header is the line that names the version of this program.
func header(version string) string { return VersionHeader + ": " + line(version) + "\r\n" }

// line keeps a header's value on its line.
func line(s string) string { return strings.NewReplacer("\r", "", "\n", "").Replace(s) }

// Do implements [Board].
func (c *Client) Do(ctx context.Context, by boards.Principal, id events.CommandID, command boards.Command) (res boards.Result, err error) {
	who := actor{Kind: by.Actor.Kind, Name: by.Actor.Name, Via: by.Actor.Via}
	err = c.d.call(ctx, "/v1/do", &doRequest[boards.Command]{By: who, ID: id, Command: command.CommandName(), Data: command}, &res)
	return res, err
}

// Info implements [Board].
func (c *Client) Info(ctx context.Context) (i Info, err error) {
	err = c.d.call(ctx, "/v1/query/info", nil, &i)
	return i, err
}

// List implements [Board].
func (c *Client) List(ctx context.Context, q projections.ListQuery) (cards []projections.Card, err error) {
	err = c.d.call(ctx, "/v1/query/list", q, &cards)
	return cards, err
}

// Show implements [Board].
func (c *Client) Show(ctx context.Context, task events.TaskID) (d projections.Detail, err error) {
	err = c.d.call(ctx, "/v1/query/show", taskRequest{task}, &d)
	return d, err
}

// Why implements [Board].
func (c *Client) Why(ctx context.Context, task events.TaskID) (w projections.Why, err error) {
	err = c.d.call(ctx, "/v1/query/why", taskRequest{task}, &w)
	return w, err
}

// Inbox implements [Board].
func (c *Client) Inbox(ctx context.Context) (items []projections.InboxItem, err error) {
	err = c.d.call(ctx, "/v1/query/inbox", nil, &items)
	return items, err
}

// Stats implements [Board].
func (c *Client) Stats(ctx context.Context) (s projections.Stats, err error) {
	err = c.d.call(ctx, "/v1/query/stats", nil, &s)
	return s, err
}

// Policy implements [Board].
func (c *Client) Policy(ctx context.Context) (events.Policy, uint64, error) {
	var p policyResponse
	err := c.d.call(ctx, "/v1/query/policy", nil, &p)
	return p.Policy, p.Seq, err
}

// Read implements [Board].
func (c *Client) Read(ctx context.Context, from uint64, limit int) ([]events.Entry, error) {
	return c.entries(ctx, "/v1/query/read", readRequest{From: from, Limit: limit})
}

// ReadTask implements [Board].
func (c *Client) ReadTask(ctx context.Context, task events.TaskID, from uint64, limit int) ([]events.Entry, error) {
	return c.entries(ctx, "/v1/query/read_task", readRequest{Task: task, From: from, Limit: limit})
}

func (c *Client) entries(ctx context.Context, path string, q readRequest) ([]events.Entry, error) {
	var in []entryResponse
	if err := c.d.call(ctx, path, q, &in); err != nil || len(in) == 0 {
		return nil, err
	}
	out := make([]events.Entry, len(in))
	for i, e := range in {
		out[i] = e.entry()
	}
	return out, nil
}

// errStreamEnded: the owner ended the stream, because it stops or has died.
var errStreamEnded = errors.New("the event stream ended")

// Follow implements [Board]. A stream that breaks is taken up again where it
// was, as long as somebody holds the board and it makes headway.
func (c *Client) Follow(ctx context.Context, from uint64, yield func(events.Entry) error) error {
	from = max(from, 1)
	for {
		next, err := c.stream(ctx, from, yield)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, errStreamEnded) {
			return err
		}
		if next == from {
			if _, err := c.Info(ctx); err != nil { // nobody there any more?
				return err
			}
		}
		from = next
	}
}

// stream reads one event stream and returns the position after its last entry.
func (c *Client) stream(ctx context.Context, from uint64, yield func(events.Entry) error) (uint64, error) {
	a, err := c.d.exchange(ctx, http.MethodGet, "/v1/events?from="+strconv.FormatUint(from, 10), nil)
	if err != nil {
		return from, err
	}
	defer a.done()
	if a.status != http.StatusOK {
		b, err := a.whole()
		if err != nil {
			return from, err
		}
		return from, decodeError(a.status, b)
	}
	r := bufio.NewReaderSize(a.body, 64<<10)
	for {
		b, err := readLine(r)
		if err != nil {
			return from, fmt.Errorf("%w: %w", errStreamEnded, err)
		}
		data, ok := bytes.CutPrefix(b, []byte("data: "))
		if !ok {
			continue // ids, pings and blank lines
		}
		var e entryResponse
		if err := json.Unmarshal(data, &e); err != nil {
			return from, fmt.Errorf("decode the event after %d: %w", from, err)
		}
		if e.Seq < from {
			continue
		}
		if err := yield(e.entry()); err != nil {
			return from, err
		}
		from = e.Seq + 1
	}
}

// readLine returns a line without its end, valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	b, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		long := bytes.Clone(b)
		for errors.Is(err, bufio.ErrBufferFull) {
			b, err = r.ReadSlice('\n')
			long = append(long, b...)
		}
		b = long
	}
	if err != nil {
		if err == io.EOF && len(b) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return bytes.TrimRight(b, "\r\n"), nil
}

// Close closes the idle connections. Calls under way go on.
func (c *Client) Close() error { return c.d.close() }

// RunClient is the run door of a board that another process holds. Safe for
// concurrent use.
type RunClient struct{ d *dialer }

var _ Door = (*RunClient)(nil)

// DialRun returns the door of the run with this token. It connects with the
// first call; errors match ErrNoOwner where nobody listens.
func DialRun(socket, token, version string) *RunClient {
	return &RunClient{newDialer(socket, version, "Run "+token)}
}

// Do implements [Door].
func (c *RunClient) Do(ctx context.Context, id events.CommandID, command boards.Command) (res boards.Result, err error) {
	err = c.d.call(ctx, "/v1/run/do", &doRequest[boards.Command]{ID: id, Command: command.CommandName(), Data: command}, &res)
	return res, err
}

// Show implements [Door].
func (c *RunClient) Show(ctx context.Context, task events.TaskID) (d projections.Detail, err error) {
	err = c.d.call(ctx, "/v1/run/show", taskRequest{task}, &d)
	return d, err
}

// List implements [Door].
func (c *RunClient) List(ctx context.Context, q projections.ListQuery) (cards []projections.Card, err error) {
	err = c.d.call(ctx, "/v1/run/list", q, &cards)
	return cards, err
}

// Renew implements [Door].
func (c *RunClient) Renew(ctx context.Context) (s RunState, err error) {
	err = c.d.call(ctx, "/v1/run/renew", nil, &s)
	return s, err
}

// Close closes the idle connections. Calls under way go on.
func (c *RunClient) Close() error { return c.d.close() }
