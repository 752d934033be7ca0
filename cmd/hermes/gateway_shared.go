package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// sharedPrefix begins the names of the folders in which users of this host show
// each other what their gateways use: one for each user, who alone writes to it.
// It lies where everybody can look; a home lies where nobody else can.
const sharedPrefix = "hermes-shared-"

// sharedBase is the folder of all shared folders. All users of the host are to
// have the same, so it does not follow TMPDIR.
func sharedBase(getenv func(string) string) string {
	return cmp.Or(getenv("HERMES_SHARED_DIR"), "/tmp")
}

// openShared makes a folder in this user's shared folder, or checks that it is
// this user's alone to write to. listed says whether others may see what is in
// it; what they know the name of they can open in either case.
func openShared(getenv func(string) string, name string, listed bool) (dir string, err error) {
	dir = filepath.Join(sharedBase(getenv), sharedPrefix+strconv.Itoa(os.Geteuid()))
	if err := ownFolder(dir, 0o755); err != nil {
		return "", err
	}
	mode := fs.FileMode(0o711)
	if listed {
		mode = 0o755
	}
	dir = filepath.Join(dir, name)
	return dir, ownFolder(dir, mode)
}

func ownFolder(dir string, mode fs.FileMode) error {
	err := os.Mkdir(dir, mode)
	if err == nil {
		err = os.Chmod(dir, mode) // whatever the umask is
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return folderOf(dir, os.Geteuid())
}

// folderOf checks that a path is a folder that only a user writes to.
func folderOf(dir string, uid int) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, _ := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || st == nil || int(st.Uid) != uid || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not a folder of user %d that nobody else writes to", dir, uid)
	}
	return nil
}

// sharedFolder is a folder that another user of the host shows.
type sharedFolder struct {
	UID int
	Dir string
}

// othersShared lists the folders of that name which other users show.
func othersShared(getenv func(string) string, name string) (list []sharedFolder) {
	base := sharedBase(getenv)
	entries, _ := os.ReadDir(base) // none that can be read: nobody shows anything
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), sharedPrefix)
		uid, err := strconv.Atoi(digits)
		if !ok || err != nil || uid == os.Geteuid() {
			continue
		}
		dir := filepath.Join(base, e.Name())
		if folderOf(dir, uid) == nil && folderOf(filepath.Join(dir, name), uid) == nil {
			list = append(list, sharedFolder{uid, filepath.Join(dir, name)})
		}
	}
	return list
}
