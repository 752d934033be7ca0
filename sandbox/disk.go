package sandbox

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hermesboard/hermes/sandbox/internal/usage"
)

// diskWatch looks after what a session writes to the host's disk. Nil
// looks after nothing.
type diskWatch struct {
	disk   *usage.Disk
	limit  int64
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// watchDisk measures what is there before the session starts.
func watchDisk(ctx context.Context, spec *Spec) (*diskWatch, error) {
	places, err := writable(spec)
	if err != nil {
		return nil, err
	}
	disk, err := usage.NewDisk(ctx, places, spec.Limits.DiskBytes)
	if err != nil {
		return nil, err
	}
	return &diskWatch{disk: disk, limit: spec.Limits.DiskBytes}, nil
}

// bound has the kernel keep every single file from being too much.
func (w *diskWatch) bound(l *Limits) {
	if most := w.disk.FileBytes(); l.FileBytes == 0 || l.FileBytes > most {
		l.FileBytes = most
	}
}

// start watches until stop is called, and calls end once if it is too much.
func (w *diskWatch) start(pid int, end func(cause error)) {
	if w == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.done.Go(func() {
		if used, err := w.disk.Watch(ctx, pid); ctx.Err() == nil {
			end(&DiskError{Limit: w.limit, Used: used, Err: err})
		}
	})
}

func (w *diskWatch) stop() {
	if w != nil {
		w.cancel()
		w.done.Wait()
	}
}

// writable are the folders and files of the host that a session can write to,
// without those that lie in another.
func writable(spec *Spec) ([]string, error) {
	given := []string{spec.Workspace, spec.Outputs}
	for _, m := range spec.Mounts {
		if m.Writable {
			given = append(given, m.Host)
		}
	}
	var paths []string
	for _, path := range given {
		if path == "" {
			continue
		}
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return nil, err
		}
		paths = append(paths, real)
	}
	slices.Sort(paths) // what lies in a folder comes after it
	var outermost []string
	for _, path := range paths {
		if !slices.ContainsFunc(outermost, func(o string) bool {
			return path == o || strings.HasPrefix(path, strings.TrimSuffix(o, "/")+"/")
		}) {
			outermost = append(outermost, path)
		}
	}
	return outermost, nil
}
