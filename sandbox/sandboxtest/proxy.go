//go:build linux && (amd64 || arm64)

package sandboxtest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/proxy"
)

// fetch gets every URL with an ordinary client that knows of the proxy by its
// environment, and prints one line for each.
func fetch(args []string) {
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	for _, url := range args {
		resp, err := client.Get(url)
		if err != nil {
			fmt.Println("error")
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Printf("%d %.40s\n", resp.StatusCode, strings.TrimSpace(string(body)))
	}
}

// testProxy has one host allowed, and looks for others.
func testProxy(t *testing.T, b *box) {
	if !b.has(driver.NetworkProxy) {
		t.Logf("%s declares no proxy network", b.Name())
		return
	}
	var plainHits, tlsHits, sinkHits atomic.Int32
	count := func(n *atomic.Int32) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n.Add(1)
			fmt.Fprint(w, "hello")
		})
	}
	plain, secure, sink := httptest.NewServer(count(&plainHits)), httptest.NewTLSServer(count(&tlsHits)), httptest.NewServer(count(&sinkHits))
	defer plain.Close()
	defer secure.Close()
	defer sink.Close()
	port := func(s *httptest.Server) uint16 { return netip.MustParseAddrPort(s.Listener.Addr().String()).Port() }
	spec := b.spec(t)
	spec.Network, spec.SocketDir = sandbox.ProxyNetwork, shortDir(t)
	serveProxy(t, filepath.Join(spec.SocketDir, proxy.Socket), proxy.Options{
		Allow: []string{fmt.Sprintf("good.test:%d", port(plain)), fmt.Sprintf("good.test:%d", port(secure))},
		Resolve: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		},
		Exempt: []netip.AddrPort{
			netip.MustParseAddrPort(plain.Listener.Addr().String()), netip.MustParseAddrPort(secure.Listener.Addr().String()),
		},
		Fallback: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the host side") }),
	})
	spec.Argv = append([]string{b.Layout(spec).Program, insideArg}, "fetch",
		fmt.Sprintf("http://good.test:%d/", port(plain)), fmt.Sprintf("https://good.test:%d/", port(secure)),
		fmt.Sprintf("http://good.test:%d/", port(sink)), fmt.Sprintf("https://evil.test:%d/", port(secure)),
		fmt.Sprintf("http://127.0.0.1:%d/", port(sink)), "http://"+proxy.Listen+"/")
	out, status := b.run(t, spec)
	want := []string{"200 hello", "200 hello", "403 hermes: the host is not allowed", "error", "error", "200 the host side"}
	if got := strings.Split(strings.TrimSpace(out), "\n"); !slices.Equal(got, want) || !status.Success() {
		t.Errorf("got %q, %v; want %q", got, status, want)
	}
	if plainHits.Load() != 1 || tlsHits.Load() != 1 || sinkHits.Load() != 0 {
		t.Errorf("got %d, %d and %d hits, want 1, 1 and 0", plainHits.Load(), tlsHits.Load(), sinkHits.Load())
	}
	testCurl(t, b, spec, fmt.Sprintf("good.test:%d", port(secure)), fmt.Sprintf("127.0.0.1:%d", port(sink)))
	if sinkHits.Load() != 0 {
		t.Errorf("got %d hits, want none", sinkHits.Load())
	}
	testRelayed(t, b, spec)
}

// testCurl asks with somebody else's client, if there is one.
func testCurl(t *testing.T, b *box, spec *sandbox.Spec, good, bad string) {
	if _, err := exec.LookPath("curl"); err != nil || b.Layout(spec).Program == spec.Program {
		t.Log("no curl here")
		return
	}
	again := *spec
	again.Mark, again.Stdout, again.Stderr = "", nil, nil
	again.Env = []string{"PATH=/usr/bin:/bin", "http_proxy=http://10.0.0.1:1", "NO_PROXY=good.test"} // which is replaced
	again.Argv = shell(`command -v curl >/dev/null || { echo none; exit; }
		curl -sk --max-time 20 "https://$1/"; echo
		curl -s --max-time 20 --noproxy '' -x http://`+proxy.Listen+` "http://$2/"; curl -s --max-time 5 --noproxy '*' "http://$2/"; echo $?`, good, bad)
	out, _ := b.run(t, &again)
	if out == "none\n" {
		t.Log("no curl inside")
	} else if !strings.HasPrefix(out, "hello\nhermes: ") || strings.HasSuffix(out, "\n0\n") {
		t.Errorf("curl: got %q, want hello, a refusal, and no way beside the proxy", out)
	}
}

// testRelayed sees that the program is run as it is without the relay.
func testRelayed(t *testing.T, b *box, spec *sandbox.Spec) {
	again := func(args ...string) *sandbox.Spec {
		s := *spec
		s.Mark, s.Stdout, s.Stderr = "", nil, nil
		s.Argv = append([]string{b.Layout(&s).Program, insideArg}, args...)
		return &s
	}
	if _, status := b.run(t, again("exit", "7")); status != (sandbox.ExitStatus{Code: 7}) {
		t.Errorf("got %+v, want exit 7", status)
	}
	cat := again("cat")
	cat.Stdin = strings.NewReader("through")
	if out, _ := b.run(t, cat); out != "through" {
		t.Errorf("got %q, want stdin on stdout", out)
	}
	missing := again()
	missing.Argv = []string{"/no/such/program"}
	if _, status := b.run(t, missing); status.Code != 127 {
		t.Errorf("a missing program: got %v, want exit 127", status)
	}
	polite := again("polite")
	out := newLines()
	polite.Stdout = out
	s := b.start(t, polite)
	await(t, "first line", out.c)
	if err := s.Stop(patience); err != nil {
		t.Error(err)
	}
	if status := b.wait(t, s); status != (sandbox.ExitStatus{Code: 3}) {
		t.Errorf("got %+v, want a signal passed on and its own exit 3", status)
	}
	token := unique("relayed")
	tree := again("daemon", "stay", "clear", token)
	up := newLines()
	tree.Stdout = up
	s = b.start(t, tree)
	await(t, "first line", up.c)
	if err := s.Kill(); err != nil {
		t.Error(err)
	}
	wantGone(t, token)
}

func serveProxy(t *testing.T, socket string, opts proxy.Options) {
	t.Helper()
	p, err := proxy.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o666); err != nil { // the folder is the guard
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Serve(ctx, l)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// shortDir is a folder whose path leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // whoever the program is inside
		t.Fatal(err)
	}
	return dir
}
