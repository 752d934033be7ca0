package api

import "fmt"

// peer is the process at the other end of a connection, as the kernel says.
type peer struct{ UID, PID int }

// mayEnter reports whether a peer may use the socket of an owner that runs as uid.
func (p peer) mayEnter(uid int) bool { return p.UID == uid || p.UID == 0 }

// note adds what the kernel says to what the peer says of itself.
func (p peer) note(via string) string {
	seen := fmt.Sprintf("uid=%d pid=%d", p.UID, p.PID)
	if via == "" {
		return seen
	}
	return via + " " + seen
}
