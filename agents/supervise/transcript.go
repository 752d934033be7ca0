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
	"unicode"

	"github.com/hermesboard/hermes/events"
)

// Bounds of a run's kept output.
const (
	logBytes      = 2 << 20 // of each of the two files
	evidenceBytes = 4 << 10
)

// transcript keeps the end of a run's output: at most two files, the older
// with the suffix .1. It is safe for concurrent use.
type transcript struct {
	path string

	mu   sync.Mutex
	file *os.File
	size int64
	tail []byte // the last evidenceBytes or more
	err  error  // the first failure to write; output goes on without being kept
}

// openTranscript continues the output of an earlier life of the same run, if any.
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
	if t.tail = append(t.tail, b...); len(t.tail) > 4*evidenceBytes {
		t.tail = append(t.tail[:0], t.tail[len(t.tail)-evidenceBytes:]...)
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
	if t.err = os.Rename(t.path, t.path+".1"); t.err != nil {
		return
	}
	t.file, t.err = os.OpenFile(t.path, os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	t.size = 0
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
	for _, path := range []string{t.path + ".1", t.path} {
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

// evidence is the end of the output as text: valid UTF-8 without control characters.
func (t *transcript) evidence() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	tail := t.tail[max(0, len(t.tail)-evidenceBytes):]
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(tail), "\uFFFD")))
}
