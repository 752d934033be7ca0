package api

import (
	"bytes"
	"net/http"
)

// request is the head of a plain request. Its parts lie in what was read.
type request struct {
	method        string
	path          []byte
	version       []byte // of the peer's program
	authorization []byte
	length        int // of the body
}

// parseRequest reads the head of a plain request: one that has a single
// spelling, and nothing in it of which two readers might think differently.
// That is GET or POST, a path without a query, HTTP/1.1, lines that end in
// CRLF, field names in their usual spelling, one space after the colon, no
// field that bears on how the message is framed but one Content-Length, which
// a POST must have and a GET must not, and the whole head in b. n is the
// length of the head. Anything else is not ok, which does not mean that it is
// wrong: it is for net/http to read.
func parseRequest(b []byte) (q request, n int, ok bool) {
	line, n, ok := cutLine(b, 0)
	if !ok {
		return q, 0, false
	}
	if line, ok = bytes.CutSuffix(line, []byte(" HTTP/1.1")); !ok {
		return q, 0, false
	}
	if q.path, ok = bytes.CutPrefix(line, []byte("POST ")); ok {
		q.method = http.MethodPost
	} else if q.path, ok = bytes.CutPrefix(line, []byte("GET ")); ok {
		q.method = http.MethodGet
	}
	if !ok || !isPath(q.path) {
		return q, 0, false
	}
	var host, length bool
	for {
		if line, n, ok = cutLine(b, n); !ok {
			return q, 0, false
		}
		if len(line) == 0 {
			return q, n, host && length == (q.method == http.MethodPost)
		}
		name, value, found := bytes.Cut(line, []byte(": "))
		if !found || !isValue(value) {
			return q, 0, false
		}
		switch string(name) {
		case "Host":
			ok, host = !host && isHost(value), true
		case "Content-Length":
			ok = !length
			if ok {
				q.length, ok = parseLength(value)
			}
			length = true
		case VersionHeader:
			ok, q.version = q.version == nil, value
		case "Authorization":
			ok, q.authorization = q.authorization == nil, value
		case "Accept", "Accept-Encoding", "Content-Type", "User-Agent": // nobody here looks at them
		default:
			ok = false
		}
		if !ok {
			return q, 0, false
		}
	}
}

// response is the head of a plain response.
type response struct {
	status int
	length int
	close  bool // the connection is not to be used again
}

// parseResponse is to a response what parseRequest is to a request.
func parseResponse(b []byte) (s response, n int, ok bool) {
	line, n, ok := cutLine(b, 0)
	if !ok {
		return s, 0, false
	}
	line, ok = bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !ok || len(line) < 4 || line[3] != ' ' || line[0] < '2' {
		return s, 0, false
	}
	if s.status, ok = parseLength(line[:3]); !ok || s.status == http.StatusNoContent || s.status == http.StatusNotModified {
		return s, 0, false
	}
	length := false
	for {
		if line, n, ok = cutLine(b, n); !ok {
			return s, 0, false
		}
		if len(line) == 0 {
			return s, n, length
		}
		name, value, found := bytes.Cut(line, []byte(": "))
		if !found || !isValue(value) {
			return s, 0, false
		}
		switch string(name) {
		case "Content-Length":
			ok = !length
			if ok {
				s.length, ok = parseLength(value)
			}
			length = true
		case "Connection":
			ok, s.close = string(value) == "close", true
		case "Content-Type", VersionHeader:
		default:
			ok = false
		}
		if !ok {
			return s, 0, false
		}
	}
}

// cutLine returns the line of b that begins at i, and where the next begins.
func cutLine(b []byte, i int) (line []byte, next int, ok bool) {
	n := bytes.IndexByte(b[i:], '\n')
	if n < 1 || b[i+n-1] != '\r' {
		return nil, 0, false
	}
	return b[i : i+n-1], i + n + 1, true
}

// isPath reports whether b is a path of lower case words.
func isPath(b []byte) bool {
	for _, c := range b {
		if c != '/' && c != '_' && !isDigit(c) && (c < 'a' || c > 'z') {
			return false
		}
	}
	return len(b) > 1 && b[0] == '/' && b[1] != '/'
}

// isValue reports whether b is printable ASCII without spaces around it.
func isValue(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return len(b) > 0 && b[0] != ' ' && b[len(b)-1] != ' '
}

func isHost(b []byte) bool {
	for _, c := range b {
		if c != '.' && c != '-' && c != ':' && !isDigit(c) && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// parseLength reads a decimal number as one writes it, of nine digits at most.
func parseLength(b []byte) (n int, ok bool) {
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = 10*n + int(c-'0')
		if n > 999_999_999 {
			return 0, false
		}
	}
	return n, len(b) > 0 && (len(b) == 1 || b[0] != '0')
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
