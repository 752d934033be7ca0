package endpoint

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/profile"
)

// Options say what an endpoint stands for.
type Options struct {
	Config     agents.Endpoint // valid
	Token      profile.Secret  // what the agent shows; required
	Credential profile.Secret  // what the upstream is shown; zero = nothing

	// Budgets are the bounds on what this run may spend in all, as they stand
	// at the moment; nil for none. It is called before and after each request,
	// from several goroutines, and has to be quick.
	Budgets func() []Budget
	// Warn is called once, when four fifths of a budget are spent, and has to
	// be quick; nil for nobody.
	Warn func(Budget, Report)

	// Idle bounds the time in which an upstream says nothing. Zero is
	// DefaultIdle.
	Idle time.Duration
	// Longest bounds the time of one answer, whatever it says meanwhile. Zero
	// is DefaultLongest.
	Longest time.Duration
	// MaxRequestBytes bounds the body of a request. Zero is
	// DefaultMaxRequestBytes.
	MaxRequestBytes int64
	// TLS is how upstreams are verified; nil trusts what this host trusts.
	TLS *tls.Config
}

// The limits of an endpoint whose options have none. Models may think for
// minutes before they say the first word, and no provider lets one speak for an
// hour.
const (
	DefaultIdle            = 10 * time.Minute
	DefaultLongest         = time.Hour
	DefaultMaxRequestBytes = 32 << 20
)

// waiting is how many bytes of requests are held in memory at once, in
// requests of the largest size.
const waiting = 8

// Endpoint is the handler of one run. It is safe for concurrent use. Whoever
// made it closes it.
type Endpoint struct {
	opts   Options
	target *url.URL
	token  [sha256.Size]byte
	client *http.Transport
	room   chan struct{} // one for each large request held in memory
	books  books
	wire   wire
}

// wire is the traffic with the upstream, in bytes as they are carried.
type wire struct {
	in, out           atomic.Int64
	requests, refused atomic.Uint32
}

// New makes an endpoint. An upstream that would be shown the credential in the
// clear is an error, and so is a missing token.
func New(opts Options) (*Endpoint, error) {
	target, err := url.Parse(opts.Config.Target())
	switch {
	case opts.Token.IsZero():
		return nil, errors.New("model endpoint: there is no token for the run")
	case err != nil:
		return nil, errors.New("model endpoint: the upstream is not a URL")
	case target.Host == "" || target.User != nil || target.Scheme != "https" && !(target.Scheme == "http" && near(target.Hostname())):
		return nil, fmt.Errorf("model endpoint: the upstream %s is not https", target.Host)
	}
	if opts.Budgets == nil {
		opts.Budgets = func() []Budget { return nil }
	}
	if opts.Warn == nil {
		opts.Warn = func(Budget, Report) {}
	}
	if opts.Idle <= 0 {
		opts.Idle = DefaultIdle
	}
	if opts.Longest <= 0 {
		opts.Longest = DefaultLongest
	}
	if opts.MaxRequestBytes <= 0 {
		opts.MaxRequestBytes = DefaultMaxRequestBytes
	}
	if strings.ContainsFunc(opts.Credential.Reveal(), func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		return nil, errors.New("model endpoint: the credential is not of one line of plain characters")
	}
	e := &Endpoint{opts: opts, target: target, token: sha256.Sum256([]byte(opts.Token.Reveal())), room: make(chan struct{}, waiting)}
	e.client = e.transport()
	return e, nil
}

// near reports whether a host may be spoken to in the clear.
func near(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsPrivate())
}

// transport dials the upstream and nothing else.
func (e *Endpoint) transport() *http.Transport {
	dialer := &net.Dialer{Timeout: 30 * time.Second}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			counted := &countedConn{c, &e.wire}
			return &amplyRead{counted, bufio.NewReaderSize(counted, chunkBytes)}, nil
		},
		TLSClientConfig: e.opts.TLS, TLSHandshakeTimeout: 30 * time.Second,
		ForceAttemptHTTP2: true, DisableCompression: true,
		MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10, ReadBufferSize: chunkBytes, WriteBufferSize: 16 << 10,
	}
}

// amplyRead takes all that has come at once: TLS would ask for each record's
// head, and then for its body.
type amplyRead struct {
	net.Conn
	r *bufio.Reader
}

func (c *amplyRead) Read(b []byte) (int, error) { return c.r.Read(b) }

// countedConn counts what it carries.
type countedConn struct {
	net.Conn
	wire *wire
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.wire.in.Add(int64(n))
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.wire.out.Add(int64(n))
	return n, err
}

// Serve answers the connections of l until ctx ends or accepting fails. It
// closes l, ends every connection, and returns when no request is left; the
// error is nil when ctx ended.
func (e *Endpoint) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var open sync.WaitGroup
	server := &http.Server{
		Handler: e, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: log.New(io.Discard, "", 0), BaseContext: func(net.Listener) context.Context { return ctx },
		ConnState: func(_ net.Conn, s http.ConnState) { // closing a server does not wait for its handlers
			switch s {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed, http.StateHijacked:
				open.Done()
			}
		},
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	err := server.Serve(l)
	if ctx.Err() != nil {
		err = nil
	}
	cancel()
	server.Close()
	open.Wait()
	return err
}

// Close gives up the idle connections to the upstream.
func (e *Endpoint) Close() { e.client.CloseIdleConnections() }
