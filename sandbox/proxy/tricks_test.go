package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hermesboard/hermes/sandbox/proxy"
)

// disguises are authorities that some program somewhere takes for a host that
// is allowed (good.test), or for this machine.
var disguises = []string{
	// control bytes and terminators
	"evil.test\x00.good.test:443", "good.test\x00.evil.test:443", "good.test\x00:443", "\x00good.test:443", "good.test:443\x00", "good.test:443\x00.evil.test",
	"evil.test%00.good.test:443", "good.test%00:443", "evil.test\t.good.test:443", "good.test\t:443", "good.test\v:443", "good.test\f:443", "good.test\x7f:443",
	"good.test\x1b:443", "good.test\xa0:443", "good.test\u200b:443", "good.test\u00ad:443", "\ufeffgood.test:443", "good\u2060.test:443", "good.test\x85:443",
	// user names, paths and delimiters
	"good.test@evil.test:443", "good.test:443@evil.test:443", "user:pass@good.test:443", "@good.test:443", "evil.test\\@good.test:443", "evil.test#@good.test:443",
	"evil.test?@good.test:443", "evil.test/@good.test:443", "evil.test;good.test:443", "evil.test,good.test:443", "evil.test|good.test:443", "evil.test&good.test:443",
	"evil.test\\.good.test:443", "evil.test/.good.test:443", "good.test\\:443", "good.test/:443", "good.test#:443", "good.test?:443", "good.test'", "\"good.test\":443",
	"(good.test):443", "<good.test>:443", "{good.test}:443", "good.test+:443", "$good.test:443", "good.test=:443", "good!.test:443", "~good.test:443", "`good.test`:443",
	// dots
	"good.test.:443", "good.test..:443", ".good.test:443", "good..test:443", "good.test.:443.", "..:443", ".:443", "good。test:443", "good．test:443", "good｡test:443",
	"evil.test.good.test.:443", "good.test.evil.test:443", "xgood.test:443", "agood.test:443", "good.tes:443", "ood.test:443", "test:443", "good.testx:443", "good-test:443",
	// other alphabets and encodings
	"göod.test:443", "gооd.test:443", "ɡood.test:443", "ｇｏｏｄ.test:443", "xn--god-2na.test:443", "good.tеst:443", "GOOD.TEST.:443", "good.te\u017ft:443", "%67ood.test:443",
	"good%2etest:443", "good.test%3a443:443", "%31%32%37.0.0.1:443", "①②⑦.0.0.1:443", "127。0。0。1:443", "good.test%20:443", "=?utf-8?q?good?=.test:443",
	// this machine, in every spelling of IPv4
	"127.0.0.1:443", "127.1:443", "127.0.1:443", "127.127.127.127:443", "0:443", "0.0.0.0:443", "2130706433:443", "017700000001:443", "0x7f000001:443", "0x7f.0.0.1:443",
	"0x7f.1:443", "0177.0.0.1:443", "0177.0.0.01:443", "00000177.0.0.1:443", "127.0.0.0x1:443", "0X7F.0.0.1:443", "127.0.0.1.:443", "127.000.000.001:443", "1:443", "127:443",
	"0x:443", "0x0:443", "4294967295:443", "127.0.0.1.1:443", "256.0.0.1:443", "127.0.0.-1:443", "+127.0.0.1:443", "127.0.0.1%0:443", "127.0.0.1e0:443", "1e9:443",
	"good.test.0:443", "good.127:443", "good.0x7f:443", "10.0.0.1:443", "192.168.0.1:443", "169.254.169.254:443", "100.64.0.1:443", "172.16.0.1:443", "9.9.9.9:443", "8.8.8.8.good:80",
	// and of IPv6
	"[::1]:443", "[::]:443", "[::ffff:127.0.0.1]:443", "[::ffff:7f00:1]:443", "[::127.0.0.1]:443", "[64:ff9b::7f00:1]:443", "[2002:7f00:1::]:443", "[fe80::1%25lo]:443",
	"[fe80::1%lo]:443", "[fd00:ec2::254]:443", "[0:0:0:0:0:0:0:1]:443", "[0000:0000:0000:0000:0000:0000:0000:0001]:443", "::1:443", "::1", "[::1", "::1]:443", "[good.test]:443",
	"[::1]good.test:443", "good.test[::1]:443", "[]:443", "[::1%good.test]:443", "[v1.good.test]:443", "[2001:4860:4860::8888]:443",
	// names of this machine and of clouds
	"localhost:443", "LOCALHOST:443", "localhost.localdomain:443", "ip6-localhost:443", "metadata.google.internal:443", "host.docker.internal:443", "127.0.0.1.nip.io:443",
	// ports
	"good.test", "good.test:", "good.test:0", "good.test:00443", "good.test:0443", "good.test:+443", "good.test:-443", "good.test:443 ", "good.test: 443", "good.test:65979",
	"good.test:4294967739", "good.test:18446744073709552059", "good.test:0x1bb", "good.test:443.0", "good.test:4_4_3", "good.test:https", "good.test:443:80", "good.test::443",
	"good.test:443/", "good.test:443#", "good.test:４４３", "good.test:443\u0660", "good.test:444", "good.test:22", ":443", "",
	// lengths
	strings.Repeat("a.", 127) + "good.test:443", strings.Repeat("a", 64) + ".good.test:443", strings.Repeat("a", 70000) + ":443",
	"-good.test:443", "good-.test:443", "good.-test:443", "good_.test:443", "_good.test:443", "good.test-:443", "*.good.test:443", "*:443", "sub.good.test:443",
	"wild.test:443", ".wild.test:443", "a..wild.test:443", "awild.test:443", "a_b.wild.test:443", "a.wild.test.:443", "a.wild.test:80",
}

