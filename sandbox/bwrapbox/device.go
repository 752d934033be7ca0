//go:build linux && (amd64 || arm64)

package bwrapbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
)

// bwrap shows the host's own device files, writable. Where the host's user is
// root they belong to the sandbox's user, who could then change their modes
// for the whole host. There each session gets device files of its own.

// makeDevices makes them in a new folder, which the caller removes. It is
// empty where the host's will do.
func makeDevices() (dir string, err error) {
	if os.Geteuid() != 0 {
		return "", nil
	}
	if dir, err = deviceFolder(); err != nil {
		return "", fmt.Errorf("make device files: %w", err)
	}
	for _, device := range rootfs.Devices {
		var stat unix.Stat_t
		err := unix.Stat(device, &stat)
		own := filepath.Join(dir, filepath.Base(device))
		if err == nil {
			err = unix.Mknod(own, unix.S_IFCHR, int(stat.Rdev))
		}
		if err == nil {
			err = unix.Chmod(own, 0o666)
		}
		if err != nil {
			return "", errors.Join(fmt.Errorf("make device file %s: %w", own, err), os.RemoveAll(dir))
		}
	}
	return dir, nil
}

// deviceFolder makes a folder in which device files work.
func deviceFolder() (string, error) {
	for _, base := range []string{os.TempDir(), "/var/tmp", "/dev"} {
		var stat unix.Statfs_t
		if unix.Statfs(base, &stat) == nil && stat.Flags&unix.ST_NODEV == 0 {
			if dir, err := os.MkdirTemp(base, "hermes-dev-"); err == nil {
				return dir, nil
			}
		}
	}
	return "", errors.New("no folder of this host allows them")
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
