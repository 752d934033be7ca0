package pack_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/hermesboard/hermes/events/pack"
)

// op writes one value and returns the check that reads it again.
type op struct {
	write func([]byte) []byte
	check func(*pack.Reader) bool
}

func ops(t *rapid.T) []op {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) op {
		u, i := rapid.Uint64().Draw(t, "u"), rapid.Int64().Draw(t, "i")
		s, p := rapid.String().Draw(t, "s"), rapid.SliceOf(rapid.Byte()).Draw(t, "p")
		return rapid.SampledFrom([]op{
			{func(b []byte) []byte { return pack.Uint(b, u) }, func(r *pack.Reader) bool { return r.Uint64() == u }},
			{func(b []byte) []byte { return pack.Uint(b, uint32(u)) }, func(r *pack.Reader) bool { return r.Uint32() == uint32(u) }},
			{func(b []byte) []byte { return pack.Uint(b, uint16(u)) }, func(r *pack.Reader) bool { return r.Uint16() == uint16(u) }},
			{func(b []byte) []byte { return pack.Uint(b, uint8(u)) }, func(r *pack.Reader) bool { return r.Uint8() == uint8(u) }},
			{func(b []byte) []byte { return pack.Int(b, i) }, func(r *pack.Reader) bool { return r.Int64() == i }},
			{func(b []byte) []byte { return pack.Int(b, int32(i)) }, func(r *pack.Reader) bool { return r.Int32() == int32(i) }},
			{func(b []byte) []byte { return pack.Bool(b, u&1 == 0) }, func(r *pack.Reader) bool { return r.Bool() == (u&1 == 0) }},
			{func(b []byte) []byte { return pack.String(b, s) }, func(r *pack.Reader) bool { return r.String() == s }},
			{func(b []byte) []byte { return pack.Bytes(b, p) }, func(r *pack.Reader) bool { return bytes.Equal(r.Bytes(), p) }},
			{func(b []byte) []byte { return append(b, p...) }, func(r *pack.Reader) bool { return bytes.Equal(r.Raw(len(p)), p) }},
			{
				func(b []byte) []byte { return append(pack.Len(b, len(p)), p...) },
				func(r *pack.Reader) bool { n := r.Len(1); return n == len(p) && bytes.Equal(r.Raw(n), p) },
			},
		}).Draw(t, "op")
	}), 0, 20).Draw(t, "ops")
}

func TestReadsWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b []byte
		all := ops(t)
		for _, o := range all {
			b = o.write(b)
		}
		r := pack.NewReader(b)
		for i, o := range all {
			if !o.check(r) || r.Err() != nil {
				t.Fatalf("value %d of %x came back different (%v)", i, b, r.Err())
			}
		}
		if err := r.Done(); err != nil {
			t.Fatal(err)
		}
		cut := rapid.IntRange(0, len(b)).Draw(t, "cut")
		r = pack.NewReader(b[:cut])
		for _, o := range all {
			o.check(r)
		}
		if err := r.Done(); cut < len(b) && !errors.Is(err, pack.ErrMalformed) {
			t.Fatalf("%x cut to %d: got %v, want ErrMalformed", b, cut, err)
		}
	})
}

func TestRefuses(t *testing.T) {
	cases := map[string]struct {
		in   []byte
		read func(*pack.Reader)
	}{
		"empty":            {nil, func(r *pack.Reader) { r.Uint64() }},
		"unfinished":       {[]byte{0x80}, func(r *pack.Reader) { r.Uint64() }},
		"second spelling":  {[]byte{0x80, 0}, func(r *pack.Reader) { r.Uint64() }},
		"over 64 bits":     {bytes.Repeat([]byte{0xff}, 11), func(r *pack.Reader) { r.Uint64() }},
		"over 32 bits":     {pack.Uint(nil, uint64(1)<<32), func(r *pack.Reader) { r.Uint32() }},
		"over 16 bits":     {pack.Uint(nil, uint64(1)<<16), func(r *pack.Reader) { r.Uint16() }},
		"over 8 bits":      {pack.Uint(nil, uint64(1)<<8), func(r *pack.Reader) { r.Uint8() }},
		"below 32 bits":    {pack.Int(nil, int64(math.MinInt32)-1), func(r *pack.Reader) { r.Int32() }},
		"not a bool":       {[]byte{2}, func(r *pack.Reader) { r.Bool() }},
		"long string":      {[]byte{5, 'a'}, func(r *pack.Reader) { _ = r.String() }},
		"many elements":    {pack.Len(nil, math.MaxInt), func(r *pack.Reader) { r.Len(1) }},
		"wide elements":    {append(pack.Len(nil, 2), 1, 2, 3), func(r *pack.Reader) { r.Len(2) }},
		"negative raw":     {[]byte{1}, func(r *pack.Reader) { r.Raw(-1) }},
		"bytes at the end": {[]byte{1, 2}, func(r *pack.Reader) { r.Uint64() }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := pack.NewReader(c.in)
			c.read(r)
			if err := r.Done(); !errors.Is(err, pack.ErrMalformed) {
				t.Errorf("got %v, want ErrMalformed", err)
			}
		})
	}
}

func TestFirstErrorStays(t *testing.T) {
	mine := errors.New("mine")
	r := pack.NewReader([]byte{1, 2})
	r.Fail(mine)
	if got := r.Uint64(); got != 0 || r.Remaining() != 0 {
		t.Errorf("after Fail: got %d with %d bytes left, want nothing", got, r.Remaining())
	}
	if !errors.Is(r.Done(), mine) {
		t.Errorf("got %v, want the first error", r.Done())
	}
}

// FuzzReader walks hostile bytes with a program of reads taken from them too.
func FuzzReader(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4}, pack.String(pack.Uint(nil, uint64(7)), "seven"))
	f.Fuzz(func(t *testing.T, program, data []byte) {
		r := pack.NewReader(data)
		for _, p := range program {
			before := r.Remaining()
			switch p % 8 {
			case 0:
				r.Uint64()
			case 1:
				r.Uint32()
			case 2:
				r.Int64()
			case 3:
				r.Int32()
			case 4:
				r.Bool()
			case 5:
				if n := r.Len(int(p)); n > len(data) {
					t.Fatalf("Len(%d) of %d bytes: %d", p, len(data), n)
				}
			case 6:
				r.Bytes()
			case 7:
				r.Raw(int(p))
			}
			if r.Remaining() > before {
				t.Fatalf("%d bytes left, %d before", r.Remaining(), before)
			}
		}
		_ = r.Done()
	})
}

func BenchmarkUint64(b *testing.B) {
	var buf []byte
	for i := range uint64(1000) {
		buf = pack.Uint(buf, i*i)
	}
	for b.Loop() {
		r := pack.NewReader(buf)
		for range 1000 {
			r.Uint64()
		}
	}
}
