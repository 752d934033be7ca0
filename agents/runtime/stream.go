package runtime

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/hermesboard/hermes/agents"
)

// Summary is what the output of an attempt told. All of it was said by a
// program in a sandbox: the endpoint knows better what was spent.
type Summary struct {
	Program      string        // its version, as it says
	Conversation string        // id, as the program calls it
	Model        string        // that it said it uses
	Tokens       agents.Tokens // read and written
	Cost         int64         // millionths of a dollar, by its own reckoning; 0 = it said nothing
	Turns        int           // answers of the model
	Class        Class         // why it failed; empty = it did not, as far as it said
	Detail       string        // a line about the failure
	Retry        time.Duration // after which it may be tried again; 0 = unknown
}

// fail keeps the last failure with a class that says something.
func (s *Summary) fail(c Class, detail string) {
	if c == "" || c == Other && s.Class != "" {
		return
	}
	s.Class, s.Detail = c, clip(detail, 300)
}

// Bounds of what is held and shown of one line.
const (
	maxLine  = 4 << 20
	maxShown = 16 << 10
)

// Stream reads the output of a program line by line. It is given to the
// sandbox as standard output. It never fails and holds one line at most, of
// at most 4 MiB. It is safe for concurrent use; so must log and raw be if
// others write to them.
type Stream struct {
	adapter  Adapter
	log, raw io.Writer

	mu      sync.Mutex
	line    []byte
	dropped int64 // bytes of a line that is too long to be held
	sum     Summary
}

// Typed reports whether a runtime writes objects for a [Stream] to read. Others
// write for people.
func Typed(a Adapter) bool {
	switch a.Kind() {
	case "builtin", "command", "hermes":
		return false
	}
	return true
}

// NewStream writes what a person should read to log, and all that comes, as it
// comes, to raw. Either may be nil.
func NewStream(a Adapter, log, raw io.Writer) *Stream {
	if log == nil {
		log = io.Discard
	}
	if raw == nil {
		raw = io.Discard
	}
	return &Stream{adapter: a, log: log, raw: raw}
}

// Write takes output.
func (s *Stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw.Write(p)
	for rest := p; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			s.hold(rest)
			break
		}
		s.hold(rest[:i])
		s.flush()
		rest = rest[i+1:]
	}
	return len(p), nil
}

// hold keeps a part of a line, unless the line is too long.
func (s *Stream) hold(part []byte) {
	if s.dropped > 0 || len(s.line)+len(part) > maxLine {
		s.dropped += int64(len(s.line) + len(part))
		s.line = nil
		return
	}
	s.line = append(s.line, part...)
}

// flush is called at the end of a line.
func (s *Stream) flush() {
	line := s.line
	s.line = s.line[:0]
	if cap(line) > 64<<10 {
		s.line = nil
	}
	if s.dropped > 0 {
		fmt.Fprintf(s.log, "(a line of %d bytes)\n", s.dropped)
		s.dropped = 0
		return
	}
	line = bytes.TrimRight(line, "\r")
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	text, known := "", false
	if line[0] == '{' {
		text, known = s.adapter.read(line, &s.sum)
	}
	if !known {
		text = clip(string(line), maxShown)
	}
	if text = strings.TrimRight(text, "\n"); text != "" {
		io.WriteString(s.log, clip(text, maxShown)+"\n")
	}
}

// End takes what is left without a line break and returns what was learnt. It
// may be called again, and while output still comes.
func (s *Stream) End() Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.line) > 0 || s.dropped > 0 {
		s.flush()
	}
	return s.sum
}

// clip cuts a text to at most n bytes of whole characters, and says so.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
