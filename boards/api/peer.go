package api

import (
	"errors"
	"fmt"
	"net"
	"slices"
)

// peer is the process at the other end of a connection, as the kernel says.
type peer struct{ UID, PID int }

// mayEnter reports whether a peer may use the socket of an owner that runs as uid.
func (p peer) mayEnter(uid int) bool { return p.UID == uid || p.UID == 0 }

// Operator is another account that may use the board door: a user, or whoever
// has a group. The zero value is nobody.
type Operator struct {
	User  bool // ID is a user's
	Group bool // ID is a group's
	ID    int
}

// is reports whether a peer is the operator.
func (o Operator) is(p peer, groups func() []int) bool {
	return o.User && p.UID == o.ID || o.Group && slices.Contains(groups(), o.ID)
}

// peerFound is what was found out about a peer when it connected.
type peerFound struct {
	peer
	seen     string // in words
	operator bool   // it is let in as the operator, and acts as that alone
	err      error
}

// find finds out who has connected to h.
func (h *handler) find(c net.Conn) peerFound {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return peerFound{err: errors.New("not a unix socket")}
	}
	p, err := peerOf(u)
	f := peerFound{peer: p, seen: fmt.Sprintf("uid=%d pid=%d", p.UID, p.PID), err: err}
	f.operator = err == nil && p.UID != h.uid && h.Operator.is(p, func() []int { return groupsOf(u) })
	return f
}

// note adds what the kernel says to what the peer says of itself.
func (p peerFound) note(via string) string {
	if via == "" {
		return p.seen
	}
	return via + " " + p.seen
}
