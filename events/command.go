package events

import (
	"crypto/sha256"
	"encoding/binary"
)

// ForeignCommandID turns a key from elsewhere (an idempotency key, a chat
// update) into a command id: the first 128 bits of SHA-256. scope says whose
// key it is, so that equal keys of different doors do not meet.
func ForeignCommandID(board BoardID, scope, key string) CommandID {
	return CommandID(hashOf("command", board[:], []byte(scope), []byte(key)))
}

// CheckOf sums up who sent a command and what it said.
func CheckOf(actor Actor, content []byte) Check {
	return Check(hashOf("check", []byte{byte(actor.Kind)}, []byte(actor.Name), []byte(actor.Via), content))
}

// hashOf hashes a label and parts, each behind its length as eight big-endian
// bytes, so that no two lists of parts look alike.
func hashOf(label string, parts ...[]byte) (sum [16]byte) {
	h := sha256.New()
	var length [8]byte
	for _, part := range append([][]byte{[]byte(label)}, parts...) {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	copy(sum[:], h.Sum(nil))
	return sum
}
