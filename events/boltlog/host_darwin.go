package boltlog

import (
	"os"

	"golang.org/x/sys/unix"
)

// reserve is not to be had: what is written takes its room.
func reserve(*os.File, int64) error { return unix.EOPNOTSUPP }

// remote names a file system that is not known to be local, and returns ""
// otherwise.
func remote(fs *unix.Statfs_t) string {
	if fs.Flags&unix.MNT_LOCAL != 0 {
		return ""
	}
	return unix.ByteSliceToString(fs.Fstypename[:])
}
