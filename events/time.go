package events

import (
	"fmt"
	"time"
)

// Time is an instant in microseconds since 1970-01-01 UTC. The zero value
// means no time and is left out of records. Written with six decimals and Z.
type Time int64

const timeLayout = "2006-01-02T15:04:05.000000Z"

// TimeOf converts t, cut to microseconds.
func TimeOf(t time.Time) Time { return Time(t.UnixMicro()) }

// Time returns t as a UTC time.Time.
func (t Time) Time() time.Time { return time.UnixMicro(int64(t)).UTC() }

// Add returns the instant d later.
func (t Time) Add(d time.Duration) Time { return t + Time(d.Microseconds()) }

// Sub returns t - u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t-u) * time.Microsecond }

// String returns the written form.
func (t Time) String() string { return string(t.appendTo(nil)) }

// appendTo writes what AppendFormat(b, timeLayout) would, in a fraction of the
// time.
func (t Time) appendTo(b []byte) []byte {
	u := t.Time()
	year, month, day := u.Date()
	if year < 0 || year > 9999 {
		return u.AppendFormat(b, timeLayout)
	}
	hour, minute, second := u.Clock()
	b = append(b, timeLayout...)
	at := len(b)
	number := func(digits, n int) {
		for range digits {
			at--
			b[at] = byte('0' + n%10)
			n /= 10
		}
		at-- // what stands before it
	}
	at-- // Z
	number(6, u.Nanosecond()/1000)
	number(2, second)
	number(2, minute)
	number(2, hour)
	number(2, day)
	number(2, int(month))
	number(4, year)
	return b
}

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) { return t.appendTo(nil), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Only the written form is read.
func (t *Time) UnmarshalText(b []byte) error {
	p, ok := parseTime(b)
	if !ok {
		return fmt.Errorf("%q is not a time (want for example 2006-01-02T15:04:05.000000Z)", b)
	}
	*t = p
	return nil
}

// The instants that the written form has room for: years 0000 to 9999.
const (
	minTime Time = -62167219200000000
	maxTime Time = 253402300799999999
)

// parseTime reads exactly the written form. time.Parse is six times slower and
// also takes a comma for the point.
func parseTime(b []byte) (Time, bool) {
	if len(b) != len(timeLayout) || b[4] != '-' || b[7] != '-' || b[10] != 'T' ||
		b[13] != ':' || b[16] != ':' || b[19] != '.' || b[26] != 'Z' {
		return 0, false
	}
	ok := true
	number := func(from, to int) (n int) {
		for _, c := range b[from:to] {
			ok = ok && c >= '0' && c <= '9'
			n = 10*n + int(c-'0')
		}
		return n
	}
	year, month, day := number(0, 4), number(5, 7), number(8, 10)
	hour, minute, second, micro := number(11, 13), number(14, 16), number(17, 19), number(20, 26)
	if !ok || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 1000*micro, time.UTC)
	return TimeOf(t), t.Day() == day
}
