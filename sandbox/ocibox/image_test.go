//go:build linux && (amd64 || arm64)

package ocibox_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/sandbox"
)

// busybox returns a static shell of this host.
func busybox(t *testing.T) []byte {
	t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		missing(t, "busybox is not installed (Debian: apt-get install busybox-static)")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// static reports whether this test binary, the first program of the container,
// needs no libraries.
func static(t *testing.T) bool {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	return err == nil && len(libraries) == 0
}

func missing(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// archive is a root with a shell, and with things that no image should bring.
func archive(t *testing.T) []byte {
	t.Helper()
	shell := busybox(t)
	var raw bytes.Buffer
	zip := gzip.NewWriter(&raw)
	w := tar.NewWriter(zip)
	for _, e := range []tar.Header{
		{Name: "./bin/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "./bin/busybox", Typeflag: tar.TypeReg, Mode: 0o4755, Size: int64(len(shell))},
		{Name: "bin/sh", Typeflag: tar.TypeSymlink, Linkname: "busybox"},
		{Name: "bin/cat", Typeflag: tar.TypeLink, Linkname: "bin/busybox"},
		{Name: "sbin", Typeflag: tar.TypeSymlink, Linkname: "bin"},
		{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "etc/motd", Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow"},
		{Name: "bin/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, Mode: 0o666},
		{Name: "../../outside", Typeflag: tar.TypeReg, Mode: 0o644},
	} {
		if err := w.WriteHeader(&e); err != nil {
			t.Fatal(err)
		}
		if e.Size > 0 {
			if _, err := w.Write(shell); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return raw.Bytes()
}

func TestImage(t *testing.T) {
	if report := runc().Probe(t.Context()); !report.Available {
		missing(t, report.Reason)
	}
	if !static(t) {
		t.Skip("this test binary is not static, and the image has no libraries")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	file := filepath.Join(t.TempDir(), "image.tar.gz")
	if err := os.WriteFile(file, archive(t), 0o644); err != nil {
		t.Fatal(err)
	}
	script := `
ls() { busybox ls "$@"; }
ls -d /usr /bin /sbin /etc /ws /outside 2>/dev/null; ls -l /bin/busybox; ls /bin; echo x >/bin/new; cat /etc/motd; echo kept >/ws/file; echo $0`
	unpacked := ""
	for range 2 { // the second finds it unpacked
		out := output(t, runc(), sandbox.Settings{Image: file}, script)
		for _, want := range []string{"/bin\n/etc\n/sbin\n/ws\n", "-rwxr-xr-x", "busybox\ncat\nsh\n", "probe\n"} {
			if !strings.Contains(out, want) {
				t.Errorf("got %q, want %q in it", out, want)
			}
		}
		if strings.Contains(out, "root:") || strings.Contains(out, "new") {
			t.Errorf("got %q, want the image unchanged and nothing of the host", out)
		}
		roots, err := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "hermes", "images", "????????????????????????????????????????????????????????????????"))
		if err != nil || len(roots) != 1 {
			t.Fatalf("got %v, %v; want one unpacked image", roots, err)
		}
		unpacked = roots[0]
	}
	if out := output(t, runc(), sandbox.Settings{Image: unpacked}, script); !strings.Contains(out, "probe\n") {
		t.Errorf("the folder as an image: got %q", out)
	}
}

// output runs a script of sh and returns what it printed.
func output(t *testing.T, box *sandbox.Sandbox, set sandbox.Settings, script string) string {
	t.Helper()
	box, err := box.With(set)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	s, err := box.Start(t.Context(), &sandbox.Spec{
		Argv: []string{"/bin/sh", "-c", script, "probe"}, Env: []string{"PATH=/bin"}, Workspace: t.TempDir(), Stdout: &out, Stderr: &errs,
	})
	if err != nil {
		t.Fatal(err)
	}
	if status, err := s.Wait(); err != nil || !status.Success() {
		t.Errorf("got %v, %v; want exit 0: %.500s", status, err, errs.String())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return out.String()
}

func TestBadImages(t *testing.T) {
	var setting *sandbox.SettingError
	for _, set := range []sandbox.Settings{{Image: "debian:12"}, {Image: "relative/folder"}, {Host: "elsewhere"}} {
		if _, err := runc().With(set); !errors.As(err, &setting) {
			t.Errorf("%+v: got %v, want a %T", set, err, setting)
		}
	}
	empty, cut := t.TempDir(), filepath.Join(t.TempDir(), "cut.tar")
	if err := os.WriteFile(cut, []byte("this is no archive at all"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for image, want := range map[string]string{empty: "neither /usr nor /bin", cut: "unpack", "/no/such/image": "no such file or directory; an image is a folder or an archive of one, export it with: docker export"} {
		box, err := runc().With(sandbox.Settings{Image: image})
		if err != nil {
			t.Fatal(err)
		}
		s, err := box.Start(t.Context(), &sandbox.Spec{Argv: []string{"/bin/sh"}, Workspace: t.TempDir()})
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", image, err, want)
		}
	}
}

func TestMissingRuntime(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, box := range []*sandbox.Sandbox{runc(), gvisor()} {
		report := box.Probe(t.Context())
		if report.Available || !strings.Contains(report.Reason, "apt-get install") {
			t.Errorf("%s: got %+v, want what to install", box.Name(), report)
		}
		if _, err := box.Start(t.Context(), &sandbox.Spec{Argv: []string{"x"}, Workspace: t.TempDir()}); !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("%s: got %v, want %v", box.Name(), err, exec.ErrNotFound)
		}
	}
}
