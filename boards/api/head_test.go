package api

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

const plainHead = "POST /v1/do HTTP/1.1\r\nHost: hermes\r\nHermes-Version: 1.0\r\nAuthorization: Run secret\r\nContent-Length: 2\r\n\r\n"

// plainRequests are read by a lane, each with the body that follows it.
var plainRequests = []string{
	plainHead + "{}",
	"GET /v1/hello HTTP/1.1\r\nHost: hermes\r\nHermes-Version: v1.2.3-0.2026+dirty\r\n\r\n",
	"POST /v1/query/info HTTP/1.1\r\nHost: localhost:80\r\nUser-Agent: curl/8.1 (x; y)\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n",
	"POST /v1/run/renew HTTP/1.1\r\nContent-Length: 1048577\r\nHost: h\r\n\r\n",
}

// otherRequests are left to net/http, whatever it makes of them.
var otherRequests = map[string]string{
	"two lengths":                 "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
	"the same length twice":       "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
	"two lengths in one":          "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2, 2\r\n\r\n{}",
	"a length in another case":    "POST /v1/do HTTP/1.1\r\nHost: h\r\ncontent-length: 2\r\n\r\n{}",
	"lengths in two cases":        "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\ncontent-length: 3\r\n\r\n{} ",
	"a signed length":             "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\n{}",
	"a negative length":           "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n{}",
	"a length with zeros":         "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 02\r\n\r\n{}",
	"a hexadecimal length":        "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 0x2\r\n\r\n{}",
	"a length beyond numbers":     "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551618\r\n\r\n{}",
	"an empty length":             "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: \r\n\r\n{}",
	"no length":                   "POST /v1/do HTTP/1.1\r\nHost: h\r\n\r\n{}",
	"a length of a GET":           "GET /v1/hello HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
	"chunks":                      "POST /v1/do HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
	"chunks and a length":         "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"chunks, oddly":               "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nTransfer-Encoding : chunked\r\n\r\n{}",
	"chunks, not quite":           "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nTransfer_Encoding: chunked\r\n\r\n{}",
	"expects to be told":          "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n{}",
	"an upgrade":                  "GET /v1/hello HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
	"to be closed":                "POST /v1/do HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
	"a folded line":               "POST /v1/do HTTP/1.1\r\nHost: h\r\nUser-Agent: a\r\n Content-Length: 3\r\nContent-Length: 2\r\n\r\n{}",
	"a line folded by a tab":      "POST /v1/do HTTP/1.1\r\nHost: h\r\n\tx\r\nContent-Length: 2\r\n\r\n{}",
	"bare line feeds":             "POST /v1/do HTTP/1.1\nHost: h\nContent-Length: 2\n\n{}",
	"one bare line feed":          "POST /v1/do HTTP/1.1\r\nHost: h\nContent-Length: 2\r\n\r\n{}",
	"a bare line feed at its end": "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\n{}",
	"a bare carriage return":      "POST /v1/do HTTP/1.1\r\nHost: h\rContent-Length: 3\r\nContent-Length: 2\r\n\r\n{}",
	"two carriage returns":        "POST /v1/do HTTP/1.1\r\nHost: h\r\r\nContent-Length: 2\r\n\r\n{}",
	"a carriage return in path":   "POST /v1/do\r HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
	"a NUL in a value":            "POST /v1/do HTTP/1.1\r\nHost: h\r\nUser-Agent: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
	"a value beyond ASCII":        "POST /v1/do HTTP/1.1\r\nHost: h\r\nUser-Agent: \xc3\xa9\r\nContent-Length: 2\r\n\r\n{}",
	"leading blank lines":         "\r\nPOST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
	"a leading space":             " POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
	"a space before a field":      "POST /v1/do HTTP/1.1\r\n Host: h\r\nContent-Length: 2\r\n\r\n{}",
	"a space before a colon":      "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length : 2\r\n\r\n{}",
	"no space after a colon":      "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length:2\r\n\r\n{}",
	"two spaces after a colon":    "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length:  2\r\n\r\n{}",
	"a space after a value":       "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2 \r\n\r\n{}",
	"no colon":                    "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length\r\n\r\n{}",
	"no host":                     "POST /v1/do HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
	"two hosts":                   "POST /v1/do HTTP/1.1\r\nHost: h\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
	"a host with a space":         "POST /v1/do HTTP/1.1\r\nHost: h h\r\nContent-Length: 2\r\n\r\n{}",
	"two tokens":                  "POST /v1/run/renew HTTP/1.1\r\nHost: h\r\nAuthorization: Run a\r\nAuthorization: Run secret\r\nContent-Length: 2\r\n\r\n{}",
	"HTTP/1.0":                    "POST /v1/do HTTP/1.0\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
	"HTTP/2":                      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"an absolute target":          "POST http://h/v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
	"two slashes":                 "POST //v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
	"an escape in the path":       "POST /v1/%64o HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
	"a query":                     "POST /v1/do?x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
	"a fragment":                  "POST /v1/do#x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
	"dots":                        "POST /v1/x/../do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
	"two spaces":                  "POST  /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
	"a tab":                       "POST\t/v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
	"another method":              "PUT /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
	"a method in lower case":      "post /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
	"a line without an end":       "POST /v1/do HTTP/1.1\r\nHost: h\r\nUser-Agent: " + strings.Repeat("x", 20<<10),
	"nothing":                     "\r\n\r\n",
}

