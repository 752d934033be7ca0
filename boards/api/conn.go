package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
)

// ErrNoOwner means that nobody listens at the socket: the board may be taken.
var ErrNoOwner = errors.New("no process holds the board's socket")

// patience is how long an owner may take to say hello before it counts as hung.
const patience = 5 * time.Second

const maxIdleConns = 64

// dialer makes, keeps and lends connections to one socket. Safe for
// concurrent use.
type dialer struct {
	socket   string
	version  string
	header   string // lines sent with every request, each with its CRLF
	patience time.Duration
	uid      int // whose process is to listen; -1 = anybody's

	mu     sync.Mutex
	idle   []*conn // the last one used is the last
	closed bool
}

// conn is one connection. One request at a time.
type conn struct {
	net.Conn
	r     *bufio.Reader
	pid   int // of the process that listens; 0 = unknown
	hello bool
	out   []byte
}

// take lends a connection that was used before, or nil.
func (d *dialer) take() *conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle) == 0 {
		return nil
	}
	c := d.idle[len(d.idle)-1]
	d.idle = d.idle[:len(d.idle)-1]
	return c
}

// give takes a connection back that can be used again.
func (d *dialer) give(c *conn) {
	d.mu.Lock()
	keep := !d.closed && len(d.idle) < maxIdleConns
	if keep {
		d.idle = append(d.idle, c)
	}
	d.mu.Unlock()
	if !keep {
		_ = c.Close() // nothing is under way on it
	}
}

func (d *dialer) close() error {
	d.mu.Lock()
	idle := d.idle
	d.idle, d.closed = nil, true
	d.mu.Unlock()
	var err error
	for _, c := range idle {
		err = errors.Join(err, c.Close())
	}
	return err
}

// dial makes a new connection. A full queue at the listener is waited for.
func (d *dialer) dial(ctx context.Context) (*conn, error) {
	until := time.Now().Add(d.patience)
	for wait := time.Millisecond; ; wait *= 2 {
		var nd net.Dialer
		c, err := nd.DialContext(ctx, "unix", d.socket)
		switch {
		case err == nil:
			p, err := peerOf(c.(*net.UnixConn)) // otherwise only to name it
			if d.uid >= 0 && (err != nil || p.UID != d.uid) {
				return nil, errors.Join(fmt.Errorf("%s is served by user %d, not %d", d.socket, p.UID, d.uid), err, c.Close())
			}
			return &conn{Conn: c, r: bufio.NewReaderSize(c, 4<<10), pid: p.PID}, nil
		case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%w (%s)", ErrNoOwner, d.socket)
		case !errors.Is(err, syscall.EAGAIN):
			return nil, fmt.Errorf("connect to the owner: %w", err)
		case time.Now().After(until):
			return nil, busy(0, "holds the board and does not answer")
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// bodies are buffers of requests.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// call sends a request and reads the whole answer into out. A connection that
// turns out dead is replaced once: every call is safe to repeat.
func (d *dialer) call(ctx context.Context, path string, in, out any) error {
	body := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(body)
	body.Reset()
	if in == nil {
		in = struct{}{}
	}
	if err := json.MarshalWrite(body, in); err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	answer, err := d.exchange(ctx, http.MethodPost, path, body.Bytes())
	if err != nil {
		return err
	}
	defer answer.done()
	b, err := answer.whole()
	if err != nil {
		return err
	}
	if answer.status != http.StatusOK {
		return decodeError(answer.status, b)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("decode the answer to %s: %w", path, err)
	}
	return nil
}

// exchange sends a request and returns the answer's head; its body has yet to
// be read, and done called.
func (d *dialer) exchange(ctx context.Context, method, path string, body []byte) (*answer, error) {
	for try := 1; ; try++ {
		c := d.take()
		used := c != nil
		if !used {
			var err error
			if c, err = d.dial(ctx); err != nil {
				return nil, err
			}
		}
		a, err := d.ask(ctx, c, method, path, body)
		if err == nil {
			return a, nil
		}
		_ = c.Close() // it is of no use any more
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var coded *Error
		if errors.As(err, &coded) {
			return nil, err
		}
		if used {
			continue // it had been idle and has died; each such is used up, then a new one is dialled
		}
		if try > 1 {
			return nil, fmt.Errorf("ask the owner: %w", err)
		}
	}
}

func (d *dialer) ask(ctx context.Context, c *conn, method, path string, body []byte) (*answer, error) {
	stop := func() bool { return true }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	}
	a, err := d.send(c, method, path, body)
	if err != nil {
		stop()
		return nil, err
	}
	a.d, a.stop = d, stop
	return a, nil
}

// send writes a request in one piece and reads the head of the answer. On a
// new connection a hello goes ahead of it: an owner that does not return it in
// time is hung, whereas the answer itself may take as long as it takes.
func (d *dialer) send(c *conn, method, path string, body []byte) (*answer, error) {
	b := c.out[:0]
	if !c.hello {
		b = append(b, "GET /v1/hello HTTP/1.1\r\n"...)
		b = append(append(b, d.header...), "\r\n"...)
	}
	b = append(append(append(append(b, method...), ' '), path...), " HTTP/1.1\r\n"...)
	b = append(b, d.header...)
	if method == http.MethodPost {
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), int64(len(body)), 10), "\r\n"...)
	}
	b = append(append(b, "\r\n"...), body...)
	c.out = b
	if _, err := c.Write(b); err != nil && !errors.Is(err, syscall.EPIPE) {
		return nil, err // after a broken pipe there may still be an answer to read
	}
	if !c.hello {
		if err := c.greet(d.patience); err != nil {
			return nil, err
		}
	}
	return c.answer()
}

// greet reads the answer to the hello.
func (c *conn) greet(patience time.Duration) error {
	late := time.AfterFunc(patience, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	a, err := c.answer()
	intime := late.Stop()
	if err != nil && !intime {
		return busy(c.pid, "holds the board and does not answer")
	}
	if err != nil {
		return err
	}
	b, err := a.whole()
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return decodeError(a.status, b)
	}
	if !intime {
		_ = c.SetReadDeadline(time.Time{})
	}
	c.hello = true
	return nil
}
