package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Why OpenArtifact refuses a file. A missing file matches fs.ErrNotExist.
var (
	ErrArtifactName     = errors.New("not a relative path inside the folder")
	ErrArtifactLink     = errors.New("is or passes through a symbolic link or a file")
	ErrArtifactType     = errors.New("not a regular file")
	ErrArtifactHardLink = errors.New("has other hard links")
	ErrArtifactSize     = errors.New("larger than allowed")
)

// OpenArtifact opens the regular file called name, a slash-separated path
// relative to the host folder root, that a sandboxed program left there. No
// component of name may be a symbolic link, the file may have no second name,
// and its size may not exceed maxBytes. The reader yields at most the size
// returned, and io.ErrUnexpectedEOF if the file became shorter meanwhile; the
// program may still be changing the content. The caller closes the reader.
//
// The folder root itself is trusted and may be a link.
func OpenArtifact(root, name string, maxBytes int64) (io.ReadCloser, int64, error) {
	f, size, err := openArtifact(root, name, maxBytes)
	if err != nil {
		return nil, 0, fmt.Errorf("artifact %q: %w", name, err)
	}
	return &artifact{file: f, left: size}, size, nil
}

func openArtifact(root, name string, maxBytes int64) (_ *os.File, _ int64, err error) {
	if !filepath.IsLocal(name) || strings.ContainsRune(name, 0) || filepath.Clean(name) != name || name == "." {
		return nil, 0, ErrArtifactName
	}
	fd, err := open(unix.AT_FDCWD, root, unix.O_DIRECTORY)
	if err != nil {
		return nil, 0, err
	}
	parts := strings.Split(name, "/")
	for i, part := range parts {
		flags := unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY
		if i < len(parts)-1 {
			flags |= unix.O_DIRECTORY
		}
		next, err := openChecked(fd, part, flags)
		unix.Close(fd)
		if err != nil {
			return nil, 0, err
		}
		fd = next
	}
	size, err := checkArtifact(fd, maxBytes)
	if err != nil {
		unix.Close(fd)
		return nil, 0, err
	}
	return os.NewFile(uintptr(fd), name), size, nil
}

// openChecked opens one component. The type is looked at first, because even
// opening a device can have an effect; openat then refuses a swapped link.
func openChecked(dir int, name string, flags int) (int, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return -1, err
	}
	kind := st.Mode & unix.S_IFMT
	switch {
	case kind == unix.S_IFLNK, flags&unix.O_DIRECTORY != 0 && kind != unix.S_IFDIR:
		return -1, ErrArtifactLink
	case flags&unix.O_DIRECTORY == 0 && kind != unix.S_IFREG:
		return -1, ErrArtifactType
	}
	fd, err := open(dir, name, flags)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		return -1, ErrArtifactLink
	}
	return fd, err
}

func checkArtifact(fd int, maxBytes int64) (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, err
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return 0, ErrArtifactType
	case st.Nlink != 1:
		return 0, ErrArtifactHardLink
	case st.Size > maxBytes:
		return 0, fmt.Errorf("%w: %d of %d bytes", ErrArtifactSize, st.Size, maxBytes)
	}
	return st.Size, nil
}

func open(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC|flags, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// artifact reads exactly the size the file had when it was opened.
type artifact struct {
	file *os.File
	left int64
}

func (a *artifact) Read(p []byte) (int, error) {
	if a.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > a.left {
		p = p[:a.left]
	}
	n, err := a.file.Read(p)
	a.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (a *artifact) Close() error { return a.file.Close() }
