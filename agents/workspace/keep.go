package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/hermesboard/hermes/events"
)

// TakeOver moves what a run worked on to the run that continues it: workspace,
// outputs, and what is known of the clone. runs is the folder of all runs of a
// board; what is missing is left out. It is for a run whose processes are gone.
func TakeOver(runs string, from, to events.RunID) error {
	root, err := os.OpenRoot(runs)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, part := range []string{"workspace", "outputs", checkoutFile} {
		if err := move(root, filepath.Join(from.String(), part), filepath.Join(to.String(), part)); err != nil {
			return fmt.Errorf("take over from %s: %w", from, err)
		}
	}
	return nil
}

// move renames what a run left, if it is there and is what was made for it.
func move(root *os.Root, from, to string) error {
	info, err := root.Lstat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if info.IsDir() != (filepath.Base(from) != checkoutFile) || !info.IsDir() && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not what was made for the run: %w", filepath.Join(root.Name(), from), fs.ErrInvalid)
	}
	if info.IsDir() { // or it cannot be moved to another folder
		if err := root.Chmod(from, 0o700); err != nil {
			return err
		}
	}
	return root.Rename(from, to)
}

// Bounds on what is handed to the next attempt.
const (
	maxEarlierDepth = 200
	maxEarlierFiles = 1_000_000
)

// Earlier moves what a run left to the inputs of a later one that starts
// clean, makes it read-only and returns the folder: runs/<to>/inputs/attempt-N,
// with workspace and outputs in it, where N is the number of the earlier run.
// It is empty if nothing was left. Links are kept and not followed. A tree that
// is too deep or too large stays where it is: an *[Error] with CodeTooLarge.
// It is for a run whose processes are gone.
func Earlier(ctx context.Context, runs string, from, to events.RunID) (string, error) {
	root, err := os.OpenRoot(runs)
	if err != nil {
		return "", err
	}
	defer root.Close()
	found := ""
	into := filepath.Join(to.String(), "inputs", "attempt-"+strconv.FormatUint(uint64(from.N), 10))
	for _, part := range []string{"workspace", "outputs"} {
		old := filepath.Join(from.String(), part)
		info, err := root.Lstat(old)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is not the folder that was made for the run: %w", filepath.Join(runs, old), fs.ErrInvalid)
		}
		if err == nil {
			s := sealer{ctx: ctx, left: maxEarlierFiles}
			err = s.seal(root, old, maxEarlierDepth)
		}
		if err == nil {
			err = root.MkdirAll(into, 0o700)
		}
		if err == nil {
			err = move(root, old, filepath.Join(into, part))
		}
		if err == nil {
			found = filepath.Join(runs, into)
			err = root.Chmod(filepath.Join(into, part), 0o555)
		}
		if err != nil {
			return found, fmt.Errorf("hand over the files of %s: %w", from, err)
		}
	}
	return found, nil
}

// sealer makes trees read-only.
type sealer struct {
	ctx  context.Context
	left int // how many files it may still touch
}

// seal makes the folder name in parent, and all in it, read-only.
func (s *sealer) seal(parent *os.Root, name string, depth int) (err error) {
	if depth == 0 {
		return problem(CodeTooLarge, "its folders are nested more than %d deep", maxEarlierDepth)
	}
	if err := parent.Chmod(name, 0o700); err != nil { // it may be shut
		return err
	}
	dir, err := parent.OpenRoot(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	list, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer list.Close()
	for {
		entries, err := list.ReadDir(1000)
		if err == io.EOF {
			return parent.Chmod(name, 0o555)
		} else if err != nil {
			return err
		}
		for _, e := range entries {
			if s.left--; s.left < 0 {
				return problem(CodeTooLarge, "it has more than %d files", maxEarlierFiles)
			}
			if err := s.ctx.Err(); err != nil {
				return err
			}
			if err := s.sealEntry(dir, e.Name(), depth); err != nil {
				return err
			}
		}
	}
}

func (s *sealer) sealEntry(dir *os.Root, name string, depth int) error {
	info, err := dir.Lstat(name)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return s.seal(dir, name, depth-1)
	case info.Mode().IsRegular() && soleName(info): // a second name may be anyone's
		return dir.Chmod(name, info.Mode().Perm()&0o555|0o400)
	}
	return nil
}

func soleName(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 1
}
