package mcp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxFrame bounds one message. Files go by path.
const maxFrame = 16 << 20

// lines is a transport of one JSON message a line. Other than the SDK's it
// survives what is not a message.
type lines struct {
	in  io.Reader
	out io.Writer
}

// Connect implements the SDK's Transport.
func (t *lines) Connect(context.Context) (sdk.Connection, error) {
	c := &lineConn{out: t.out, frames: make(chan frame), closed: make(chan struct{}), calls: map[jsonrpc.ID]bool{}}
	go c.scan(bufio.NewReaderSize(t.in, 64<<10))
	return c, nil
}

// frame is a line that was read.
type frame struct {
	line []byte
	err  error // errTooLong, or the end
}

var errTooLong = errors.New("line too long")

type lineConn struct {
	frames chan frame
	closed chan struct{}
	once   sync.Once

	writing sync.Mutex // held during a write
	out     io.Writer

	mu    sync.Mutex
	calls map[jsonrpc.ID]bool // guarded by mu: those that have no answer yet
	idle  chan struct{}       // guarded by mu: closed once there are none, nil = nobody waits
}

// scan reads lines until the end or, since a read of a standard input cannot
// be interrupted, until the first one after Close.
func (c *lineConn) scan(r *bufio.Reader) {
	for {
		line, err := readLine(r, maxFrame)
		if len(line) > 0 || err != nil && err != io.EOF {
			select {
			case c.frames <- frame{line, asTooLong(err)}:
			case <-c.closed:
				return
			}
		}
		if err != nil && err != errTooLong {
			select {
			case c.frames <- frame{nil, err}:
			case <-c.closed:
			}
			return
		}
	}
}

func asTooLong(err error) error {
	if err == errTooLong {
		return err
	}
	return nil
}

// readLine returns the next line without its end. Of a line longer than max
// bytes nothing is kept, and the rest of it is skipped.
func readLine(r *bufio.Reader, max int) (line []byte, err error) {
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if long = long || len(line)+len(part) > max; long {
			line = nil
		} else {
			line = append(line, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == nil && long:
			err = errTooLong
		}
		return bytes.TrimSpace(line), err
	}
}

// Read implements the SDK's Connection. It skips what is not a message.
func (c *lineConn) Read(ctx context.Context) (jsonrpc.Message, error) {
	for {
		var f frame
		select {
		case f = <-c.frames:
		case <-c.closed:
			return nil, io.EOF
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		switch {
		case f.err == errTooLong:
			c.refuse(jsonrpc.CodeInvalidRequest, fmt.Sprintf("a message has at most %d bytes; hand larger things over as files, by path", maxFrame))
		case f.err != nil:
			c.settle()
			return nil, f.err
		case !jsontext.Value(f.line).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)):
			c.refuse(jsonrpc.CodeParseError, "not JSON, or not all of it: want one message a line")
		case f.line[0] == '[':
			c.refuse(jsonrpc.CodeInvalidRequest, "batches are not answered; send one message a line")
		default:
			msg, err := jsonrpc.DecodeMessage(f.line)
			if err == nil {
				c.begin(msg)
				return msg, nil
			}
			c.refuse(jsonrpc.CodeInvalidRequest, "not a JSON-RPC message")
		}
	}
}

// refuse answers what has no id. That nobody reads it is found out by the next read.
func (c *lineConn) refuse(code int64, message string) {
	_ = c.write(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":null,"error":{"code":%d,"message":%q}}`, code, message))
}

// Write implements the SDK's Connection.
func (c *lineConn) Write(ctx context.Context, msg jsonrpc.Message) error {
	defer c.end(msg)
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := jsonrpc.EncodeMessage(msg)
	if err != nil {
		return fmt.Errorf("encode a message: %w", err)
	}
	return c.write(b)
}

func (c *lineConn) write(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := c.out.Write(append(b, '\n'))
	return err
}

func (c *lineConn) begin(msg jsonrpc.Message) {
	if req, ok := msg.(*jsonrpc.Request); ok && req.IsCall() && req.Method != "subscriptions/listen" { // which is never answered
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calls[req.ID] = true
	}
}

func (c *lineConn) end(msg jsonrpc.Message) {
	resp, ok := msg.(*jsonrpc.Response)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls, resp.ID)
	if c.idle != nil && len(c.calls) == 0 {
		close(c.idle)
		c.idle = nil
	}
}

// settle waits until the calls under way are answered. The SDK cuts
// them off at the end of the input; whoever sends a verdict and closes its end
// wants it given all the same. Every call is bounded.
func (c *lineConn) settle() {
	c.mu.Lock()
	if len(c.calls) == 0 {
		c.mu.Unlock()
		return
	}
	idle := make(chan struct{})
	c.idle = idle
	c.mu.Unlock()
	select {
	case <-idle:
	case <-c.closed:
	}
}

// Close implements the SDK's Connection. It closes neither end.
func (c *lineConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// SessionID implements the SDK's Connection.
func (c *lineConn) SessionID() string { return "" }
