package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// others is the listener from which net/http gets the connections whose
// requests are not plain.
type others struct {
	addr  net.Addr
	conns chan *primed
	once  sync.Once
	done  chan struct{}

	mu    sync.Mutex
	fresh map[net.Conn]struct{} // no request of theirs has begun; nil = all such are closed
}

func newOthers(addr net.Addr) *others {
	return &others{addr: addr, conns: make(chan *primed), done: make(chan struct{}), fresh: make(map[net.Conn]struct{})}
}

// primed is a connection of which something has been read ahead.
type primed struct {
	net.Conn
	peer  peerFound
	ahead []byte
}

func (p *primed) Read(b []byte) (int, error) {
	if len(p.ahead) > 0 {
		n := copy(b, p.ahead)
		p.ahead = p.ahead[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// hand gives a connection to net/http, or closes it if the server stops.
func (o *others) hand(p *primed) {
	select {
	case o.conns <- p:
	case <-o.done:
		_ = p.Close() // its peer asks the next owner
	}
}

// Accept implements [net.Listener].
func (o *others) Accept() (net.Conn, error) {
	select {
	case p := <-o.conns:
		return p, nil
	case <-o.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (o *others) Close() error {
	o.once.Do(func() { close(o.done) })
	return nil
}

// Addr implements [net.Listener].
func (o *others) Addr() net.Addr { return o.addr }

// note keeps account of connections that are new to net/http: it would not
// close them on a stop, but wait for what they may yet ask.
func (o *others) note(c net.Conn, s http.ConnState) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case s != http.StateNew:
		delete(o.fresh, c)
	case o.fresh == nil:
		_ = c.Close() // the server stops
	default:
		o.fresh[c] = struct{}{}
	}
}

// closeFresh closes the connections from which no request has come.
func (o *others) closeFresh() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.fresh {
		_ = c.Close() // nothing is under way on it
	}
	o.fresh = nil
}

type peerKey struct{}

func withPeer(ctx context.Context, c net.Conn) context.Context {
	found := peerFound{err: errors.New("not a connection of ours")}
	if p, ok := c.(*primed); ok {
		found = p.peer
	}
	return context.WithValue(ctx, peerKey{}, found)
}

// ServeHTTP answers a request that net/http has read.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.running.Add(1)
	defer h.running.Done()
	head := w.Header()
	head["Date"] = nil
	head[VersionHeader] = []string{h.Version}
	head["Content-Type"] = []string{"application/json"}
	found, ok := r.Context().Value(peerKey{}).(peerFound)
	if !ok {
		found.err = errors.New("nobody has looked")
	}
	control := http.NewResponseController(w)
	c := &call{h: h, ctx: r.Context(), peer: found, method: r.Method, path: r.URL.Path,
		version: r.Header.Get(VersionHeader), authorization: r.Header.Get("Authorization"),
		stream: &stream{w: w, r: r, control: control}}
	status, body := c.answer(requestBody{r, control})
	if c.stream.begun {
		return
	}
	head["Content-Length"] = []string{strconv.Itoa(len(body))}
	if c.closing {
		head["Connection"] = []string{"close"}
	}
	_ = control.SetWriteDeadline(time.Now().Add(answerTimeout)) // every real connection has deadlines
	w.WriteHeader(status)
	_, _ = w.Write(body) // the peer may be gone; there is nobody to tell
}

// requestBody takes a body in, whole and bounded.
type requestBody struct {
	r       *http.Request
	control *http.ResponseController
}

func (b requestBody) body() ([]byte, error) {
	if b.r.ContentLength > MaxRequestBytes {
		return nil, tooLarge()
	}
	_ = b.control.SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(io.LimitReader(b.r.Body, MaxRequestBytes+1))
	if err != nil {
		return nil, cutShort()
	}
	if len(body) > MaxRequestBytes {
		return nil, tooLarge()
	}
	_ = b.control.SetReadDeadline(time.Time{})
	return body, nil
}
