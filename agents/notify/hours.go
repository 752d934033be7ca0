package notify

import (
	"fmt"
	"strings"
	"time"
)

// Clock is a time of day, in minutes after midnight. Negative = none.
type Clock int

// ParseClock reads "07:30".
func ParseClock(s string) (Clock, error) {
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return -1, fmt.Errorf("%q is not a time of day (want for example 07:30)", s)
	}
	return Clock(60*t.Hour() + t.Minute()), nil
}

// on returns the instant of this time on the day of t. Where the clocks skip
// it, it is one that Go's [time.Date] chooses.
func (c Clock) on(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), int(c)/60, int(c)%60, 0, 0, t.Location())
}

// Hours are the hours from one time of day to another, also over midnight. The
// zero value is no time at all.
type Hours struct{ From, To Clock }

// ParseHours reads "22:00-07:30". Empty is no time at all.
func ParseHours(s string) (Hours, error) {
	if s == "" {
		return Hours{}, nil
	}
	from, to, ok := strings.Cut(s, "-")
	a, err := ParseClock(strings.TrimSpace(from))
	b, err2 := ParseClock(strings.TrimSpace(to))
	if !ok || err != nil || err2 != nil || a == b {
		return Hours{}, fmt.Errorf("%q are no hours (want for example 22:00-07:30)", s)
	}
	return Hours{a, b}, nil
}

// Contain reports whether t lies in the hours, by the clock of its location.
func (h Hours) Contain(t time.Time) bool {
	now := Clock(60*t.Hour() + t.Minute())
	if h.From <= h.To {
		return h.From <= now && now < h.To
	}
	return now >= h.From || now < h.To
}

// End returns when the hours that contain t are over; t itself if none do.
func (h Hours) End(t time.Time) time.Time {
	if !h.Contain(t) {
		return t
	}
	end := h.To.on(t)
	if !end.After(t) {
		end = h.To.on(t.AddDate(0, 0, 1))
	}
	return end
}