// smuggled are whole requests with two meanings. good.test and good.test:80
// are allowed; no reading of these leads to one of them and nowhere else.
var smuggled = []string{
	"CONNECT good.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n",
	"CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\nHost: evil.test\r\n\r\n",
	"CONNECT good.test:443 HTTP/1.1\r\n\r\n",
	"CONNECT good.test:443 HTTP/1.1\r\nHost : good.test:443\r\n\r\n",
	"CONNECT good.test:443 HTTP/1.1\r\n Host: good.test:443\r\n\r\n",
	"CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n folded\r\n\r\n",
	"CONNECT good.test:443 HTTP/1.1\nHost: good.test:443\n\n",
	"CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\n\r\n\r\n",
	"CONNECT good.test:443 HTTP/1.1\rHost: good.test:443\r\n\r\n",
	"CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\nX: a\rb\r\n\r\n",
	"CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\nX: a\x00b\r\n\r\n",
	"CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\nContent-Length: 5\r\n\r\nhello",
	"CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"CONNECT  good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n",
	"CONNECT good.test:443 evil.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n",
	"CONNECT\tgood.test:443\tHTTP/1.1\r\nHost: good.test:443\r\n\r\n",
	"CONNECT good.test:443 HTTP/2.0\r\nHost: good.test:443\r\n\r\n",
	"CONNECT good.test:443 HTTP/1.1 \r\nHost: good.test:443\r\n\r\n",
	"CONNECT good.test:443\r\nHost: good.test:443\r\n\r\n",
	"CONNECT good.test:443 http/1.1\r\nHost: good.test:443\r\n\r\n",
	"CONNECT http://good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n",
	"CONNECT http://good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
	"CONNECT /good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n",
	"\r\n\r\nCONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n",
	" CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n",
	"connect good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n",
	"GET http://good.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n",
	"GET http://good.test/ HTTP/1.1\r\nHost: good.test:8080\r\n\r\n",
	"GET http://good.test/ HTTP/1.1\r\nHost:\r\n\r\n",
	"GET http://good.test@evil.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
	"GET http://user:pw@good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
	"GET http:good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
	"GET http:/good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
	"GET http:///good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
	"GET http:\\\\good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
	"GET //good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
	"GET good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
	"GET https://good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
	"GET ftp://good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
	"GET file:///etc/passwd HTTP/1.1\r\nHost: good.test\r\n\r\n",
	"GET unix:/run/docker.sock HTTP/1.1\r\nHost: good.test\r\n\r\n",
	"GET * HTTP/1.1\r\nHost: good.test\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: good.test\r\n\r\n",
	"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nhello",
	"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nContent-Length: 4, 4\r\n\r\nhello",
	"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nContent-Length: +4\r\n\r\nhello",
	"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nContent-Length: -1\r\n\r\nhello",
	"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
	"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: identity\r\n\r\n",
	"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n",
	"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
	"POST http://good.test/ HTTP/1.0\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"GET http://good.test/ HTTP/1.1\r\nHost: good.test\r\nX: " + strings.Repeat("a", 70000) + "\r\n\r\n",
	"GET http://good.test/\u00e9 HTTP/1.1\r\nHost: good.test\r\n\r\n",
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", // TLS
	"\x05\x01\x00",                         // SOCKS 5
	"\x04\x01\x01\xbb\x7f\x00\x00\x01\x00", // SOCKS 4
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"GET",
}

