package api

import (
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// peerOf asks the kernel who is at the other end; for a client that is the
// process that listens.
func peerOf(c *net.UnixConn) (peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return peer{}, err
	}
	if credErr != nil {
		return peer{}, credErr
	}
	return peer{UID: int(cred.Uid), PID: int(cred.Pid)}, nil
}

// groupsOf asks the kernel for the groups of the process at the other end,
// beside its first; none if they cannot be had.
func groupsOf(c *net.UnixConn) (groups []int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	ids := make([]uint32, 1<<16) // what the kernel allows
	size := uint32(len(ids) * 4)
	_ = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return
		}
		groups = append(groups, int(cred.Gid))
		_, _, failed := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&ids[0])), uintptr(unsafe.Pointer(&size)), 0)
		if failed == 0 {
			for _, id := range ids[:size/4] {
				groups = append(groups, int(id))
			}
		}
	}) // an error leaves no groups
	return groups
}
