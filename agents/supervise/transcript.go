package supervise

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/events"
)

// Bounds of a run's kept output.
const (
	logBytes      = 2 << 20 // of each of the two files
	evidenceBytes = 4 << 10
	tailBytes     = 16 << 10 // from which evidence is made
)

const older = ".1" // what the name of the older of two files ends with

// transcript keeps the end of a run's output: at most two files, the older
// with the suffix .1. It is safe for concurrent use.
type transcript struct {
	path string

	mu   sync.Mutex
	file *os.File
	size int64
	tail []byte // the last tailBytes or more
	err  error  // the first failure to write; output goes on without being kept
}

// openTranscript continues what is in the file, if anything.
func openTranscript(path string) (*transcript, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &transcript{path: path, file: f, size: info.Size()}, nil
}

// Write keeps b. It never fails: an agent must not stop because a disk is full.
func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(b)
	if t.tail = append(t.tail, b...); len(t.tail) > 4*tailBytes {
		t.tail = append(t.tail[:0], t.tail[len(t.tail)-tailBytes:]...)
	}
	for len(b) > 0 && t.err == nil && t.file != nil {
		if t.size >= logBytes {
			t.rotate()
			continue
		}
		part := b[:min(len(b), int(logBytes-t.size))]
		k, err := t.file.Write(part)
		t.size += int64(k)
		t.err, b = err, b[k:]
	}
	return n, nil
}

func (t *transcript) rotate() {
	t.file.Close()
	if t.err = os.Rename(t.path, t.path+older); t.err != nil {
		return
	}
	t.file, t.err = os.OpenFile(t.path, os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	t.size = 0
}

// close ends a transcript that nothing was written to.
func (t *transcript) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != nil {
		t.file.Close()
		t.file = nil
	}
}

// seal closes the files and returns the SHA-256 over both, older first.
func (t *transcript) seal() (events.Digest, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != nil {
		t.file.Sync()
		t.file.Close()
		t.file = nil
	}
	h := sha256.New()
	for _, path := range []string{t.path + older, t.path} {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return events.Digest{}, err
		}
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return events.Digest{}, fmt.Errorf("transcript: %w", err)
		}
	}
	return events.Digest(h.Sum(nil)), nil
}

// evidence is the end of the output as a person would read it, cut to
// evidenceBytes. What hide takes out never gets there in part either.
func (t *transcript) evidence(hide func(string) string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(agents.Plain(hide(strings.ToValidUTF8(string(t.tail), "\uFFFD"))))
	n := max(0, len(text)-evidenceBytes)
	for n < len(text) && !utf8.RuneStart(text[n]) {
		n++
	}
	return text[n:]
}
