package cron

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule says when an entry ticks.
type Schedule struct {
	spec  cron.Schedule
	zone  *time.Location
	wall  bool          // it names hours: it is meant by the wall clock
	every time.Duration // "@every"; 0 = spec counts
}

// star is set by the parser in a field that was a plain asterisk.
const star = 1 << 63

// ParseSchedule reads "minute hour day month weekday", with names, ranges,
// lists and steps, or "@hourly", "@daily", "@weekly", "@monthly", "@yearly", or
// "@every 90m", which counts from 1970. The zone is an IANA name; empty is the
// host's.
func ParseSchedule(spec, zone string) (Schedule, error) {
	if strings.Contains(spec, "TZ=") {
		return Schedule{}, errors.New("the time zone has a key of its own: time_zone")
	}
	loc, err := time.LoadLocation(zone)
	if zone == "" {
		loc, err = time.Local, nil
	}
	if err != nil || strings.EqualFold(zone, "local") {
		return Schedule{}, fmt.Errorf("%q is not a time zone (want for example Europe/Berlin)", zone)
	}
	parsed, err := cron.ParseStandard(spec)
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule %q: %w", spec, err)
	}
	s := Schedule{spec: parsed, zone: loc}
	switch p := parsed.(type) {
	case cron.ConstantDelaySchedule:
		if s.every = p.Delay; s.every < time.Minute {
			return Schedule{}, fmt.Errorf("schedule %q: at most once a minute", spec)
		}
	case *cron.SpecSchedule:
		if p.Location, s.wall = loc, p.Hour&star == 0; s.wall {
			p.Location = time.UTC // the zone is seen to by Next
		}
	}
	if s.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, fmt.Errorf("schedule %q: there is no such day", spec)
	}
	return s, nil
}

// Next returns the first tick after t; zero = there is none for years.
func (s Schedule) Next(t time.Time) time.Time {
	if s.every > 0 {
		return time.Unix(0, 0).Add((t.Sub(time.Unix(0, 0))/s.every + 1) * s.every).In(s.zone)
	}
	if !s.wall {
		return s.spec.Next(t.In(s.zone))
	}
	for wall := s.face(t); ; {
		next := s.spec.Next(wall)
		if next.IsZero() {
			return next
		}
		if tick := s.instant(next); tick.After(t) {
			return tick
		}
		wall = next
	}
}

// face is what the clock on the wall shows at t, as if it were UTC.
func (s Schedule) face(t time.Time) time.Time {
	_, offset := t.In(s.zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// instant is when the wall shows a face: where it shows it twice the first
// time, where it never does the end of what it skips.
func (s Schedule) instant(face time.Time) time.Time {
	at := time.Date(face.Year(), face.Month(), face.Day(), face.Hour(), face.Minute(), face.Second(), 0, s.zone)
	if s.face(at).Equal(face) {
		if earlier := at.Add(-overlap(at)); earlier.Before(at) && s.face(earlier).Equal(face) {
			return earlier
		}
		return at
	}
	from, until := at.ZoneBounds()
	if s.face(at).Before(face) {
		return until
	}
	return from
}

// overlap is by how much the clock was put back when the zone of t began;
// negative if it was put forward.
func overlap(t time.Time) time.Duration {
	from, _ := t.ZoneBounds()
	if from.IsZero() {
		return 0
	}
	_, before := from.Add(-time.Second).Zone()
	_, now := t.Zone()
	return time.Duration(before-now) * time.Second
}

// Missed says what becomes of ticks that nobody dealt with in time.
type Missed string

// The policies.
const (
	Skip Missed = "skip" // they are left out
	Once Missed = "once" // the last one is made up for; the default
	All  Missed = "all"  // all are, at most the last MaxMissed
)

// MaxMissed is how many missed ticks are made up for at once.
const MaxMissed = 24

// grace is how late a tick may be dealt with and not be missed.
const grace = time.Minute

// lookBack bounds how long ago ticks are looked for.
const lookBack = 366 * 24 * time.Hour

// Due returns the ticks to be dealt with now, oldest first, when all before last
// have been. It is pure.
func (s Schedule) Due(last, now time.Time, policy Missed) (due []time.Time) {
	if now.Sub(last) > lookBack {
		last = now.Add(-lookBack)
	}
	for t := s.Next(last); !t.IsZero() && !t.After(now); t = s.Next(t) {
		if due = append(due, t); len(due) > MaxMissed {
			due = due[1:]
		}
	}
	if len(due) == 0 || policy == All {
		return due
	}
	newest := due[len(due)-1]
	if policy == Skip && now.Sub(newest) > grace {
		return nil
	}
	return []time.Time{newest}
}
