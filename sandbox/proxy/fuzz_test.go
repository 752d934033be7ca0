package proxy

import (
	"bufio"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// FuzzHead holds that whatever is let through names one host, in one spelling,
// and that the reader of net/http, which reads the request after us, agrees.
func FuzzHead(f *testing.F) {
	for _, raw := range []string{
		"CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n",
		"GET http://good.test/a?b HTTP/1.1\r\nHost: good.test\r\nA: b\r\n\r\n",
		"POST http://good.test:8080 HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
		"POST http://good.test/ HTTP/1.1\r\nHost: good.test:80\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET http://good.test#@evil.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
		"CONNECT 127.0.0.1\x00.good.test:443 HTTP/1.1\r\nHost: good.test\r\n\r\n",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		r := bufio.NewReaderSize(strings.NewReader(raw), maxHead)
		line, err := peekLine(r)
		if err != nil || line.forOwner() {
			return
		}
		h, err := peekHead(r, line)
		if err != nil {
			return
		}
		again, err := parseTarget(h.target.String(), 0)
		if _, addr := netip.ParseAddr(h.target.host); err != nil || again != h.target || addr == nil {
			t.Errorf("%q: got %v, which reads as %v, %v", raw, h.target, again, err)
		}
		req, err := http.ReadRequest(r)
		if err != nil {
			return // answered with 400
		}
		port := httpPort
		if line.method == http.MethodConnect {
			port = 0
		}
		if theirs, err := parseTarget(req.URL.Host, port); err != nil || theirs != h.target || req.URL.User != nil {
			t.Errorf("%q: we read %v, net/http %v, %v", raw, h.target, req.URL, err)
		}
	})
}
