package pack

import "encoding/binary"

// Uint appends v as a varint: 1 byte below 128, at most 10.
func Uint[T ~uint8 | ~uint16 | ~uint32 | ~uint64](b []byte, v T) []byte {
	if v < 0x80 {
		return append(b, byte(v))
	}
	return binary.AppendUvarint(b, uint64(v))
}

// Int appends v as a zigzag varint: 1 byte from -64 to 63, at most 10.
func Int[T ~int8 | ~int16 | ~int32 | ~int64](b []byte, v T) []byte {
	return binary.AppendVarint(b, int64(v))
}

// Len appends a number of elements that follow.
func Len(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }

// Bool appends one byte, 0 or 1.
func Bool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// String appends the length of s and its bytes.
func String[T ~string](b []byte, s T) []byte { return append(Len(b, len(s)), s...) }

// Bytes appends the length of p and its bytes; nil and empty are the same.
func Bytes(b, p []byte) []byte { return append(Len(b, len(p)), p...) }
