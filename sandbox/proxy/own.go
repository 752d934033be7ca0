package proxy

import (
	"context"
	"io"
	"iter"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
)

// ownServer answers requests that are for the host side itself, with the
// ordinary server of net/http, which is handed connections one by one.
type ownServer struct {
	http  *http.Server
	conns chan net.Conn
	done  chan struct{} // closed by close
	once  sync.Once
}

func newOwnServer(opts Options) *ownServer {
	return &ownServer{
		conns: make(chan net.Conn), done: make(chan struct{}),
		http: &http.Server{
			Handler: pathOnly(opts.Fallback), ReadHeaderTimeout: headTime, IdleTimeout: opts.Idle, MaxHeaderBytes: maxHead,
			ErrorLog: log.New(io.Discard, "", 0),
		},
	}
}

// pathOnly keeps what is for another host from a handler that knows paths.
func pathOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !(requestLine{target: r.RequestURI}).forOwner() || r.Method == http.MethodConnect {
			w.Header().Set("Connection", "close")
			http.Error(w, "hermes: a request for another host has a connection of its own", http.StatusBadRequest)
			return
		}
		r.URL.Scheme, r.URL.Host = "", ""
		next.ServeHTTP(w, r)
	})
}

func (s *ownServer) serve() { s.http.Serve(s) }

// close ends every connection.
func (s *ownServer) close() {
	s.Close()
	s.http.Close()
}

// take hands a connection over and returns when it is closed, or ctx ended.
func (s *ownServer) take(ctx context.Context, c net.Conn) {
	closed := make(chan struct{})
	select {
	case s.conns <- &takenConn{Conn: c, closed: closed}:
	case <-s.done:
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-closed:
	case <-ctx.Done():
	}
}

// takenConn tells of its end.
type takenConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *takenConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// Accept, Close and Addr make it the listener of its server.
func (s *ownServer) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Close ends accepting.
func (s *ownServer) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}

// Addr is that of no socket.
func (s *ownServer) Addr() net.Addr { return &net.UnixAddr{Name: "proxy", Net: "unix"} }

// splitList yields the elements of a header field that is a list.
func splitList(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.Trim(part, " \t"); part != "" && !yield(part) {
				return
			}
		}
	}
}

var _ net.Listener = (*ownServer)(nil)
