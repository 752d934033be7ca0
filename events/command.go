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
func hashOf(label string, parts ...[]byte) [16]byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 512), uint64(len(label)))
	b = append(b, label...)
	for _, part := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	return [16]byte(sum[:])
}
