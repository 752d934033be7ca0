package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// tunnel carries bytes between the client and the host of a CONNECT.
func (p *Proxy) tunnel(ctx context.Context, c *client, h head) {
	host, sum, err := p.open(ctx, http.MethodConnect, h.target)
	if err != nil {
		answer(c, err)
		return
	}
	defer host.Close()
	raw, _ := peekUntil(c.r, "\r\n\r\n")
	c.r.Discard(len(raw))
	if _, err := io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	quiet := time.AfterFunc(p.opts.Idle, func() {
		c.Close()
		host.Close()
	})
	defer quiet.Stop()
	stop := context.AfterFunc(ctx, func() { host.Close() })
	defer stop()
	counted := &counter{Conn: host, carried: func(in, out int) {
		quiet.Reset(p.opts.Idle)
		p.sum.add(sum, int64(in), int64(out))
	}}
	splice(c, counted)
}

// splice copies both ways until both directions have ended. The end of one is
// passed on, so that the other may go on alone.
func splice(a, b net.Conn) {
	var both sync.WaitGroup
	one := func(to, from net.Conn) {
		if _, err := io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from}); err != nil {
			from.Close() // nobody hears what it says
		}
		closeWrite(to)
	}
	both.Go(func() { one(a, b) })
	both.Go(func() { one(b, a) })
	both.Wait()
}

// counter is a connection to a host that tells what it carries.
type counter struct {
	net.Conn
	carried func(in, out int)
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.carried(n, 0)
	}
	return n, err
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if n > 0 {
		c.carried(0, n)
	}
	return n, err
}

func (c *counter) CloseWrite() error {
	closeWrite(c.Conn)
	return nil
}

// forward sends one plain request on and its answer back.
func (p *Proxy) forward(ctx context.Context, c *client, h head) {
	req, err := http.ReadRequest(c.r)
	if err != nil {
		err = malformed("the request cannot be read")
		p.decide(Decision{Method: h.line.shortMethod(), Host: h.target.host, Port: h.target.port}, err)
		answer(c, err)
		return
	}
	host, sum, err := p.open(ctx, h.line.shortMethod(), h.target)
	if err != nil {
		answer(c, err)
		return
	}
	defer host.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(p.opts.Idle, func() {
		cancel()
		c.Close()
		host.Close()
	})
	defer quiet.Stop()
	counted := &counter{Conn: host, carried: func(in, out int) {
		quiet.Reset(p.opts.Idle)
		p.sum.add(sum, int64(in), int64(out))
	}}
	if req.Header.Get("Expect") != "" {
		io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
	}
	resp, err := once(counted).RoundTrip(outgoing(ctx, req, h.target))
	if err != nil || resp.StatusCode < 200 {
		answer(c, &failure{badGateway, "the host gave no answer"})
		return
	}
	defer resp.Body.Close()
	dropHops(resp.Header)
	resp.Close = true
	if h.line.minor == '0' {
		resp.TransferEncoding = nil // which it does not know
	}
	resp.Write(c)
}

// outgoing is the request as it is sent on: nothing of its head but method,
// path and end-to-end fields is what the client wrote.
func outgoing(ctx context.Context, in *http.Request, t target) *http.Request {
	out := &http.Request{
		Method: in.Method, Header: in.Header.Clone(), Body: in.Body, ContentLength: in.ContentLength,
		URL: &url.URL{Scheme: "http", Host: t.String(), Path: in.URL.Path, RawPath: in.URL.RawPath, RawQuery: in.URL.RawQuery, ForceQuery: in.URL.ForceQuery},
	}
	if t.port == httpPort {
		out.Host = t.host
	}
	if in.ContentLength == 0 {
		out.Body = http.NoBody
	}
	dropHops(out.Header)
	if out.Header.Get("User-Agent") == "" {
		out.Header["User-Agent"] = nil // do not add one
	}
	return out.WithContext(ctx)
}

// once is a transport for one request on a connection that is there.
func once(conn net.Conn) *http.Transport {
	var used atomic.Bool
	return &http.Transport{
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHead,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			if used.Swap(true) {
				return nil, net.ErrClosed
			}
			return conn, nil
		},
	}
}

// hops are the fields that are for one connection only.
var hops = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Expect",
}

// dropHops removes them, and those that Connection names.
func dropHops(fields http.Header) {
	for _, list := range fields["Connection"] {
		for name := range splitList(list) {
			if http.CanonicalHeaderKey(name) != "Content-Length" {
				fields.Del(name)
			}
		}
	}
	for _, name := range hops {
		fields.Del(name)
	}
}
