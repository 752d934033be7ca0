//go:build amd64 || arm64

package ocibox

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/sandbox/internal/digest"
	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
)

// Bounds of an archive, so that none fills the disk by what it claims.
const (
	maxImageBytes   = 32 << 30
	maxImageEntries = 2 << 20
)

// withImage replaces the host's system in a plan by that of an image, read-only.
// The sandbox's own places stay what they are.
func withImage(plan []rootfs.Step, image string) ([]rootfs.Step, error) {
	root, err := imageRoot(image)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; an image is a folder or an archive of one, export it with: docker export $(docker create IMAGE) -o image.tar", err)
	}
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", image, err)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	var system []rootfs.Step
	programs := false
	for _, e := range entries {
		at, from := "/"+e.Name(), filepath.Join(root, e.Name())
		switch {
		case slices.Contains([]string{"/proc", "/dev", "/sys", "/tmp", "/run", rootfs.Workspace}, at):
		case e.IsDir():
			system = append(system, rootfs.Step{Kind: rootfs.Bind, Path: at, Source: from})
		case e.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(from)
			if err != nil {
				return nil, err
			}
			system = append(system, rootfs.Step{Kind: rootfs.Symlink, Path: at, Source: target})
		}
		programs = programs || at == "/usr" || at == "/bin"
	}
	if !programs {
		return nil, fmt.Errorf("image %s has neither /usr nor /bin: it is not the root of a system (an archive of layers is made one with docker export)", image)
	}
	// What comes before the sandbox's own folder is of the system; of that stay
	// memory and the kernel's file systems.
	own := slices.IndexFunc(plan, func(s rootfs.Step) bool { return s.Kind == rootfs.Dir })
	for i, step := range plan {
		if i < own && (step.Kind == rootfs.Bind || step.Kind == rootfs.File || step.Kind == rootfs.Symlink) {
			continue
		}
		system = append(system, step)
	}
	return system, nil
}

// imageRoot is the folder of an image: itself, or what its archive holds.
func imageRoot(image string) (string, error) {
	info, err := os.Stat(image)
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		return filepath.EvalSymlinks(image)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("neither a folder nor an archive")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "hermes", "images")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	sum, err := digest.File(image)
	if err != nil {
		return "", err
	}
	root := filepath.Join(cache, sum)
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	return root, unpackInto(root, image)
}

// unpackInto makes the folder root of an archive, whole or not at all.
func unpackInto(root, image string) error {
	tmp, err := os.MkdirTemp(filepath.Dir(root), "unpack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	f, err := os.Open(image)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unpack(tmp, f); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	err = os.Rename(tmp, root)
	if _, statErr := os.Stat(root); statErr == nil {
		return nil // another was faster
	}
	return err
}

// unpack writes the folders, files and links of an archive below dir, and never
// outside. Owners, devices and setuid bits are left out.
func unpack(dir string, archive io.Reader) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	buffered := bufio.NewReaderSize(archive, 1<<16)
	var stream io.Reader = buffered
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		if stream, err = gzip.NewReader(buffered); err != nil {
			return err
		}
	}
	entries := tar.NewReader(stream)
	for n, total := 0, int64(0); ; n++ {
		head, err := entries.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if total += head.Size; n > maxImageEntries || total > maxImageBytes {
			return fmt.Errorf("more than %d entries or %d bytes", maxImageEntries, int64(maxImageBytes))
		}
		if err := unpackEntry(root, head, entries); err != nil {
			return fmt.Errorf("%.200q: %w", head.Name, err)
		}
	}
}

func unpackEntry(root *os.Root, head *tar.Header, content io.Reader) error {
	name := strings.TrimPrefix(path.Clean("/"+head.Name), "/")
	if name == "" {
		return nil
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	perm := head.FileInfo().Mode().Perm()
	switch head.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(name, 0o755); err != nil {
			return err
		}
		return root.Chmod(name, perm|0o700)
	case tar.TypeSymlink:
		return replacing(root, name, func() error { return root.Symlink(head.Linkname, name) })
	case tar.TypeLink:
		from := strings.TrimPrefix(path.Clean("/"+head.Linkname), "/")
		return replacing(root, name, func() error { return root.Link(from, name) })
	case tar.TypeReg:
		return replacing(root, name, func() error {
			f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm|0o400)
			if err != nil {
				return err
			}
			_, err = io.Copy(f, content)
			return errors.Join(err, f.Close())
		})
	}
	return nil
}

// replacing makes a file where an archive may have had one before.
func replacing(root *os.Root, name string, create func() error) error {
	err := create()
	if errors.Is(err, fs.ErrExist) {
		if err = root.Remove(name); err == nil {
			err = create()
		}
	}
	return err
}