func TestTricks(t *testing.T) {
	var hits atomic.Int32
	sink := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer sink.Close()
	w := open(t, "", proxy.Options{
		Allow: []string{"good.test", "good.test:80", "*.wild.test"},
		Dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
			hits.Add(1)
			return net.Dial("tcp", sink.Listener.Addr().String())
		},
	})
	for raw, want := range map[string]string{ // the way is open for those who ask plainly
		"CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n":      "200",
		"CONNECT a.b.wild.test:443 HTTP/1.0\r\n\r\n":                         "200",
		"GET http://GOOD.test?x HTTP/1.1\r\nHost: good.test\r\nA: é\r\n\r\n": "200",
	} {
		if got := w.send(t, raw); !strings.HasPrefix(got, "HTTP/1.1 "+want) {
			t.Fatalf("%q: got %q, want %s", raw, got, want)
		}
	}
	if hits.Load() != 3 {
		t.Fatalf("got %d hits, want 3: the tricks below would prove nothing", hits.Load())
	}
	tricks := 0
	try := func(raw string) {
		t.Helper()
		tricks++
		answer := w.send(t, raw)
		if n := hits.Swap(0); n != 0 {
			t.Errorf("%.120q: got %d hits, want none", raw, n)
		}
		if strings.HasPrefix(answer, "HTTP/1.1 2") {
			t.Errorf("%.120q: got %.60q", raw, answer)
		}
	}
	hits.Store(0)
	for _, d := range disguises {
		try(fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", d, d))
		if d == "good.test" {
			continue // nor this, as plain HTTP
		}
		try(fmt.Sprintf("GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n", d, d))
	}
	for _, raw := range smuggled {
		try(raw)
	}
	if tricks < 200 {
		t.Errorf("got %d tricks, want at least 200", tricks)
	}
	t.Logf("%d tricks, %d names looked up", tricks, len(w.resolved)-3)
	if len(w.resolved) != 3 {
		t.Errorf("got %q looked up, want nothing of what is refused", w.resolved[3:])
	}
}

// TestAddresses has an allowed name lead to addresses that must not be dialled.
func TestAddresses(t *testing.T) {
	var answer []netip.Addr
	var dialled []netip.AddrPort
	w := open(t, "", proxy.Options{
		Allow:   []string{"good.test"},
		Resolve: func(context.Context, string) ([]netip.Addr, error) { return answer, nil },
		Dial: func(_ context.Context, at netip.AddrPort) (net.Conn, error) {
			dialled = append(dialled, at)
			return nil, io.EOF
		},
	})
	connect := func() string {
		dialled = nil
		return w.send(t, "CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n")
	}
	for _, s := range []string{"9.9.9.9", "2620:fe::fe", "::ffff:9.9.9.9"} {
		answer = []netip.Addr{netip.MustParseAddr(s)}
		if connect(); len(dialled) != 1 || dialled[0].Addr() != answer[0].Unmap() {
			t.Errorf("%s: got %v dialled, want it", s, dialled)
		}
	}
	for _, s := range []string{
		"127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.254",
		"192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.88.99.1",
		"::1", "::", "fe80::1", "fe80::1%lo", "febf::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
		"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a00:1::1", "2001::1", "2001:db8::1", "100::1", "::ffff:0:127.0.0.1", "3fff::1", "5f00::1", "4000::1",
	} {
		for _, with := range [][]netip.Addr{nil, {somewhere}} { // also in company
			answer = append(with, netip.MustParseAddr(s))
			if got := connect(); len(dialled) != 0 || !strings.HasPrefix(got, "HTTP/1.1 403") {
				t.Errorf("%v: got %v dialled, %.40q; want none and 403", answer, dialled, got)
			}
		}
	}
	answer = nil
	if got := connect(); !strings.HasPrefix(got, "HTTP/1.1 502") {
		t.Errorf("without an address: got %.40q, want 502", got)
	}
}

// TestResolvedOnce has a name change its mind after the first question.
func TestResolvedOnce(t *testing.T) {
	asked := 0
	var dialled []netip.AddrPort
	w := open(t, "", proxy.Options{
		Allow: []string{"good.test"},
		Resolve: func(context.Context, string) ([]netip.Addr, error) {
			if asked++; asked > 1 {
				return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
			}
			return []netip.Addr{somewhere}, nil
		},
		Dial: func(_ context.Context, at netip.AddrPort) (net.Conn, error) {
			dialled = append(dialled, at)
			return nil, io.EOF
		},
	})
	w.send(t, "CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n")
	if asked != 1 || len(dialled) != 1 || dialled[0].Addr() != somewhere {
		t.Errorf("got asked %d times, dialled %v; want once, and what was answered", asked, dialled)
	}
	if got := w.send(t, "CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n"); len(dialled) != 1 || !strings.HasPrefix(got, "HTTP/1.1 403") {
		t.Errorf("the second time: got %v, %.40q", dialled, got)
	}
}
