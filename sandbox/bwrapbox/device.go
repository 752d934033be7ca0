//go:build linux && (amd64 || arm64)

package bwrapbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
)

// bwrap shows the host's own device files, writable. Where the host's user is
// root they belong to the sandbox's user, who could then change their modes
// for the whole host. There each session gets device files of its own.

// devices is the folder of a session's own device files, empty where the host's
// will do. It is locked by its supervisor.
type devices struct {
	dir  string
	lock *os.File
}

// makeDevices makes them in a new folder, which the caller removes.
func makeDevices() (_ *devices, err error) {
	if os.Geteuid() != 0 {
		return &devices{}, nil
	}
	swept.Do(func() { sweepDevices(deviceBases(), time.Now()) })
	d, err := deviceFolder()
	if err != nil {
		return nil, fmt.Errorf("make device files: %w", err)
	}
	for _, device := range rootfs.Devices {
		var stat unix.Stat_t
		err := unix.Stat(device, &stat)
		own := filepath.Join(d.dir, filepath.Base(device))
		if err == nil {
			err = unix.Mknod(own, unix.S_IFCHR, int(stat.Rdev))
		}
		if err == nil {
			err = unix.Chmod(own, 0o666)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make device file %s: %w", own, err), d.remove())
		}
	}
	return d, nil
}

// remove may be called again, and at the same time.
func (d *devices) remove() error {
	if d == nil || d.dir == "" {
		return nil
	}
	if err := os.RemoveAll(d.dir); err != nil {
		return err
	}
	d.lock.Close()
	return nil
}

// Folders of devices are where device files work, in memory if possible.
const deviceDir = "hermes-dev-"

func deviceBases() []string { return []string{"/dev", os.TempDir(), "/var/tmp"} }

func deviceFolder() (*devices, error) {
	for _, base := range deviceBases() {
		var stat unix.Statfs_t
		if unix.Statfs(base, &stat) != nil || stat.Flags&unix.ST_NODEV != 0 {
			continue
		}
		dir, err := os.MkdirTemp(base, deviceDir)
		if err != nil {
			continue
		}
		lock, err := lockDevices(dir)
		if err != nil {
			return nil, errors.Join(err, os.Remove(dir))
		}
		return &devices{dir, lock}, nil
	}
	return nil, errors.New("no folder of this host allows them")
}

func lockDevices(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

// swept is done once in a process: what dead supervisors left does no harm
// meanwhile.
var swept sync.Once

// sweepAge is more than passes between the making and the locking of a folder.
const sweepAge = time.Minute

// sweepDevices removes the folders that nobody has locked, as far as it can.
func sweepDevices(bases []string, now time.Time) {
	for _, base := range bases {
		left, _ := filepath.Glob(filepath.Join(base, deviceDir+"*"))
		for _, dir := range left {
			var stat unix.Stat_t
			if unix.Lstat(dir, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFDIR || int(stat.Uid) != os.Geteuid() ||
				now.Sub(time.Unix(stat.Ctim.Unix())) < sweepAge {
				continue
			}
			if lock, err := lockDevices(dir); err == nil {
				(&devices{dir, lock}).remove()
			}
		}
	}
}

// deviceArguments covers the host's device files with those in dir.
func deviceArguments(dir string) []string {
	if dir == "" {
		return nil
	}
	var args []string
	for _, device := range rootfs.Devices {
		args = append(args, "--dev-bind", filepath.Join(dir, filepath.Base(device)), device)
	}
	return args
}
