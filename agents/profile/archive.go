package profile

import (
	"archive/tar"
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
)

// Bounds of an archive that is read: it may come from anywhere.
const (
	maxArchiveFiles = 10_000
	maxArchiveFile  = 16 << 20
	maxArchiveBytes = 256 << 20
)

// exported are the parts of a profile that leave it: all but its secrets, its
// logs and what a gateway keeps.
var exported = []string{ConfigFile, soulFile, "skills", "agents", "cron", "recipes", "planner.yaml"}

// Export writes a profile as a tar.gz, without its secrets. Links are left out.
func Export(w io.Writer, p *Profile) error {
	zw := gzip.NewWriter(w)
	tw := tar.NewWriter(zw)
	for _, part := range exported {
		err := filepath.WalkDir(filepath.Join(p.Dir, part), func(file string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case d.IsDir() || !d.Type().IsRegular() || d.Name() == SecretsFile:
				return nil
			}
			rel, err := filepath.Rel(p.Dir, file)
			if err != nil {
				return err
			}
			return addFile(tw, file, p.Name+"/"+filepath.ToSlash(rel))
		})
		if err != nil {
			return fmt.Errorf("export profile %s: %w", p.Name, err)
		}
	}
	return errors.Join(tw.Close(), zw.Close())
}

func addFile(tw *tar.Writer, file, name string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := tw.WriteHeader(&tar.Header{Name: name, Size: info.Size(), Mode: 0o600, Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err = io.CopyN(tw, f, info.Size())
	return err
}

// Import makes a profile of what Export wrote. An empty name is the one that
// the archive has. The error matches [ErrExists] if it is taken.
func Import(home, name string, r io.Reader) (*Profile, error) {
	zr, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("import: not a tar.gz: %w", err)
	}
	tr := tar.NewReader(zr)
	first, err := tr.Next()
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	if name == "" {
		name, _, _ = strings.Cut(first.Name, "/")
	}
	if err := newName(name); err != nil {
		return nil, err
	}
	err = publish(home, name, func(dir string) error {
		if err := lay(dir, Config{}, ""); err != nil {
			return err
		}
		return unpack(tr, first, dir)
	})
	if err != nil {
		return nil, fmt.Errorf("import profile %s: %w", name, err)
	}
	return Load(home, name)
}

// unpack writes the files of an archive into a folder, and nothing outside.
func unpack(tr *tar.Reader, h *tar.Header, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	var all int64
	for n := 1; h != nil; n++ {
		if err := unpackFile(tr, h, root); err != nil {
			return err
		}
		if all += h.Size; all > maxArchiveBytes || n > maxArchiveFiles {
			return errors.New("the archive is too large for a profile")
		}
		if h, err = tr.Next(); err != nil && err != io.EOF {
			return err
		}
		if err == io.EOF {
			break
		}
	}
	b, err := readConfig(filepath.Join(dir, ConfigFile))
	if err != nil {
		return err
	}
	var c Config
	return ParseConfig(b, &c)
}

func unpackFile(tr *tar.Reader, h *tar.Header, root *os.Root) error {
	_, rel, ok := strings.Cut(h.Name, "/")
	top, _, _ := strings.Cut(rel, "/")
	switch {
	case h.Typeflag != tar.TypeReg || !ok || path.Clean(rel) != rel || !slices.Contains(exported, top):
		return fmt.Errorf("%q has no place in a profile", h.Name)
	case h.Size > maxArchiveFile:
		return fmt.Errorf("%q is too large", h.Name)
	}
	if err := root.MkdirAll(path.Dir(rel), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(rel, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, tr, h.Size)
	return errors.Join(err, f.Close())
}
