package process

import (
	"bytes"
	"io"
	"sync"
)

// Head passes writes on to To, and remembers the first of them: there a program
// that starts another says why it could not. Safe for concurrent use.
type Head struct {
	To io.Writer // nil discards

	mu    sync.Mutex
	first []byte // guarded by mu
}

const headBytes = 4 << 10

// Write implements [io.Writer].
func (h *Head) Write(p []byte) (int, error) {
	h.mu.Lock()
	h.first = append(h.first, p[:min(len(p), headBytes-len(h.first))]...)
	h.mu.Unlock()
	if h.To == nil {
		return len(p), nil
	}
	return h.To.Write(p)
}

// Line returns the rest of the first line that begins with prefix.
func (h *Head) Line(prefix string) (rest string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for line := range bytes.Lines(h.first) {
		if rest, ok := bytes.CutPrefix(line, []byte(prefix)); ok {
			return string(bytes.TrimSpace(rest)), true
		}
	}
	return "", false
}
