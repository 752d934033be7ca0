package sandbox_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
)

func TestOpenArtifact(t *testing.T) {
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	must(t, os.WriteFile(secret, []byte("secret"), 0o600))

	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	must(t, os.MkdirAll(at("dir/deep"), 0o755))
	must(t, os.WriteFile(at("plain"), []byte("plain"), 0o644))
	must(t, os.WriteFile(at("empty"), nil, 0o644))
	must(t, os.WriteFile(at("dir/deep/file"), []byte("deep"), 0o644))
	must(t, os.WriteFile(at("new\nline\x1b[2J"), []byte("odd"), 0o644))
	must(t, os.Symlink(secret, at("link")))
	must(t, os.Symlink("plain", at("link-inside")))
	must(t, os.Symlink(outside, at("linkdir")))
	must(t, os.Symlink("dir", at("linkdir-inside")))
	must(t, os.Link(secret, at("hard")))
	must(t, unix.Mkfifo(at("fifo"), 0o644))
	socket, err := net.Listen("unix", at("socket"))
	must(t, err)
	defer socket.Close()
	must(t, os.WriteFile(at("sparse"), nil, 0o644))
	must(t, os.Truncate(at("sparse"), 1<<40))

	tests := []struct {
		name    string
		content string
		want    error
	}{
		{"plain", "plain", nil},
		{"empty", "", nil},
		{"dir/deep/file", "deep", nil},
		{"new\nline\x1b[2J", "odd", nil},
		{"link", "", sandbox.ErrArtifactLink},
		{"link-inside", "", sandbox.ErrArtifactLink},
		{"linkdir/secret", "", sandbox.ErrArtifactLink},
		{"linkdir-inside/deep/file", "", sandbox.ErrArtifactLink},
		{"plain/x", "", sandbox.ErrArtifactLink},
		{"hard", "", sandbox.ErrArtifactHardLink},
		{"fifo", "", sandbox.ErrArtifactType},
		{"socket", "", sandbox.ErrArtifactType},
		{"dir", "", sandbox.ErrArtifactType},
		{"sparse", "", sandbox.ErrArtifactSize},
		{"missing", "", fs.ErrNotExist},
		{"dir/missing/file", "", fs.ErrNotExist},
		{secret, "", sandbox.ErrArtifactName},
		{"../" + filepath.Base(outside) + "/secret", "", sandbox.ErrArtifactName},
		{"dir/../plain", "", sandbox.ErrArtifactName},
		{"./plain", "", sandbox.ErrArtifactName},
		{"dir//deep/file", "", sandbox.ErrArtifactName},
		{"plain/", "", sandbox.ErrArtifactName},
		{"plain\x00", "", sandbox.ErrArtifactName},
		{"..", "", sandbox.ErrArtifactName},
		{".", "", sandbox.ErrArtifactName},
		{"", "", sandbox.ErrArtifactName},
	}
	if os.Getuid() == 0 {
		if err := unix.Mknod(at("device"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))); err == nil {
			tests = append(tests, struct {
				name    string
				content string
				want    error
			}{"device", "", sandbox.ErrArtifactType})
		}
	}
	for _, test := range tests {
		r, size, err := sandbox.OpenArtifact(root, test.name, 1<<20)
		if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Errorf("%q: got error %v, want %v", test.name, err, test.want)
		}
		if err != nil {
			continue
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != test.content || size != int64(len(got)) {
			t.Errorf("%q: got %q of size %d, %v; want %q", test.name, got, size, err, test.content)
		}
		must(t, r.Close())
	}
}

// TestOpenArtifactChanging opens a file that its program goes on writing.
func TestOpenArtifactChanging(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "file")
	must(t, os.WriteFile(path, []byte("12345678"), 0o644))
	open := func() io.ReadCloser {
		r, size, err := sandbox.OpenArtifact(root, "file", 8)
		if err != nil || size != 8 {
			t.Fatalf("got size %d, %v; want 8", size, err)
		}
		t.Cleanup(func() { r.Close() })
		return r
	}
	grown, shrunk := open(), open()
	must(t, os.WriteFile(path, bytes.Repeat([]byte("x"), 100), 0o644))
	if got, err := io.ReadAll(grown); len(got) != 8 || err != nil {
		t.Errorf("grown: got %d bytes, %v; want 8", len(got), err)
	}
	must(t, os.Truncate(path, 3))
	if got, err := io.ReadAll(shrunk); len(got) != 3 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("shrunk: got %d bytes, %v; want 3 and %v", len(got), err, io.ErrUnexpectedEOF)
	}
}

func TestOpenArtifactNamesTheFile(t *testing.T) {
	_, _, err := sandbox.OpenArtifact(t.TempDir(), "a\nb", 1)
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %q, want an error in one line", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
