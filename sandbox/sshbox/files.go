//go:build unix

package sshbox

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of what is taken from the other side.
const (
	maxEntries = 1 << 20
	maxBytes   = 16 << 30
	maxName    = 4 << 10
)

// incoming is where files are put until all have come.
const incoming = ".hermes-incoming"

var errTooMuch = fmt.Errorf("more than %d files or %d bytes", maxEntries, int64(maxBytes))

// pack writes the folders, files and links of dir as a tar archive. Links are
// not followed. What is left out are the names in except, at the top, and all
// that is neither of the three.
func pack(w io.Writer, dir string, except ...string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	archive := tar.NewWriter(w)
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile
			return nil
		case err != nil || name == ".":
			return err
		case slices.Contains(except, name) || name == incoming:
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return packEntry(archive, root, name, d)
	})
	if err != nil {
		return err
	}
	return archive.Close()
}

func packEntry(archive *tar.Writer, root *os.Root, name string, d fs.DirEntry) error {
	switch d.Type() {
	case fs.ModeDir:
		info, err := d.Info()
		if err != nil {
			return err
		}
		return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: int64(info.Mode().Perm()), ModTime: info.ModTime()})
	case fs.ModeSymlink:
		target, err := root.Readlink(name)
		if err != nil {
			return err
		}
		return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target})
	case 0:
		return packFile(archive, root, name)
	}
	return nil
}

// packFile sends as many bytes as the file had when it was opened: a program
// may be writing to it.
func packFile(archive *tar.Writer, root *os.Root, name string) error {
	f, err := root.OpenFile(name, os.O_RDONLY|nonblocking, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	err = archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: int64(info.Mode().Perm()), ModTime: info.ModTime()})
	if err != nil {
		return err
	}
	n, err := io.CopyN(archive, f, info.Size())
	if err == io.EOF { // it became shorter
		_, err = io.CopyN(archive, zeros{}, info.Size()-n)
	}
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// unpack makes dir hold what an archive of the other side does, when all of it
// has come; the names in except stay as they are. Nothing outside dir is
// touched, whatever the archive says. Its owners and setuid bits are left out.
func unpack(r io.Reader, dir string, except ...string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := errors.Join(root.RemoveAll(incoming), root.Mkdir(incoming, 0o700)); err != nil {
		return err
	}
	if err := receive(r, root); err != nil {
		return errors.Join(err, root.RemoveAll(incoming))
	}
	old, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range old {
		if e.Name() != incoming && !slices.Contains(except, e.Name()) {
			if err := root.RemoveAll(e.Name()); err != nil {
				return err
			}
		}
	}
	fresh, err := fs.ReadDir(root.FS(), incoming)
	if err != nil {
		return err
	}
	for _, e := range fresh {
		if slices.Contains(except, e.Name()) {
			continue
		}
		if err := root.Rename(path.Join(incoming, e.Name()), e.Name()); err != nil {
			return err
		}
	}
	return root.RemoveAll(incoming)
}

// receive puts the entries of an archive below incoming.
func receive(r io.Reader, outer *os.Root) error {
	root, err := outer.OpenRoot(incoming)
	if err != nil {
		return err
	}
	defer root.Close()
	archive := tar.NewReader(r)
	for n, total := 0, int64(0); ; n++ {
		head, err := archive.Next()
		if err == io.EOF {
			// Only the end of the stream says that the archive was whole.
			_, err := io.Copy(io.Discard, io.LimitReader(r, maxBytes))
			return err
		}
		if err != nil {
			return err
		}
		if total += head.Size; n > maxEntries || head.Size < 0 || total > maxBytes {
			return errTooMuch
		}
		if err := receiveEntry(root, head, archive); err != nil {
			return fmt.Errorf("%.200q: %w", head.Name, err)
		}
	}
}

func receiveEntry(root *os.Root, head *tar.Header, content io.Reader) error {
	name := strings.TrimSuffix(head.Name, "/")
	if !filepath.IsLocal(name) || name != path.Clean(name) || len(name) > maxName || strings.ContainsRune(name, 0) {
		return errors.New("not a name within the folder")
	}
	perm := fs.FileMode(head.Mode).Perm()
	switch head.Typeflag {
	case tar.TypeDir:
		return root.Mkdir(name, perm|0o700)
	case tar.TypeSymlink:
		return root.Symlink(head.Linkname, name)
	case tar.TypeReg:
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm|0o400)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		if err = errors.Join(err, f.Close()); err == nil {
			err = root.Chtimes(name, head.ModTime, head.ModTime)
		}
		return err
	}
	return nil
}
