package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"
)

// Bounds of the tools for files.
const (
	maxRead   = 64 << 10
	maxListed = 1000
	maxDepth  = 12
)

// Folders are what an agent's own tools can see. Paths are absolute, and empty
// where there is no such folder.
type Folders struct {
	Workspace string   // relative paths begin here
	Inputs    string   // read only
	Outputs   string   // files to hand over
	Reads     []string // other folders, read only
}

// bench is where the tools for files work. Each path leads into one folder and,
// whatever links there are, not out of it.
type bench struct {
	Folders
	env []string // of the shell
}

// place is a path in a folder.
type place struct {
	*os.Root
	name string // relative to the root
}

// find opens the folder that a path lies in. The caller closes it.
func (b *bench) find(name string, write bool) (place, error) {
	for variable, dir := range map[string]string{"$HERMES_OUTPUTS": b.Outputs, "$HERMES_INPUTS": b.Inputs, "$HERMES_WORKSPACE": b.Workspace} {
		if rest, ok := strings.CutPrefix(name, variable); ok && dir != "" && (rest == "" || rest[0] == '/') {
			name = dir + rest
		}
	}
	if strings.ContainsRune(name, 0) {
		return place{}, errors.New("a path has no NUL byte in it")
	}
	full := filepath.Clean(name)
	if !filepath.IsAbs(name) {
		full = filepath.Join(b.Workspace, name)
	}
	folders := []string{b.Outputs, b.Workspace}
	if !write {
		folders = append(append(folders, b.Inputs), b.Reads...)
	}
	for _, dir := range folders {
		rel, err := filepath.Rel(dir, full)
		if dir == "" || err != nil || !filepath.IsLocal(rel) {
			continue
		}
		if write && b.Inputs != "" && within(full, b.Inputs) && dir == b.Workspace {
			return place{}, fmt.Errorf("%q lies in the inputs, which are only read", name)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			return place{}, err
		}
		return place{root, rel}, nil
	}
	may := "the workspace " + b.Workspace + " and $HERMES_OUTPUTS"
	if !write {
		may = strings.Join(append([]string{b.Workspace, "$HERMES_OUTPUTS", "$HERMES_INPUTS"}, b.Reads...), ", ")
	}
	return place{}, fmt.Errorf("%.300q is outside of what you may use: %s", name, may)
}

func within(full, dir string) bool {
	rel, err := filepath.Rel(dir, full)
	return err == nil && filepath.IsLocal(rel)
}

// open opens a regular file: nothing that can block or is a device.
func (p place) open(flag int) (*os.File, os.FileInfo, error) {
	f, err := p.OpenFile(p.name, flag|syscall.O_NONBLOCK, 0o644)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is not a file", p.name)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

type readArgs struct {
	Path   string `json:"path"`
	Offset int64  `json:"offset"`
}

func (b *bench) read(_ context.Context, a readArgs) (string, error) {
	p, err := b.find(a.Path, false)
	if err != nil {
		return "", err
	}
	defer p.Close()
	f, info, err := p.open(os.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if a.Offset < 0 || a.Offset > info.Size() {
		return "", fmt.Errorf("offset %d is not in the file, which has %d bytes", a.Offset, info.Size())
	}
	part, err := io.ReadAll(io.NewSectionReader(f, a.Offset, maxRead))
	if err != nil {
		return "", err
	}
	more := a.Offset+int64(len(part)) < info.Size()
	for cut := 0; more && cut < utf8.UTFMax && !utf8.Valid(part); cut++ { // not in the middle of a letter
		part = part[:len(part)-1]
	}
	if !utf8.Valid(part) || strings.ContainsRune(string(part), 0) {
		return "", fmt.Errorf("%.300q is no text; it has %d bytes", a.Path, info.Size())
	}
	if more {
		return fmt.Sprintf("%s\n(%d of %d bytes; go on at offset %d)", part, len(part), info.Size(), a.Offset+int64(len(part))), nil
	}
	if len(part) == 0 {
		return "(empty)", nil
	}
	return string(part), nil
}

type writeArgs struct {
	Path    string  `json:"path"`
	Content *string `json:"content"`
	Append  bool    `json:"append"`
}

func (b *bench) write(_ context.Context, a writeArgs) (string, error) {
	if a.Content == nil || a.Path == "" {
		return "", errors.New("write_file wants path and content")
	}
	p, err := b.find(a.Path, true)
	if err != nil {
		return "", err
	}
	defer p.Close()
	if dir := filepath.Dir(p.name); dir != "." {
		if err := p.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
	}
	f, info, err := p.open(os.O_WRONLY | os.O_CREATE)
	if err != nil {
		return "", err
	}
	at := info.Size()
	if !a.Append {
		at, err = 0, f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(*a.Content), at)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d bytes written; the file has %d", len(*a.Content), at+int64(len(*a.Content))), nil
}

type listArgs struct {
	Path string `json:"path"`
}

var errEnough = errors.New("enough")

func (b *bench) list(ctx context.Context, a listArgs) (string, error) {
	p, err := b.find(a.Path, false)
	if err != nil {
		return "", err
	}
	defer p.Close()
	var out strings.Builder
	n := 0
	err = fs.WalkDir(p.FS(), filepath.ToSlash(p.name), func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case name == filepath.ToSlash(p.name):
			if err == nil && !d.IsDir() {
				err = fmt.Errorf("%q is not a folder", a.Path)
			}
			return err
		case err != nil:
			return nil // what cannot be read is left out
		case n == maxListed:
			return errEnough
		}
		n++
		fmt.Fprintln(&out, entry(name, d))
		if d.IsDir() && strings.Count(name, "/") >= maxDepth {
			return fs.SkipDir
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		fmt.Fprintf(&out, "(only the first %d are shown)\n", maxListed)
	case err != nil:
		return "", err
	case n == 0:
		return "(empty)", nil
	}
	return out.String(), nil
}

// entry is a line of a listing. What a name makes of a line is shown quoted.
func entry(name string, d fs.DirEntry) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == utf8.RuneError }) {
		name = fmt.Sprintf("%q", name)
	}
	info, err := d.Info()
	switch {
	case d.IsDir():
		return path.Clean(name) + "/"
	case err == nil && info.Mode().IsRegular():
		return fmt.Sprintf("%s  %d bytes", name, info.Size())
	case d.Type()&fs.ModeSymlink != 0:
		return name + "  (link)"
	}
	return name + "  (not a file)"
}
