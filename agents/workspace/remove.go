package workspace

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hermesboard/hermes/events"
)

// Parts are the folders of a run that can be removed by themselves.
var Parts = []string{"workspace", "inputs", "outputs"}

// Remove removes the folder of a run, named "t7.1", or one of its Parts, named
// "t7.1/workspace", or one that [SetAside] moved, from the folder of all runs
// of a board, and returns how many bytes its files had. What is not there is removed already. Other names
// are refused. No links are followed, trees may be read-only, shut and as deep
// as they like. It goes on after what cannot be removed and returns the first
// such errors. It is for runs whose processes are gone.
func Remove(ctx context.Context, runs, name string) (freed int64, err error) {
	run, part, isPart := strings.Cut(name, "/")
	_, err = events.ParseRunID(run)
	if ours := err == nil && (!isPart || slices.Contains(Parts, part)) || IsAside(name); !ours {
		return 0, fmt.Errorf("remove %.300q: not a folder of a run: %w", name, fs.ErrInvalid)
	}
	root, err := os.OpenRoot(runs)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	if isPart {
		info, err := root.Lstat(run)
		if errors.Is(err, fs.ErrNotExist) {
			return 0, nil
		} else if err != nil {
			return 0, err
		}
		if !info.IsDir() {
			return 0, fmt.Errorf("remove %s: %s is not a folder: %w", name, run, fs.ErrInvalid)
		}
		inner, err := root.OpenRoot(run)
		if err != nil {
			return 0, err
		}
		defer inner.Close()
		root, name = inner, part
	}
	r := remover{ctx: ctx, prefix: "." + rand.Text() + "-"}
	r.tree(root, name)
	if err := errors.Join(r.errs...); err != nil {
		return r.freed, fmt.Errorf("remove %s: %w", filepath.Join(root.Name(), name), err)
	}
	return r.freed, nil
}

// remover removes one tree. Folders found in a folder are first moved up to the
// top of the tree, so that depth costs neither memory nor open files, and a
// removal that was cut short leaves a flatter tree.
type remover struct {
	ctx    context.Context
	top    *os.Root
	prefix string // of names that nobody has used
	moved  int
	freed  int64
	errs   []error
}

const maxRemoveErrors = 5

func (r *remover) fail(err error) {
	if len(r.errs) < maxRemoveErrors {
		r.errs = append(r.errs, err)
	}
}

// tree removes what is called name in root.
func (r *remover) tree(root *os.Root, name string) {
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil && info.IsDir() {
		if err = root.Chmod(name, 0o700); err == nil {
			r.top, err = root.OpenRoot(name)
		}
		if err == nil {
			r.empty()
			err = r.top.Close()
		}
	}
	if err == nil && len(r.errs) == 0 {
		err = root.Remove(name)
	}
	if err != nil {
		r.fail(err)
	}
}

// empty empties the top folder. It goes through it again as long as that changes anything.
func (r *remover) empty() {
	for changed := true; changed; {
		changed, r.errs = false, nil
		list, err := r.top.Open(".")
		if err != nil {
			r.fail(err)
			return
		}
		err = r.each(list, func(e fs.DirEntry) {
			if r.drop(e.Name()) {
				changed = true
			}
		})
		if err := errors.Join(err, list.Close()); err != nil {
			r.fail(err)
			return
		}
	}
}

// each calls do for what is in a folder, until the context ends.
func (r *remover) each(list *os.File, do func(fs.DirEntry)) error {
	for {
		entries, err := list.ReadDir(1000)
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		for _, e := range entries {
			if err := r.ctx.Err(); err != nil {
				return err
			}
			do(e)
		}
	}
}

// drop removes an entry of the top folder, or moves up what is in it, and
// reports whether anything changed.
func (r *remover) drop(name string) (changed bool) {
	info, err := r.top.Lstat(name)
	if err == nil && info.IsDir() {
		changed, err = r.level(name)
	}
	if err == nil {
		err = r.top.Remove(name)
	}
	switch {
	case err == nil:
		if info.Mode().IsRegular() {
			r.freed += info.Size()
		}
		return true
	case errors.Is(err, fs.ErrNotExist):
	default:
		r.fail(err)
	}
	return changed
}

// level empties a folder in the top folder: files are removed, folders moved up.
func (r *remover) level(name string) (changed bool, err error) {
	if err := r.top.Chmod(name, 0o700); err != nil {
		return false, err
	}
	dir, err := r.top.OpenRoot(name)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	list, err := dir.Open(".")
	if err != nil {
		return false, err
	}
	defer list.Close()
	err = r.each(list, func(e fs.DirEntry) {
		info, err := dir.Lstat(e.Name())
		switch {
		case err != nil:
		case info.IsDir():
			if err = dir.Chmod(e.Name(), 0o700); err == nil { // or it cannot be moved
				r.moved++
				err = r.top.Rename(filepath.Join(name, e.Name()), r.prefix+strconv.Itoa(r.moved))
			}
		default:
			if err = dir.Remove(e.Name()); err == nil && info.Mode().IsRegular() {
				r.freed += info.Size()
			}
		}
		if err != nil {
			r.fail(err)
			return
		}
		changed = true
	})
	return changed, err
}
