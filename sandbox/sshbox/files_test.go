//go:build unix

package sshbox

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func archive(t *testing.T, entries ...tar.Header) *bytes.Buffer {
	t.Helper()
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	for _, e := range entries {
		if e.Typeflag == tar.TypeReg && e.Mode == 0 {
			e.Mode = 0o644
		}
		if err := w.WriteHeader(&e); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(w, zeros{}, e.Size); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &raw
}

// TestHostileArchives takes what another machine may send that is not ours.
func TestHostileArchives(t *testing.T) {
	outside := t.TempDir()
	canary := filepath.Join(outside, "canary")
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 3} }
	link := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	for name, entries := range map[string][]tar.Header{
		"climbing":          {file("../canary")},
		"climbing later":    {file("a/../../canary")},
		"absolute":          {file(canary)},
		"empty name":        {file(".")},
		"through a link":    {link("l", outside), file("l/canary")},
		"link over a link":  {link("l", canary), file("l")},
		"climbing link":     {link("l", "../../../.."), file("l/" + canary)},
		"twice":             {file("a"), file("a")},
		"no folder":         {file("a/b")},
		"long name":         {file(strings.Repeat("a/", maxName) + "a")},
		"more than allowed": {file("a"), {Typeflag: tar.TypeDir, Name: "d/"}, file("a/b")},
	} {
		if err := os.WriteFile(canary, []byte("canary"), 0o644); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "old"), []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := unpack(archive(t, entries...), dir); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
		if now, err := os.ReadFile(canary); err != nil || string(now) != "canary" {
			t.Errorf("%s: got %q, %v outside, want it untouched", name, now, err)
		}
		if got := list(t, dir); !slices.Equal(got, []string{"old"}) {
			t.Errorf("%s: got %v, want the folder as it was", name, got)
		}
	}
	cut := archive(t, file("a"), file("b")).Bytes()[:1024+514]
	dir := t.TempDir()
	if err := unpack(bytes.NewReader(cut), dir); err == nil || len(list(t, dir)) != 0 {
		t.Errorf("cut: got %v, %v; want an error and nothing", err, list(t, dir))
	}
	huge := archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 0}).Bytes()
	copy(huge[124:136], "77777777777\x00") // 8 GiB in octal
	for i := 148; i < 156; i++ {
		huge[i] = ' '
	}
	sum := 0
	for _, b := range huge[:512] {
		sum += int(b)
	}
	copy(huge[148:], []byte{byte('0' + sum>>12&7), byte('0' + sum>>9&7), byte('0' + sum>>6&7), byte('0' + sum>>3&7), byte('0' + sum&7), 0, ' '})
	if err := unpack(bytes.NewReader(huge), dir); err == nil || len(list(t, dir)) != 0 {
		t.Errorf("size of 8 GiB without content: got %v, %v; want an error and nothing", err, list(t, dir))
	}
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestRoundTrip sends a folder to another that had something else in it.
func TestRoundTrip(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for _, dir := range []string{"sub/deep", "outputs", "empty"} {
		if err := os.MkdirAll(filepath.Join(from, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, perm := range map[string]os.FileMode{"run": 0o755, "sub/deep/file": 0o600, "outputs/mine": 0o644, "a\nb\x1b": 0o644, "setuid": 0o755 | os.ModeSetuid} {
		path := filepath.Join(from, name)
		if err := os.WriteFile(path, []byte(name), perm); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, perm); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.Symlink("/etc/passwd", filepath.Join(from, "link")), syscall.Mkfifo(filepath.Join(from, "pipe"), 0o644),
		os.Mkdir(filepath.Join(to, "old"), 0o755), os.Mkdir(filepath.Join(to, "outputs"), 0o755),
		os.WriteFile(filepath.Join(to, "outputs", "others"), nil, 0o644), os.Symlink("/", filepath.Join(to, "sub")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var sent bytes.Buffer
	if err := pack(&sent, from, "outputs"); err != nil {
		t.Fatal(err)
	}
	if err := unpack(&sent, to, "outputs"); err != nil {
		t.Fatal(err)
	}
	if got, want := list(t, to), []string{"a\nb\x1b", "empty", "link", "outputs", "run", "setuid", "sub"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := list(t, filepath.Join(to, "outputs")); !slices.Equal(got, []string{"others"}) {
		t.Errorf("got %v in what was to stay", got)
	}
	for name, want := range map[string]os.FileMode{"run": 0o755, "sub/deep/file": 0o600, "setuid": 0o755, "link": 0o777 | os.ModeSymlink} {
		info, err := os.Lstat(filepath.Join(to, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%s: got %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
}
