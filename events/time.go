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

func (t Time) appendTo(b []byte) []byte { return t.Time().AppendFormat(b, timeLayout) }

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) { return t.appendTo(nil), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Only the written form is read.
func (t *Time) UnmarshalText(b []byte) error {
	p, err := time.Parse(timeLayout, string(b))
	if err != nil || len(b) != len(timeLayout) {
		return fmt.Errorf("%q is not a time (want for example 2006-01-02T15:04:05.000000Z)", b)
	}
	*t = TimeOf(p)
	return nil
}
