package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// lane serves one connection for as long as its requests are plain, which
// those of [Client] are: it reads each with one system call and answers with
// one. The first request that is not goes to net/http, and the connection
// with it.
type lane struct {
	h      *handler
	conn   *primed
	r      *bufio.Reader // of conn
	ctx    context.Context
	cancel context.CancelFunc
	state  atomic.Int32
	call   call
	length int    // of the body under way
	out    []byte // the answer under way

	heeding bool
	slow    *time.Timer   // runs listen
	heard   chan struct{} // when listen is done
}

// What a lane is doing. Whoever stops the server closes those that wait.
const (
	laneWaits int32 = iota
	laneWorks
	laneClosed
)

const (
	laneBuffer = 8 << 10
	maxKept    = 64 << 10 // of a buffer that grew
	heedAfter  = 100 * time.Millisecond
)

func newLane(ctx context.Context, h *handler, c net.Conn) *lane {
	ctx, cancel := context.WithCancel(ctx)
	p := &primed{Conn: c, peer: h.find(c)}
	return &lane{h: h, conn: p, r: bufio.NewReaderSize(p, laneBuffer), ctx: ctx, cancel: cancel, heard: make(chan struct{}, 1)}
}

// run serves the connection until it ends or is handed over.
func (n *lane) run() {
	defer n.cancel()
	if p := n.conn.peer; n.h.Operator != (Operator{}) && !p.operator && !p.mayEnter(n.h.uid) {
		_ = n.conn.Close() // everybody can reach this socket, and is told nothing
		return
	}
	n.h.enlist(n)
	for n.await() {
		plain, more := n.next()
		if !plain {
			n.h.delist(n)
			n.handOver()
			return
		}
		if !more {
			break
		}
	}
	n.h.delist(n)
	_ = n.conn.Close() // the peer may have done so before
}

// await waits for the beginning of a request.
func (n *lane) await() bool {
	n.state.Store(laneWaits)
	select {
	case <-n.h.stopping:
		return false
	default:
	}
	if n.r.Buffered() == 0 {
		_ = n.conn.SetReadDeadline(time.Now().Add(idleTimeout))
		if _, err := n.r.Peek(1); err != nil {
			return false
		}
	}
	return n.state.CompareAndSwap(laneWaits, laneWorks)
}

// next serves the request that has begun to come. plain means that it was
// one, more that another may follow.
func (n *lane) next() (plain, more bool) {
	b, _ := n.r.Peek(n.r.Buffered()) // cannot fail
	q, size, ok := parseRequest(b)
	if !ok {
		return false, false
	}
	route, ok := routes[string(q.path)]
	if !ok || route.method != q.method || route.streams || q.length > MaxRequestBytes {
		return false, false
	}
	c := &n.call
	*c = call{h: n.h, ctx: n.ctx, peer: n.conn.peer, method: q.method, path: same(c.path, q.path),
		version: same(c.version, q.version), authorization: same(c.authorization, q.authorization), out: c.out}
	n.length = q.length
	_, _ = n.r.Discard(size) // cannot fail
	status, body := c.answer(n)
	n.hush()
	err := n.reply(status, body)
	if c.body = nil; c.out.Cap() > maxKept {
		c.out = bytes.Buffer{}
	}
	return true, err == nil && !c.closing
}

// same returns b as a string, which is mostly the one that it was before.
func same(before string, b []byte) string {
	if before == string(b) {
		return before
	}
	return string(b)
}

// body implements [source]. What it returns is good until the next read.
func (n *lane) body() ([]byte, error) {
	partly := n.r.Buffered() < n.length
	if partly {
		_ = n.conn.SetReadDeadline(time.Now().Add(bodyTimeout))
	}
	var b []byte
	var err error
	if n.length <= n.r.Size() {
		b, err = n.r.Peek(n.length)
		_, _ = n.r.Discard(len(b)) // cannot fail
	} else {
		b = make([]byte, n.length)
		_, err = io.ReadFull(n.r, b)
	}
	if err != nil {
		return nil, cutShort()
	}
	if partly {
		_ = n.conn.SetReadDeadline(time.Time{})
	}
	n.heed()
	return b, nil
}

// heed has the peer listened to if the call takes long: when it has gone away,
// so has the call's context.
func (n *lane) heed() {
	n.heeding = true
	if n.slow == nil {
		n.slow = time.AfterFunc(heedAfter, n.listen)
		return
	}
	n.slow.Reset(heedAfter)
}

func (n *lane) listen() {
	var b [1]byte
	got, err := n.conn.Conn.Read(b[:])
	if got > 0 { // the next request, ahead of time
		n.conn.ahead = b[:]
	} else if !errors.Is(err, os.ErrDeadlineExceeded) {
		n.cancel()
	}
	n.heard <- struct{}{}
}

// hush undoes heed.
func (n *lane) hush() {
	if !n.heeding {
		return
	}
	n.heeding = false
	if !n.slow.Stop() {
		_ = n.conn.SetReadDeadline(time.Unix(1, 0))
		<-n.heard
	}
}

// reply writes an answer in one piece.
func (n *lane) reply(status int, body []byte) error {
	b := append(n.out[:0], "HTTP/1.1 "...)
	b = append(strconv.AppendInt(b, int64(status), 10), ' ')
	b = append(append(b, http.StatusText(status)...), "\r\n"...)
	b = append(b, n.h.header...)
	if n.call.closing {
		b = append(b, "Connection: close\r\n"...)
	}
	b = strconv.AppendInt(append(b, "Content-Length: "...), int64(len(body)), 10)
	b = append(append(b, "\r\n\r\n"...), body...)
	if n.out = b; cap(b) > maxKept {
		n.out = nil
	}
	_ = n.conn.SetWriteDeadline(time.Now().Add(answerTimeout)) // every real connection has deadlines
	_, err := n.conn.Write(b)
	return err
}

// handOver gives the connection to net/http, with what has been read of it.
func (n *lane) handOver() {
	b, _ := n.r.Peek(n.r.Buffered()) // cannot fail
	n.conn.ahead = append(bytes.Clone(b), n.conn.ahead...)
	_ = n.conn.SetDeadline(time.Time{})
	n.h.others.hand(n.conn)
}

func (h *handler) enlist(n *lane) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lanes[n] = struct{}{}
}

func (h *handler) delist(n *lane) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.lanes, n)
}

// closeLanes closes the connections that wait for a request, and the others
// too if they have had their time.
func (h *handler) closeLanes(others bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for n := range h.lanes {
		if n.state.CompareAndSwap(laneWaits, laneClosed) || others {
			_ = n.conn.Close() // its peer asks the next owner
		}
	}
}
