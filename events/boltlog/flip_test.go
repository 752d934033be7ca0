package boltlog_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
)

// Each flipped bit of a board file is found, or does no harm: the log tells
// what it told before, bit for bit. BOLTLOG_FLIPS sets how many are tried; "all"
// tries every bit.
func TestBitFlips(t *testing.T) {
	path := newPath(t)
	l := create(t, path, nil)
	for range 5 {
		fill(t, l, 1, 2)
	}
	_, err := l.Append(t.Context(), l.Head().Seq, []events.Commit{{Offsets: []events.Offset{{Subscriber: "web", Seq: 2}}}})
	if err != nil {
		t.Fatal(err)
	}
	anchor := l.Head()
	l.Close()
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := told(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f := &flipper{t: t, path: path, file: file, image: image, anchor: anchor, want: want}
	defer f.stop()
	count := map[string]int{}
	for _, bit := range f.sample() {
		what := f.try(bit)
		count[what]++
		if strings.HasPrefix(what, "SILENT") {
			t.Errorf("bit %d of byte %#x: not found, and the log tells something else: %s", bit%8, bit/8, what)
		}
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, image) {
		t.Errorf("looking at the file has changed it (%v)", err)
	}
	t.Logf("%d KiB: %v", len(image)>>10, count)
	if count["found by verify"] == 0 || count["harmless"] == 0 {
		t.Errorf("got %v, want each kind at least once", count)
	}
}

type flipper struct {
	t      *testing.T
	path   string
	file   *os.File
	image  []byte // what is in the file
	anchor events.Head
	want   string

	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// sample picks the bits to flip.
func (f *flipper) sample() (bits []int) {
	n := 3000
	all := len(f.image) * 8
	switch s := os.Getenv("BOLTLOG_FLIPS"); s {
	case "":
	case "all":
		for bit := range all {
			bits = append(bits, bit)
		}
		return bits
	default:
		n, _ = strconv.Atoi(s)
	}
	seed := uint64(time.Now().UnixNano())
	f.t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	for len(bits) < n {
		bit := random.IntN(all)
		if len(bits)%2 == 0 && f.image[bit/8] == 0 {
			continue // most of the file is empty: every other one must hit something
		}
		bits = append(bits, bit)
	}
	return bits
}

// try flips one bit and asks a child what it makes of the file.
func (f *flipper) try(bit int) string {
	f.t.Helper()
	f.flip(bit)
	defer f.flip(bit)
	if f.cmd == nil {
		f.start()
	}
	fmt.Fprintln(f.in, f.path)
	line, err := f.out.ReadString('\n')
	if err != nil { // the child has died of the file: only it, and nobody else
		f.stop()
		return "killed the child"
	}
	return strings.TrimSpace(line)
}

func (f *flipper) flip(bit int) {
	f.t.Helper()
	f.image[bit/8] ^= 1 << (bit % 8)
	if _, err := f.file.WriteAt(f.image[bit/8:bit/8+1], int64(bit/8)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *flipper) start() {
	f.t.Helper()
	f.cmd = child(f.t, nil, "flip", strconv.FormatUint(f.anchor.Seq, 10), f.anchor.Root.String(), f.want)
	in, err := f.cmd.StdinPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	f.in, f.out = in, bufio.NewReader(out)
	if err := f.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
}

func (f *flipper) stop() {
	if f.cmd != nil {
		f.in.Close()
		f.cmd.Wait()
		f.cmd = nil
	}
}

// childFlip judges files: paths on standard input, a word about each on standard output.
func childFlip(args []string) {
	size, err := strconv.ParseUint(args[0], 10, 64)
	must(err)
	for s := bufio.NewScanner(os.Stdin); s.Scan(); {
		fmt.Println(judge(s.Text(), size, args[1], args[2]))
	}
}

func judge(path string, size uint64, root, want string) string {
	for p := range boltlog.Verify(context.Background(), path) {
		if p.Err != nil {
			return "refused"
		}
		return "found by verify"
	}
	l, err := boltlog.Open(path, nil)
	if err != nil {
		return "refused"
	}
	got, err := l.RootAt(size)
	l.Close()
	if err != nil || got.String() != root {
		return "found by the anchor"
	}
	if now, err := told(path); err != nil || now != want {
		return fmt.Sprintf("SILENT (%v)", err)
	}
	return "harmless"
}

// told hashes all that a log can tell.
func told(path string) (string, error) {
	ctx := context.Background()
	l, err := boltlog.Open(path, nil)
	if err != nil {
		return "", err
	}
	defer l.Close()
	h := sha256.New()
	put := json.NewEncoder(h)
	entries, err := l.Read(ctx, 1, 0, true)
	if err != nil {
		return "", err
	}
	put.Encode(l.Meta())
	put.Encode(l.Head())
	put.Encode(entries)
	for _, e := range entries {
		r, err := events.Decode(e.Record)
		if err != nil {
			return "", err
		}
		c, found, err := l.Command(r.Cmd)
		if err != nil {
			return "", err
		}
		put.Encode([]any{c, found})
	}
	for task := range events.TaskID(9) {
		got, err := l.ReadTask(ctx, task, 0, 0, true)
		if err != nil {
			return "", err
		}
		put.Encode(got)
	}
	offset, err := l.Offset("web")
	put.Encode(offset)
	return fmt.Sprintf("%x", h.Sum(nil)), err
}
