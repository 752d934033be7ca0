package api

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerOf asks the kernel who is at the other end; for a client that is the
// process that listens.
func peerOf(c *net.UnixConn) (peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var p peer
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		var cred *unix.Xucred
		if cred, credErr = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); credErr != nil {
			return
		}
		p.UID = int(cred.Uid)
		p.PID, _ = unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID)
	}); err != nil {
		return peer{}, err
	}
	return p, credErr
}

// groupsOf asks the kernel for the groups of the process at the other end; none
// if they cannot be had.
func groupsOf(c *net.UnixConn) (groups []int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	_ = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
		if err != nil {
			return
		}
		for _, id := range cred.Groups[:min(int(cred.Ngroups), len(cred.Groups))] {
			groups = append(groups, int(id))
		}
	}) // an error leaves no groups
	return groups
}
