package main

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/hermesboard/hermes/events"
)

// parseDuration reads 90, 90s, 30m, 2h, 1d; a bare number is seconds.
func parseDuration(s string) (time.Duration, error) {
	for _, in := range []struct {
		unit   time.Duration
		suffix string
	}{{time.Second, ""}, {24 * time.Hour, "d"}} {
		digits, ok := strings.CutSuffix(s, in.suffix)
		if n, err := strconv.ParseInt(digits, 10, 64); ok && err == nil && n >= 0 && n <= int64(math.MaxInt64/in.unit) {
			return time.Duration(n) * in.unit, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, usagef("%q is not a duration (want for example 90s, 30m, 2h, 1d)", s)
	}
	return d, nil
}

// parseWhen reads an instant: a time of day, a date, RFC 3339, or a duration
// from now in the direction of sign (8h is eight hours ago with sign -1).
func parseWhen(s string, now time.Time, sign time.Duration) (events.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return events.TimeOf(t), nil
		}
	}
	if t, err := time.ParseInLocation("15:04", s, now.Location()); err == nil {
		at := time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), 0, 0, now.Location())
		if sign < 0 && at.After(now) {
			at = at.AddDate(0, 0, -1)
		} else if sign > 0 && at.Before(now) {
			at = at.AddDate(0, 0, 1)
		}
		return events.TimeOf(at), nil
	}
	if d, err := parseDuration(s); err == nil {
		return events.TimeOf(now.Add(sign * d)), nil
	}
	return 0, usagef("%q is not a time (want for example 8h, 22:00, 2026-11-17 or 2026-11-17T22:00:00Z)", s)
}

// duration reads the flag of that name; zero if it is not given.
func (x *call) duration(name string) (time.Duration, error) {
	s := x.str(name)
	if s == "" {
		return 0, nil
	}
	d, err := parseDuration(s)
	if err != nil {
		return 0, usagef("--%s %v", name, err)
	}
	return d, nil
}
