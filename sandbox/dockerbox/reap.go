//go:build linux && (amd64 || arm64)

package dockerbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"
)

// Reap removes what dead supervisors left: containers of the engine and
// folders of sessions. It never touches those of a supervisor that lives, of
// whatever program or home, nor those whose mark alive says true for; alive may
// be nil. It returns how many containers it removed. That the engine cannot be
// reached is an *EngineError; the folders are removed all the same.
//
// A container ends when its supervisor does, and engines remove ended ones by
// themselves. What is left for Reap is what an engine could not, because it was
// down at that moment.
func Reap(ctx context.Context, opts *Options, alive func(mark string) bool) (removed int, err error) {
	removed, err = newBox(opts).reapContainers(ctx, alive)
	return removed, errors.Join(err, reapDoors())
}

func (b box) reapContainers(ctx context.Context, alive func(mark string) bool) (removed int, err error) {
	e, err := b.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer e.Close()
	list, err := e.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", markLabel).Add("label", doorLabel),
	})
	if err != nil {
		return 0, e.explain(err)
	}
	var errs []error
	for _, c := range list.Items {
		if alive != nil && alive(c.Labels[markLabel]) || inUse(c.Labels[doorLabel]) {
			continue
		}
		if err := e.discard(ctx, c.ID); err != nil {
			errs = append(errs, fmt.Errorf("remove container %s: %w", c.ID, err))
			continue
		}
		removed++
	}
	return removed, errors.Join(errs...)
}

// inUse reports whether the supervisor that made a door's folder lives.
func inUse(dir string) bool {
	lock, err := lockFolder(dir)
	if err != nil {
		return errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, os.ErrPermission)
	}
	lock.Close()
	return false
}

// reapDoors removes this user's folders that nobody holds.
func reapDoors() error {
	entries, err := os.ReadDir(doorBase())
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !strings.HasPrefix(entry.Name(), doorPrefix) || !info.IsDir() || !ownedByUs(info) {
			continue
		}
		dir := filepath.Join(doorBase(), entry.Name())
		lock, err := lockFolder(dir)
		if err != nil {
			continue // in use, or gone
		}
		errs = append(errs, removeDoor(dir))
		lock.Close()
	}
	return errors.Join(errs...)
}
