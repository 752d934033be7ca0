package api

import (
	"errors"
	"fmt"
	"net"
)

// peer is the process at the other end of a connection, as the kernel says.
type peer struct{ UID, PID int }

// mayEnter reports whether a peer may use the socket of an owner that runs as uid.
func (p peer) mayEnter(uid int) bool { return p.UID == uid || p.UID == 0 }

// peerFound is what was found out about a peer when it connected.
type peerFound struct {
	peer
	seen string // in words
	err  error
}

func findPeer(c net.Conn) peerFound {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return peerFound{err: errors.New("not a unix socket")}
	}
	p, err := peerOf(u)
	return peerFound{p, fmt.Sprintf("uid=%d pid=%d", p.UID, p.PID), err}
}

// note adds what the kernel says to what the peer says of itself.
func (p peerFound) note(via string) string {
	if via == "" {
		return p.seen
	}
	return via + " " + p.seen
}