func TestParseRequest(t *testing.T) {
	q, n, ok := parseRequest([]byte(plainHead + "{}"))
	if !ok || n != len(plainHead) || q.method != http.MethodPost || string(q.path) != "/v1/do" || string(q.version) != "1.0" ||
		string(q.authorization) != "Run secret" || q.length != 2 {
		t.Errorf("got %+v, %d, %v", q, n, ok)
	}
	for _, s := range plainRequests {
		if _, _, ok := parseRequest([]byte(s)); !ok {
			t.Errorf("%q: got not plain, want plain", s)
		}
		sameRequest(t, []byte(s))
	}
	for n := range len(plainHead) {
		if _, _, ok := parseRequest([]byte(plainHead[:n])); ok {
			t.Errorf("%q: got plain, want not: it is cut short", plainHead[:n])
		}
	}
	for name, s := range otherRequests {
		if _, _, ok := parseRequest([]byte(s)); ok {
			t.Errorf("%s: got plain, want not", name)
		}
	}
}

// FuzzParseRequest: what a lane takes for a plain request net/http takes for
// the same request.
func FuzzParseRequest(f *testing.F) {
	for _, s := range plainRequests {
		f.Add([]byte(s))
		f.Add([]byte(s + plainRequests[0]))
	}
	for _, s := range otherRequests {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { sameRequest(t, b) })
}

func sameRequest(t *testing.T, b []byte) {
	q, n, ok := parseRequest(b)
	if !ok {
		return
	}
	in := bufio.NewReader(bytes.NewReader(b))
	r, err := http.ReadRequest(in)
	if err != nil {
		t.Fatalf("%q: plain, but net/http says %v", b, err)
	}
	if r.Method != q.method || r.RequestURI != string(q.path) || r.URL.Path != string(q.path) || r.Proto != "HTTP/1.1" ||
		r.URL.RawQuery != "" || r.URL.Host != "" || r.Close || r.ContentLength != int64(q.length) || len(r.TransferEncoding) > 0 || len(r.Trailer) > 0 {
		t.Fatalf("%q: got %+v, net/http got %+v", b, q, r)
	}
	for name, value := range map[string][]byte{VersionHeader: q.version, "Authorization": q.authorization} {
		if got := r.Header.Values(name); len(got) > 1 || r.Header.Get(name) != string(value) {
			t.Fatalf("%q: %s: got %q, net/http got %q", b, name, value, got)
		}
	}
	for _, name := range []string{"Expect", "Upgrade", "Connection", "Transfer-Encoding", "Trailer", "Te"} {
		if got := r.Header.Values(name); len(got) > 0 {
			t.Fatalf("%q: plain, with %s: %q", b, name, got)
		}
	}
	sameBody(t, b[n:], q.length, r.Body, in)
}

// sameBody checks that a body which begins what follows a head, and what comes
// after it, is what net/http takes for them.
func sameBody(t *testing.T, follows []byte, length int, body io.Reader, in io.Reader) {
	mine := follows[:min(length, len(follows))]
	theirs, err := io.ReadAll(body)
	if short := len(mine) < length; short != errors.Is(err, io.ErrUnexpectedEOF) || !short && err != nil || !bytes.Equal(mine, theirs) {
		t.Fatalf("got body %q of %d, net/http got %q, %v", mine, length, theirs, err)
	}
	rest, err := io.ReadAll(in)
	if err != nil || !bytes.Equal(rest, follows[len(mine):]) {
		t.Fatalf("got %q after the body, net/http got %q, %v", follows[len(mine):], rest, err)
	}
}

func TestParseResponse(t *testing.T) {
	const plain = "HTTP/1.1 422 Unprocessable Entity\r\nHermes-Version: 1.0\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n"
	s, n, ok := parseResponse([]byte(plain + "{}"))
	if want := (response{status: 422, length: 2, close: true}); !ok || n != len(plain) || s != want {
		t.Errorf("got %+v, %d, %v, want %+v", s, n, ok, want)
	}
	sameResponse(t, []byte(plain+"{}"))
	for _, s := range otherResponses {
		if _, _, ok := parseResponse([]byte(s)); ok {
			t.Errorf("%q: got plain, want not", s)
		}
	}
}

var otherResponses = []string{
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
	"HTTP/1.1 200 OK\r\n\r\n",
	"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
	"HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\n",
	"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}",
	"HTTP/1.1 2\r\nContent-Length: 2\r\n\r\n{}",
	"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
	"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
	"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}",
}

// FuzzParseResponse is to responses what FuzzParseRequest is to requests.
func FuzzParseResponse(f *testing.F) {
	for _, status := range []int{200, 422, 499, 503} {
		f.Add([]byte("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\nContent-Length: 2\r\n" + header("1") + "\r\n{}"))
	}
	for _, s := range otherResponses {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { sameResponse(t, b) })
}

func sameResponse(t *testing.T, b []byte) {
	s, n, ok := parseResponse(b)
	if !ok {
		return
	}
	in := bufio.NewReader(bytes.NewReader(b))
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("%q: plain, but net/http says %v", b, err)
	}
	if r.StatusCode != s.status || r.ContentLength != int64(s.length) || r.Close != s.close || len(r.TransferEncoding) > 0 {
		t.Fatalf("%q: got %+v, net/http got %+v", b, s, r)
	}
	sameBody(t, b[n:], s.length, r.Body, in)
}
