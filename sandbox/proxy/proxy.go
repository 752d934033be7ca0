package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Options say what a proxy lets through.
type Options struct {
	// Allow are the hosts that may be reached: host, host:port or *.domain,
	// which is every name below domain. A port left out is 443; plain HTTP is
	// host:80. Empty allows none.
	Allow []string
	// Fallback answers requests for the proxy itself, whose URL is a path.
	// Requests to it are not counted. Nil answers 404.
	Fallback http.Handler
	// Log is told every decision, from several goroutines; nil for none.
	Log func(Decision)

	// MaxConns bounds the connections served at once; more are answered 503.
	// Zero is DefaultMaxConns.
	MaxConns int
	// Idle bounds the time in which a connection carries nothing, Total its
	// life. Zero is DefaultIdle and DefaultTotal.
	Idle, Total time.Duration

	// Resolve looks a name up; nil asks this host's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Dial connects to an address that was found public; nil uses TCP.
	Dial func(ctx context.Context, at netip.AddrPort) (net.Conn, error)
	// Exempt are addresses that are dialled though they are not public. It is
	// for tests, whose servers are on this host.
	Exempt []netip.AddrPort
}

// The limits of a proxy whose options have none.
const (
	DefaultMaxConns = 256
	DefaultIdle     = 5 * time.Minute
	DefaultTotal    = 6 * time.Hour
)

// headTime bounds how long a client may take for the head of a request, and
// dialTime how long resolving and connecting may take.
const (
	headTime = 30 * time.Second
	dialTime = 30 * time.Second
)

// Decision is what became of one request.
type Decision struct {
	Method  string // CONNECT, or the method of plain HTTP; cut if long
	Host    string // in lower case; empty if the request named none
	Port    int
	Address netip.AddrPort // dialled; invalid if none was
	Refused bool
	Reason  string // why it was refused, or could not be carried out
}

// Proxy is the host's end. It is safe for concurrent use.
type Proxy struct {
	opts  Options
	rules rules
	sum   totals
	slots chan struct{}
}

// New makes a proxy. An entry of Allow that makes no sense is an error.
func New(opts Options) (*Proxy, error) {
	rules, err := parseRules(opts.Allow)
	if err != nil {
		return nil, err
	}
	if opts.MaxConns <= 0 {
		opts.MaxConns = DefaultMaxConns
	}
	if opts.Idle <= 0 {
		opts.Idle = DefaultIdle
	}
	if opts.Total <= 0 {
		opts.Total = DefaultTotal
	}
	if opts.Fallback == nil {
		opts.Fallback = http.NotFoundHandler()
	}
	if opts.Log == nil {
		opts.Log = func(Decision) {}
	}
	if opts.Resolve == nil {
		opts.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host+".") // without this host's search domains
		}
	}
	if opts.Dial == nil {
		opts.Dial = func(ctx context.Context, at netip.AddrPort) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", at.String())
		}
	}
	return &Proxy{opts: opts, rules: rules, slots: make(chan struct{}, opts.MaxConns)}, nil
}

// Totals is the traffic with each host so far, by name. Bytes are counted as
// they are carried.
func (p *Proxy) Totals() []HostTotals { return p.sum.list() }

// Serve answers the connections of l until ctx ends or accepting fails. It
// closes l, ends every connection, and returns when none is left; the error is
// nil when ctx ended.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	own := newOwnServer(p.opts)
	var serving sync.WaitGroup
	defer func() { // in this order
		cancel()
		l.Close()
		own.close()
		serving.Wait()
	}()
	serving.Go(own.serve)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case err != nil:
			if exhausted(err) {
				select {
				case <-time.After(50 * time.Millisecond):
				case <-ctx.Done():
				}
				continue
			}
			return err
		}
		select {
		case p.slots <- struct{}{}:
			serving.Go(func() {
				defer func() { <-p.slots }()
				p.serve(ctx, conn, own)
			})
		default:
			conn.SetWriteDeadline(time.Now().Add(time.Second))
			answer(conn, &failure{http.StatusServiceUnavailable, "too many connections at once"})
			conn.Close()
		}
	}
}

// exhausted reports whether accepting may work again when something was freed.
func exhausted(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// serve answers one connection, which has one request unless it is for the
// host side itself.
func (p *Proxy) serve(ctx context.Context, conn net.Conn, own *ownServer) {
	ctx, cancel := context.WithTimeout(ctx, p.opts.Total)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()

	conn.SetReadDeadline(time.Now().Add(min(headTime, p.opts.Idle)))
	c := &client{Conn: conn, r: bufio.NewReaderSize(conn, maxHead)}
	line, err := peekLine(c.r)
	if err == nil && line.forOwner() {
		conn.SetReadDeadline(time.Time{})
		own.take(ctx, c)
		return
	}
	var h head
	if err == nil {
		h, err = peekHead(c.r, line)
	}
	if err != nil {
		if _, silent := errors.AsType[*failure](err); silent {
			p.decide(Decision{Method: line.shortMethod(), Refused: true}, err)
			answer(c, err)
		}
		return
	}
	conn.SetReadDeadline(time.Time{})
	if line.method == http.MethodConnect {
		p.tunnel(ctx, c, h)
	} else {
		p.forward(ctx, c, h)
	}
}

// decide counts and logs what became of a request.
func (p *Proxy) decide(d Decision, err error) *HostTotals {
	if f, ok := errors.AsType[*failure](err); ok {
		d.Reason = f.reason
		d.Refused = f.status != badGateway
	}
	host := d.Host
	if host == "" {
		host = MalformedHosts
	}
	p.opts.Log(d)
	return p.sum.count(host, d.Refused)
}

// open decides about a request and connects to its host. The error is a
// *failure, counted and logged.
func (p *Proxy) open(ctx context.Context, method string, t target) (net.Conn, *HostTotals, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	d := Decision{Method: method, Host: t.host, Port: t.port}
	if !p.rules.allow(t) {
		err := refuse("the host is not allowed")
		p.decide(d, err)
		return nil, nil, err
	}
	all, err := p.resolve(ctx, t)
	if err != nil {
		p.decide(d, err)
		return nil, nil, err
	}
	for _, at := range all {
		var conn net.Conn
		if conn, err = p.opts.Dial(ctx, at); err == nil {
			d.Address = at
			return conn, p.decide(d, nil), nil
		}
	}
	err = &failure{badGateway, "the host cannot be reached"}
	p.decide(d, err)
	return nil, nil, err
}

// client is a connection from inside, of which some bytes may be read ahead.
type client struct {
	net.Conn
	r *bufio.Reader
}

func (c *client) Read(b []byte) (int, error) { return c.r.Read(b) }

func closeWrite(c net.Conn) {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		h.CloseWrite()
	}
}

// CloseWrite lets half of a connection end through the wrapping.
func (c *client) CloseWrite() error {
	if h, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return c.Conn.Close()
}

// failure is why a request is not carried out, and how it is answered. The
// reason has nothing of the request in it.
type failure struct {
	status int
	reason string
}

const badGateway = http.StatusBadGateway

func (f *failure) Error() string { return f.reason }

func refuse(reason string) error { return &failure{http.StatusForbidden, reason} }

func malformed(reason string) error { return &failure{http.StatusBadRequest, reason} }

// answer writes a failure as a response that ends the connection.
func answer(w io.Writer, err error) {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = &failure{badGateway, "the request could not be carried out"}
	}
	writeHead(w, f.status, http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Connection": {"close"}})
	io.WriteString(w, "hermes: "+f.reason+"\n")
}
