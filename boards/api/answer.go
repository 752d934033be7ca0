package api

import (
	"fmt"
	"io"
	"net/http"
)

// answer is a response under way.
type answer struct {
	status int
	length int       // of the body; -1 = to its end
	body   io.Reader // the connection's own where the answer is plain
	close  bool      // the connection is not to be used again
	d      *dialer
	c      *conn
	stop   func() bool
	read   bool
}

// answer reads the head of an answer. What is not plain is left to net/http.
func (c *conn) answer() (*answer, error) {
	if _, err := c.r.Peek(1); err != nil {
		return nil, err
	}
	b, _ := c.r.Peek(c.r.Buffered()) // cannot fail
	if s, n, ok := parseResponse(b); ok {
		_, _ = c.r.Discard(n) // cannot fail
		return &answer{status: s.status, length: s.length, body: c.r, close: s.close, c: c}, nil
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return nil, err
	}
	return &answer{status: res.StatusCode, length: int(res.ContentLength), body: res.Body, close: res.Close, c: c}, nil
}

// whole reads the body to its end, after which the connection can be used
// again. What it returns is good until then.
func (a *answer) whole() ([]byte, error) {
	var b []byte
	var err error
	switch {
	case a.length < 0:
		b, err = io.ReadAll(a.body)
	case a.body == a.c.r && a.length <= a.c.r.Size():
		b, err = a.c.r.Peek(a.length)
		_, _ = a.c.r.Discard(len(b)) // cannot fail
	default:
		b = make([]byte, a.length)
		_, err = io.ReadFull(a.body, b)
	}
	if err != nil {
		return nil, fmt.Errorf("read the owner's answer: %w", err)
	}
	a.read = true
	return b, nil
}

// done gives the connection back, or closes it if it is not at its end.
func (a *answer) done() {
	if a.stop() && a.read && !a.close {
		a.d.give(a.c)
		return
	}
	_ = a.c.Close() // the answer was cut short
}
