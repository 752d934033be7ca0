package boltlog

import (
	"os"

	"golang.org/x/sys/unix"
)

// reserve has the file system set aside the first size bytes of a file. It
// returns unix.EOPNOTSUPP where that is not to be had.
func reserve(f *os.File, size int64) error { return unix.Fallocate(int(f.Fd()), 0, 0, size) }

// remote names a file system that is not known to be local, and returns ""
// otherwise.
func remote(fs *unix.Statfs_t) string { return remoteFS(int64(fs.Type)) }

// remoteFS does so by the file system's magic number. FUSE counts as remote: what
// is behind it cannot be seen, and several network file systems are.
func remoteFS(magic int64) string {
	switch uint32(magic) {
	case unix.NFS_SUPER_MAGIC:
		return "NFS"
	case unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		return "SMB"
	case unix.FUSE_SUPER_MAGIC:
		return "FUSE"
	case unix.V9FS_MAGIC:
		return "9p"
	case unix.CEPH_SUPER_MAGIC:
		return "Ceph"
	case unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC:
		return "AFS"
	case unix.CODA_SUPER_MAGIC:
		return "Coda"
	case unix.NCP_SUPER_MAGIC:
		return "NCP"
	case unix.OCFS2_SUPER_MAGIC:
		return "OCFS2"
	case 0x01161970:
		return "GFS2"
	case 0x0bd00bd0:
		return "Lustre"
	case 0x47504653:
		return "GPFS"
	}
	return ""
}
