package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxHead bounds the head of a request.
const maxHead = 64 << 10

// requestLine is the first line of a request.
type requestLine struct {
	method, target string
	minor          byte // of HTTP/1.x
}

// forOwner reports whether the request is for the host side itself.
func (l requestLine) forOwner() bool {
	return strings.HasPrefix(l.target, "/") || hasPrefixFold(l.target, "http://"+Listen+"/")
}

func (l requestLine) shortMethod() string { return l.method[:min(len(l.method), 16)] }

// head is the checked head of a request that is for another host.
type head struct {
	line   requestLine
	target target
}

// peekLine reads the first line and consumes nothing. An error that is not a
// *failure means that there was none.
func peekLine(r *bufio.Reader) (requestLine, error) {
	raw, err := peekUntil(r, "\r\n")
	if err != nil {
		return requestLine{}, err
	}
	return parseLine(string(raw[:len(raw)-2]))
}

func parseLine(s string) (requestLine, error) {
	method, rest, _ := strings.Cut(s, " ")
	target, version, ok := strings.Cut(rest, " ")
	if !ok || !token(method) || target == "" || version != "HTTP/1.1" && version != "HTTP/1.0" {
		return requestLine{}, malformed("the first line is not METHOD TARGET HTTP/1.1")
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c >= 0x7f {
			return requestLine{}, malformed("the target has a control byte or another alphabet")
		}
	}
	return requestLine{method: method, target: target, minor: version[len(version)-1]}, nil
}

// peekHead checks the whole head, of which line is the first, and consumes
// nothing. What two readers could understand differently is refused.
func peekHead(r *bufio.Reader, line requestLine) (head, error) {
	raw, err := peekUntil(r, "\r\n\r\n")
	if err != nil {
		return head{}, err
	}
	h := head{line: line}
	authority, port := line.target, 0
	if line.method != http.MethodConnect {
		if !hasPrefixFold(line.target, "http://") {
			return head{}, malformed("the target is neither http://… nor a path")
		}
		authority, port = line.target[len("http://"):], httpPort
		if i := strings.IndexAny(authority, "/?#"); i >= 0 {
			authority = authority[:i]
		}
	}
	if h.target, err = parseTarget(authority, port); err != nil {
		return head{}, err
	}
	_, fields, _ := strings.Cut(strings.TrimSuffix(string(raw), "\r\n\r\n"), "\r\n")
	return h, checkFields(h, fields)
}

// checkFields looks at the header fields of a request.
func checkFields(h head, fields string) error {
	seen := make(map[string]int)
	for field := range strings.SplitSeq(fields, "\r\n") {
		if field == "" {
			continue // there are none
		}
		name, value, ok := strings.Cut(field, ":")
		if !ok || !token(name) {
			return malformed("a header field is not NAME: VALUE")
		}
		for i := range len(value) {
			if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
				return malformed("a header field has a control byte")
			}
		}
		name, value = strings.ToLower(name), strings.Trim(value, " \t")
		seen[name]++
		switch name {
		case "host":
			if same, err := h.isHost(value); err != nil || !same {
				return malformed("the Host field names another host")
			}
		case "content-length":
			if value == "" || strings.Trim(value, "0123456789") != "" {
				return malformed("the Content-Length is not a number")
			}
		case "transfer-encoding":
			if !strings.EqualFold(value, "chunked") || h.line.minor == '0' {
				return malformed("the Transfer-Encoding is not chunked")
			}
		}
	}
	switch {
	case seen["host"] > 1 || seen["content-length"] > 1 || seen["transfer-encoding"] > 1:
		return malformed("Host, Content-Length or Transfer-Encoding is given twice")
	case seen["content-length"] > 0 && seen["transfer-encoding"] > 0:
		return malformed("Content-Length and Transfer-Encoding exclude each other")
	case seen["host"] == 0 && h.line.minor == '1':
		return malformed("there is no Host field")
	case h.line.method == http.MethodConnect && seen["transfer-encoding"]+seen["content-length"] > 0:
		return malformed("CONNECT has no body")
	}
	return nil
}

// isHost reports whether a Host field names the target. Clients leave a
// default port out, in one place or the other.
func (h head) isHost(value string) (bool, error) {
	port := httpPort
	if h.line.method == http.MethodConnect {
		port = h.target.port
	}
	t, err := parseTarget(value, port)
	return t == h.target, err
}

// peekUntil returns what r holds up to and including end.
func peekUntil(r *bufio.Reader, end string) ([]byte, error) {
	for want := 1; ; {
		_, err := r.Peek(want)
		raw, _ := r.Peek(r.Buffered())
		if i := bytes.Index(raw, []byte(end)); i >= 0 {
			return raw[:i+len(end)], nil
		}
		switch {
		case len(raw) >= maxHead:
			return nil, &failure{http.StatusRequestHeaderFieldsTooLarge, "the head is too large"}
		case err != nil && len(raw) > 0:
			return nil, malformed("the head does not end")
		case err != nil:
			return nil, io.EOF
		}
		want = len(raw) + 1
	}
}

// token reports whether s is a method or the name of a field.
func token(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// writeHead writes the head of a response.
func writeHead(w io.Writer, status int, fields http.Header) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	fields.Write(&b)
	b.WriteString("\r\n")
	_, err := w.Write(b.Bytes())
	return err
}
