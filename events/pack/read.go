package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is the error of every Reader that met bytes the writing
// functions do not make.
var ErrMalformed = errors.New("malformed snapshot")

// Reader reads what the writing functions appended, in the same order. After
// the first error every method returns the zero value. Not safe for concurrent
// use; it keeps the slice it was given, and Bytes and Raw return parts of it.
type Reader struct {
	b   []byte // not yet read
	n   int    // bytes there were at first
	err error
}

// NewReader returns a Reader of b.
func NewReader(b []byte) *Reader { return &Reader{b: b, n: len(b)} }

// Err returns the first error; it wraps [ErrMalformed] unless set by Fail.
func (r *Reader) Err() error { return r.err }

// Fail sets the error unless there is one, for a value the caller refuses.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
		r.b = nil
	}
}

// Done returns the first error, or one if bytes are left.
func (r *Reader) Done() error {
	if r.err == nil && len(r.b) > 0 {
		r.malformed("bytes after the end")
	}
	return r.err
}

// Remaining returns how many bytes are left.
func (r *Reader) Remaining() int { return len(r.b) }

// Uint64 reads what Uint appended.
func (r *Reader) Uint64() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 {
		v := r.b[0]
		r.b = r.b[1:]
		return uint64(v)
	}
	return r.uvarint()
}

func (r *Reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 1 && r.b[n-1] == 0 {
		r.malformed("bad number")
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Uint32 reads what Uint appended and refuses more than 32 bits.
func (r *Reader) Uint32() uint32 { return uint32(r.below(1 << 32)) }

// Uint16 reads what Uint appended and refuses more than 16 bits.
func (r *Reader) Uint16() uint16 { return uint16(r.below(1 << 16)) }

// Uint8 reads what Uint appended and refuses more than 8 bits.
func (r *Reader) Uint8() uint8 { return uint8(r.below(1 << 8)) }

// Int64 reads what Int appended.
func (r *Reader) Int64() int64 {
	u := r.Uint64()
	return int64(u>>1) ^ -int64(u&1)
}

// Int32 reads what Int appended and refuses more than 32 bits.
func (r *Reader) Int32() int32 {
	v := r.Int64()
	if int64(int32(v)) != v {
		r.malformed("number out of range")
		return 0
	}
	return int32(v)
}

// Bool reads what Bool appended.
func (r *Reader) Bool() bool { return r.below(2) == 1 }

// Len reads a number of elements of at least size bytes each, and refuses more
// than the bytes left can hold: it is safe to allocate that many.
func (r *Reader) Len(size int) int {
	v := r.Uint64()
	if v > uint64(len(r.b)/max(size, 1)) {
		r.malformed("length beyond the end")
		return 0
	}
	return int(v)
}

// Raw reads n bytes as they are. The result shares memory with the Reader's bytes.
func (r *Reader) Raw(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.malformed("length beyond the end")
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

// Bytes reads what Bytes appended. The result shares memory with the Reader's bytes.
func (r *Reader) Bytes() []byte { return r.Raw(r.Len(1)) }

// String reads what String appended, as a copy.
func (r *Reader) String() string { return string(r.Bytes()) }

func (r *Reader) below(limit uint64) uint64 {
	v := r.Uint64()
	if v >= limit {
		r.malformed("number out of range")
		return 0
	}
	return v
}

func (r *Reader) malformed(what string) {
	if r.err == nil {
		r.Fail(fmt.Errorf("%w: %s at byte %d of %d", ErrMalformed, what, r.n-len(r.b), r.n))
	}
}
