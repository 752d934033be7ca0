package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hermesboard/hermes/events"
)

func TestArtifacts(t *testing.T) {
	dir := t.TempDir()
	s := OpenArtifacts(dir)
	content := strings.Repeat("evidence\n", 1000)
	want := events.Artifact{SHA256: events.DigestOf([]byte(content)), Size: int64(len(content))}

	if err := s.Has(want); !errors.Is(err, ErrNoArtifact) {
		t.Errorf("before: got %v, want ErrNoArtifact", err)
	}
	if _, err := s.Open(want.SHA256); !errors.Is(err, ErrNoArtifact) {
		t.Errorf("before: got %v, want ErrNoArtifact", err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got, err := s.Put(t.Context(), strings.NewReader(content), want.Size)
			if got != want || err != nil {
				t.Errorf("Put: got %v, %v, want %v", got, err, want)
			}
		})
	}
	wg.Wait()
	fatal(t, s.Has(want))
	if err := s.Has(events.Artifact{SHA256: want.SHA256, Size: 1}); !errors.Is(err, ErrNoArtifact) {
		t.Errorf("wrong size: got %v, want ErrNoArtifact", err)
	}
	f, err := s.Open(want.SHA256)
	fatal(t, err)
	got, err := io.ReadAll(f)
	fatal(t, errors.Join(err, f.Close()))
	if string(got) != content {
		t.Errorf("got %d other bytes", len(got))
	}
	empty, err := s.Put(t.Context(), strings.NewReader(""), 0)
	if empty.Size != 0 || empty.SHA256 != events.DigestOf(nil) || err != nil {
		t.Errorf("empty: got %v, %v", empty, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("got %d files, want 2", len(entries))
	}
}

func TestArtifactNotStored(t *testing.T) {
	dir := t.TempDir()
	s := OpenArtifacts(dir)
	var large *TooLargeError
	if _, err := s.Put(t.Context(), strings.NewReader("12345"), 4); !errors.As(err, &large) || large.Max != 4 {
		t.Errorf("too large: got %v", err)
	}
	broken := errors.New("broken")
	if _, err := s.Put(t.Context(), io.MultiReader(strings.NewReader("x"), failing{broken}), 0); !errors.Is(err, broken) {
		t.Errorf("reader fails: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, strings.NewReader("x"), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestArtifactsDoNotFollowLinks(t *testing.T) {
	dir := t.TempDir()
	s := OpenArtifacts(dir)
	secret := filepath.Join(t.TempDir(), "secret")
	writeFile(t, secret, []byte("secret"))
	a := events.Artifact{SHA256: events.DigestOf([]byte("secret")), Size: 6}
	fatal(t, os.Symlink(secret, filepath.Join(dir, a.SHA256.String())))
	if err := s.Has(a); !errors.Is(err, ErrNoArtifact) {
		t.Errorf("Has: got %v, want ErrNoArtifact", err)
	}
	if f, err := s.Open(a.SHA256); err == nil {
		f.Close()
		t.Error("Open followed a link")
	}
}

func TestArtifactsSweep(t *testing.T) {
	dir := t.TempDir()
	s := OpenArtifacts(dir)
	put := func(content string) events.Artifact {
		a, err := s.Put(t.Context(), strings.NewReader(content), 0)
		fatal(t, err)
		return a
	}
	named, again, fresh, litter := put("named"), put("again"), put("fresh"), put("litter")
	writeFile(t, filepath.Join(dir, artifactTemp+"1"), []byte("crashed"))
	writeFile(t, filepath.Join(dir, "README"), []byte("not ours"))
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{named.SHA256.String(), again.SHA256.String(), litter.SHA256.String(), artifactTemp + "1", "README"} {
		fatal(t, os.Chtimes(filepath.Join(dir, name), old, old))
	}
	put("again") // stored anew: an event may be about to name it
	n, err := s.Sweep(t.Context(), func(d events.Digest) bool { return d == named.SHA256 }, time.Minute)
	if n != 2 || err != nil {
		t.Errorf("got %d removed, %v, want 2", n, err)
	}
	for _, a := range []events.Artifact{named, again, fresh} {
		fatal(t, s.Has(a))
	}
	if err := s.Has(litter); !errors.Is(err, ErrNoArtifact) {
		t.Errorf("litter: got %v, want ErrNoArtifact", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "README")); err != nil {
		t.Error("a file that is no artifact was removed")
	}
}

func TestSnapshots(t *testing.T) {
	dir := t.TempDir()
	s := &Snapshots{dir: dir}
	head := events.Head{Seq: 42, Root: events.DigestOf([]byte("root"))}
	body := []byte("state\nwith lines\n\x00")
	rootAt := func(seq uint64) (events.Digest, error) {
		if seq != 42 {
			return events.Digest{}, errors.New("beyond the log")
		}
		return head.Root, nil
	}
	save := func() { fatal(t, s.Save("board", 3, head, body)) }
	file := filepath.Join(dir, "board")

	save()
	save()
	if h, b, ok := s.Load("board", 3, rootAt); !ok || h != head || !bytes.Equal(b, body) {
		t.Errorf("got %v, %q, %t, want what was saved", h, b, ok)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	for name, load := range map[string]func() (events.Head, []byte, bool){
		"other version": func() (events.Head, []byte, bool) { return s.Load("board", 4, rootAt) },
		"other history": func() (events.Head, []byte, bool) {
			return s.Load("board", 3, func(uint64) (events.Digest, error) { return events.Digest{}, nil })
		},
		"shorter log": func() (events.Head, []byte, bool) {
			return s.Load("board", 3, func(uint64) (events.Digest, error) { return events.Digest{}, errors.New("beyond") })
		},
		"other name": func() (events.Head, []byte, bool) {
			fatal(t, os.Rename(file, filepath.Join(dir, "cards")))
			return s.Load("cards", 3, rootAt)
		},
		"cut off": func() (events.Head, []byte, bool) {
			fatal(t, os.Truncate(file, int64(len(readFile(t, file))-1)))
			return s.Load("board", 3, rootAt)
		},
		"edited": func() (events.Head, []byte, bool) {
			writeFile(t, file, bytes.Replace(readFile(t, file), []byte("state"), []byte("stale"), 1))
			return s.Load("board", 3, rootAt)
		},
		"no bytes": func() (events.Head, []byte, bool) {
			fatal(t, os.Truncate(file, 0))
			return s.Load("board", 3, rootAt)
		},
	} {
		save()
		if _, b, ok := load(); ok || b != nil {
			t.Errorf("%s: loaded all the same", name)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 0 {
			t.Errorf("%s: not removed: %v", name, entries)
		}
	}
	if err := s.Save("../x", 1, head, nil); err == nil {
		t.Error("a name out of the folder was taken")
	}
	if _, _, ok := s.Load("nothing", 1, rootAt); ok {
		t.Error("loaded nothing")
	}
}
