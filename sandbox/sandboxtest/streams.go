//go:build linux && (amd64 || arm64)

package sandboxtest

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
)

func testStdin(t *testing.T, b *box) {
	want := strings.Repeat("0123456789abcdef", 1<<16) // more than a pipe holds
	spec := b.spec(t, "cat")
	spec.Stdin = strings.NewReader(want)
	if out, status := b.run(t, spec); out != want || !status.Success() {
		t.Errorf("got %d bytes, %v; want %d, exit 0", len(out), status, len(want))
	}
}

func testNoStdin(t *testing.T, b *box) {
	if out, status := b.run(t, b.spec(t, "cat")); out != "" || !status.Success() {
		t.Errorf("got %q, %v; want nothing, exit 0", out, status)
	}
}

// testOneWriter relies on the race detector, and on the order in one pipe.
func testOneWriter(t *testing.T, b *box) {
	var both bytes.Buffer
	spec := b.spec(t)
	spec.Argv = shell("i=0; while [ $i -lt 200 ]; do echo out; echo err >&2; i=$((i+1)); done")
	spec.Stdout, spec.Stderr = &both, &both
	b.run(t, spec)
	if want := strings.Repeat("out\nerr\n", 200); both.String() != want {
		t.Errorf("got %d bytes in another order, want %d in order", both.Len(), len(want))
	}
}

// meter counts bytes and keeps the largest write.
type meter struct {
	mu             sync.Mutex
	bytes, largest int // guarded by mu
}

func (m *meter) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes += len(p)
	m.largest = max(m.largest, len(p))
	return len(p), nil
}

func testFlood(t *testing.T, b *box) {
	const size = 64 << 20
	var out meter
	spec := b.spec(t, "flood", "67108864")
	spec.Stdout = &out
	_, status := b.run(t, spec)
	if out.bytes != size || !status.Success() {
		t.Errorf("got %d bytes, %v; want %d, exit 0", out.bytes, status, size)
	}
	if out.largest > 1<<20 {
		t.Errorf("got a write of %d bytes, want output to be streamed", out.largest)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("full") }

func testFailingWriter(t *testing.T, b *box) {
	spec := b.spec(t, "flood", "1048576")
	spec.Stdout = failing{}
	if _, status := b.run(t, spec); !status.Success() {
		t.Errorf("got %v, want the program not to notice", status)
	}
}

func testDescriptors(t *testing.T, b *box) {
	out, _ := b.run(t, b.spec(t, "fds"))
	for line := range strings.Lines(out) {
		fd, target, _ := strings.Cut(strings.TrimSpace(line), " ")
		given := strings.HasPrefix(target, "pipe:") || strings.HasPrefix(target, "host:[") || target == "/dev/null" // host: as gVisor names what it was given
		if !strings.Contains("012", fd) || !given {
			t.Errorf("got descriptor %s open on %s, want only 0 to 2 on pipes or the null device", fd, target)
		}
	}
	if strings.Count(out, "\n") != 3 {
		t.Errorf("got %q, want three descriptors", out)
	}
}
