package main

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{"90": 90 * time.Second, "0": 0, "90s": 90 * time.Second, "30m": 30 * time.Minute, "1.5h": 90 * time.Minute, "2d": 48 * time.Hour} {
		if got, err := parseDuration(s); got != want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "-1", "-2h", "1x", "d", "99999999999d", "99999999999999999999", "9999999999999"} {
		if got, err := parseDuration(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, got)
		}
	}
}

func TestParseWhen(t *testing.T) {
	now := time.Date(2026, 11, 17, 21, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		text string
		sign time.Duration
		want string
	}{
		{"22:00", 1, "2026-11-17T22:00:00Z"},
		{"22:00", -1, "2026-11-16T22:00:00Z"},
		{"20:00", 1, "2026-11-18T20:00:00Z"},
		{"20:00", -1, "2026-11-17T20:00:00Z"},
		{"8h", -1, "2026-11-17T13:00:00Z"},
		{"8h", 1, "2026-11-18T05:00:00Z"},
		{"1d", -1, "2026-11-16T21:00:00Z"},
		{"2026-12-01", 1, "2026-12-01T00:00:00Z"},
		{"2026-12-01 08:30", 1, "2026-12-01T08:30:00Z"},
		{"2026-12-01T08:30:00+01:00", 1, "2026-12-01T07:30:00Z"},
	} {
		got, err := parseWhen(c.text, now, c.sign)
		if err != nil || got.Time().UTC().Format(time.RFC3339) != c.want {
			t.Errorf("%s, %d: got %v, %v, want %s", c.text, c.sign, got.Time().UTC(), err, c.want)
		}
	}
	for _, s := range []string{"", "tomorrow", "25:00", "2026-13-01"} {
		if got, err := parseWhen(s, now, 1); err == nil {
			t.Errorf("%q: got %v, want an error", s, got)
		}
	}
}
