package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/events"
)

// Artifacts stores files by the SHA-256 of their content. A file is stored
// before the event that names it, so that no event names what is not there.
// Methods are safe for concurrent use, by several processes too.
type Artifacts struct{ dir string }

// OpenArtifacts returns the store in a folder that exists.
func OpenArtifacts(dir string) *Artifacts { return &Artifacts{dir} }

const artifactTemp = ".put-"

// Put stores what r gives and returns when it is on disk under its name. The
// same content twice is stored once. More than max bytes are a
// [*TooLargeError]; max ≤ 0 means no limit.
func (s *Artifacts) Put(ctx context.Context, r io.Reader, max int64) (a events.Artifact, err error) {
	f, err := os.CreateTemp(s.dir, artifactTemp+"*")
	if err != nil {
		return a, fmt.Errorf("store artifact: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	a, err = fill(ctx, f, r, max)
	if err = errors.Join(err, f.Close()); err != nil {
		return events.Artifact{}, fmt.Errorf("store artifact: %w", err)
	}
	// Renamed also where it is stored already: that makes the file fresh again
	// for Sweep, and whole if it was not.
	if err := os.Rename(f.Name(), s.path(a.SHA256)); err != nil {
		return events.Artifact{}, fmt.Errorf("store artifact: %w", err)
	}
	d, err := os.Open(s.dir)
	if err != nil {
		return events.Artifact{}, fmt.Errorf("store artifact: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return events.Artifact{}, fmt.Errorf("store artifact: %w", err)
	}
	return a, nil
}

// fill copies r into f, down to the disk.
func fill(ctx context.Context, f *os.File, r io.Reader, max int64) (a events.Artifact, err error) {
	sum := sha256.New()
	src := io.Reader(&cancellable{ctx, r})
	if max > 0 {
		src = io.LimitReader(src, max+1)
	}
	if a.Size, err = io.Copy(io.MultiWriter(f, sum), src); err != nil {
		return a, err
	}
	if max > 0 && a.Size > max {
		return a, &TooLargeError{max}
	}
	sum.Sum(a.SHA256[:0])
	if err := f.Chmod(0o400); err != nil {
		return a, err
	}
	return a, f.Sync()
}

// cancellable is a reader that ends with its context.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancellable) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

func (s *Artifacts) path(d events.Digest) string { return filepath.Join(s.dir, d.String()) }

// Has returns ErrNoArtifact unless a file of that name and size is stored. Its
// content is not read.
func (s *Artifacts) Has(a events.Artifact) error {
	info, err := os.Lstat(s.path(a.SHA256))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s", ErrNoArtifact, a.SHA256)
	case err != nil:
		return fmt.Errorf("artifact: %w", err)
	case !info.Mode().IsRegular() || info.Size() != a.Size:
		return fmt.Errorf("%w: %s of %d bytes", ErrNoArtifact, a.SHA256, a.Size)
	}
	return nil
}

// Open opens a stored file for reading. The caller closes it. The error
// matches ErrNoArtifact if there is none.
func (s *Artifacts) Open(d events.Digest) (*os.File, error) {
	f, err := os.OpenFile(s.path(d), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNoArtifact, d)
	}
	if err != nil {
		return nil, fmt.Errorf("artifact: %w", err)
	}
	return f, nil
}

// Sweep removes the files that no event names, and what crashes left, if they
// have not been stored anew within olderThan, and returns how many it removed.
// Between Put and the event that names the file less than olderThan must pass.
func (s *Artifacts) Sweep(ctx context.Context, named func(events.Digest) bool, olderThan time.Duration) (int, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return 0, fmt.Errorf("sweep artifacts: %w", err)
	}
	n := 0
	var errs []error
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return n, errors.Join(append(errs, err)...)
		}
		d, err := events.ParseDigest(e.Name())
		if err != nil && !strings.HasPrefix(e.Name(), artifactTemp) || err == nil && named(d) {
			continue
		}
		// The age last: a file put again meanwhile is fresh.
		info, err := os.Lstat(filepath.Join(s.dir, e.Name()))
		if err != nil || time.Since(info.ModTime()) < olderThan {
			continue
		}
		if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil {
			errs = append(errs, fmt.Errorf("sweep artifacts: %w", err))
			continue
		}
		n++
	}
	return n, errors.Join(errs...)
}
