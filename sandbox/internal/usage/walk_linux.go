package usage

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// fileBytes is the least that a file counts for.
const fileBytes = 4 << 10

// maxDepth bounds the folders within folders, each of which is held open.
const maxDepth = 200

// Errors of a walk that mean that a program hides something.
var (
	errDeep = fmt.Errorf("folders lie more than %d deep", maxDepth)
	errSlow = fmt.Errorf("it takes more than %v", measureTime)
)

// file is the identity of a file.
type file struct{ dev, ino uint64 }

// large is a file that is looked for under another name, to which it may be
// moved during a walk.
const large = 1 << 20

// walk adds up files, until its context ends.
type walk struct {
	ctx   context.Context
	bytes int64
	most  int64         // the size of the largest file
	seen  map[file]bool // those that have several names, or none, or are large
	devs  []uint64      // where the places lie
	flown bool          // descriptors are on their way through a socket
}

// place adds a folder with all that lies in it, or a file.
func (w *walk) place(path string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	w.devs = append(w.devs, st.Dev)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return w.folder(unix.AT_FDCWD, path, 0)
	}
	w.file(&st)
	return nil
}

// folder adds all that lies in a folder. No link is followed, and what goes
// away meanwhile is left out.
func (w *walk) folder(dir int, name string, depth int) error {
	if depth > maxDepth {
		return errDeep
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if depth > 0 && passed(err) {
		return nil
	} else if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	for {
		names, err := f.Readdirnames(1000)
		for _, name := range names {
			if err := w.add(fd, name, depth); err != nil {
				return err
			}
		}
		if len(names) == 0 || err != nil {
			return nil // the end, or the folder was removed
		}
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
	}
}

// add adds a file or a folder.
func (w *walk) add(dir int, name string, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); passed(err) {
		return nil
	} else if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		w.bytes += size(&st)
		return w.folder(dir, name, depth+1)
	}
	w.file(&st)
	return nil
}

// file adds a file once.
func (w *walk) file(st *unix.Stat_t) {
	if st.Nlink != 1 || st.Blocks*512 >= large {
		id := file{st.Dev, st.Ino}
		if w.seen[id] {
			return
		}
		w.seen[id] = true
	}
	w.bytes += size(st)
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		w.most = max(w.most, st.Size)
	}
}

func size(st *unix.Stat_t) int64 { return max(st.Blocks*512, fileBytes) }

// passed reports whether something went away while it was looked at.
func passed(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}
