package boltlog

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestRemoteFS(t *testing.T) {
	for _, magic := range []int64{unix.NFS_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.FUSE_SUPER_MAGIC, unix.V9FS_MAGIC} {
		if remoteFS(magic) == "" {
			t.Errorf("%#x: got local, want refused", magic)
		}
	}
	for _, magic := range []int64{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC} {
		if name := remoteFS(magic); name != "" {
			t.Errorf("%#x: got %s, want local", magic, name)
		}
	}
	// On a 32-bit machine the number is negative.
	if remoteFS(int64(int32(-0x00acb2be))) == "" { // 0xff534d42
		t.Error("CIFS with a negative number: got local, want refused")
	}
}
