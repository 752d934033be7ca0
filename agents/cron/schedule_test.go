package cron_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests need zones wherever they run

	"pgregory.net/rapid"

	"github.com/hermesboard/hermes/agents/cron"
)

// ticks lists the ticks in a stretch of time, in UTC.
func ticks(t *testing.T, spec, zone, from, until string) (list []string) {
	t.Helper()
	s, err := cron.ParseSchedule(spec, zone)
	if err != nil {
		t.Fatal(err)
	}
	end := instant(t, until)
	for at := s.Next(instant(t, from)); at.Before(end) && !at.IsZero(); at = s.Next(at) {
		list = append(list, at.UTC().Format("02T15:04"))
	}
	return list
}

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04Z", s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestClockChanges: Berlin skips 02:00 to 03:00 on 29 March 2026, at 01:00 UTC,
// and repeats it on 25 October, from 00:00 and from 01:00 UTC. Cairo skips
// midnight, Lord Howe half an hour.
func TestClockChanges(t *testing.T) {
	for _, test := range []struct{ name, spec, zone, from, until, want string }{
		{"skipped", "30 2 * * *", "Europe/Berlin", "2026-03-27T12:00Z", "2026-03-31T12:00Z", "28T01:30 29T01:00 30T00:30 31T00:30"},
		{"skipped twice in the gap", "0,30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", "2026-03-30T12:00Z", "29T01:00 30T00:00 30T00:30"},
		{"repeated", "30 2 * * *", "Europe/Berlin", "2026-10-23T12:00Z", "2026-10-26T12:00Z", "24T00:30 25T00:30 26T01:30"},
		{"repeated, from between", "30 2 * * *", "Europe/Berlin", "2026-10-25T00:45Z", "2026-10-26T12:00Z", "26T01:30"},
		{"repeated, in America", "30 1 * * *", "America/New_York", "2026-10-31T12:00Z", "2026-11-02T12:00Z", "01T05:30 02T06:30"},
		{"repeated on the hour, in America", "0,59 1-3 * * 0", "America/New_York", "2026-11-01T00:00Z", "2026-11-01T09:00Z", "01T05:00 01T05:59 01T07:00 01T07:59 01T08:00 01T08:59"},
		{"every hour, skipped", "30 * * * *", "Europe/Berlin", "2026-03-29T00:00Z", "2026-03-29T03:00Z", "29T00:30 29T01:30 29T02:30"},
		{"every hour, repeated", "30 * * * *", "Europe/Berlin", "2026-10-25T00:00Z", "2026-10-25T03:00Z", "25T00:30 25T01:30 25T02:30"},
		{"midnight skipped", "0 0 * * *", "Africa/Cairo", "2026-04-22T12:00Z", "2026-04-25T12:00Z", "22T22:00 23T22:00 24T21:00"},
		{"half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-02T20:00Z", "2026-10-04T20:00Z", "03T15:30 04T15:15"},
		{"daily", "@daily", "America/New_York", "2026-03-07T12:00Z", "2026-03-10T12:00Z", "08T05:00 09T04:00 10T04:00"},
		{"summer from winter", "0 * 1 7 *", "Europe/Berlin", "2026-01-01T00:00Z", "2026-07-01T00:30Z", "30T22:00 30T23:00 01T00:00"},
		{"leap day", "0 0 29 2 *", "UTC", "2026-01-01T00:00Z", "2029-01-01T00:00Z", "29T00:00"},
		{"every", "@every 90m", "Europe/Berlin", "2026-03-29T00:00Z", "2026-03-29T04:00Z", "29T01:30 29T03:00"},
	} {
		if got := strings.Join(ticks(t, test.spec, test.zone, test.from, test.until), " "); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

// TestNextProperties: ticks only go forward, and where one looks from between
// two of them does not matter.
func TestNextProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := rapid.SampledFrom([]string{"30 2 * * *", "*/7 * * * *", "0,59 1-3 * * 0", "15 */2 * * *", "@hourly", "@daily", "@every 61m", "45 1 * 3,10,11 *"}).Draw(t, "spec")
		zone := rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu"}).Draw(t, "zone")
		s, err := cron.ParseSchedule(spec, zone)
		if err != nil {
			t.Fatal(err)
		}
		// around the changes of 2026
		at := time.Date(2026, time.Month(rapid.SampledFrom([]int{3, 4, 10, 11}).Draw(t, "month")), 1, 0, 0, 0, 0, time.UTC).
			Add(time.Duration(rapid.IntRange(0, 31*24*60).Draw(t, "minute")) * time.Minute)
		next := s.Next(at)
		if !next.After(at) {
			t.Fatalf("after %v comes %v", at, next)
		}
		between := at.Add(time.Duration(rapid.Float64Range(0, 0.999).Draw(t, "part") * float64(next.Sub(at))))
		if got := s.Next(between); !got.Equal(next) {
			t.Fatalf("after %v comes %v, after %v already %v", at, next, between, got)
		}
	})
}

func TestParseSchedule(t *testing.T) {
	for _, bad := range [][2]string{{"", ""}, {"* * * *", ""}, {"* * * * * *", ""}, {"61 * * * *", ""}, {"0 0 31 2 *", ""}, {"@every 1s", ""}, {"@never", ""},
		{"CRON_TZ=UTC 0 0 * * *", ""}, {"0 0 * * *", "Mars/Olympus"}, {"0 0 * * *", "../../etc/passwd"}, {"0 0 * * *", "Local"}} {
		if _, err := cron.ParseSchedule(bad[0], bad[1]); err == nil {
			t.Errorf("%q in %q was taken", bad[0], bad[1])
		}
	}
}

func TestDue(t *testing.T) {
	s, err := cron.ParseSchedule("0 * * * *", "UTC")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		policy    cron.Missed
		last, now string
		want      string
	}{
		{cron.Once, "2026-03-01T10:00Z", "2026-03-01T10:59Z", ""},
		{cron.Once, "2026-03-01T10:00Z", "2026-03-01T11:00Z", "11"},
		{cron.Once, "2026-03-01T10:00Z", "2026-03-01T13:30Z", "13"},
		{"", "2026-03-01T10:00Z", "2026-03-01T13:30Z", "13"},
		{cron.Skip, "2026-03-01T10:00Z", "2026-03-01T13:30Z", ""},
		{cron.Skip, "2026-03-01T10:00Z", "2026-03-01T13:01Z", "13"},
		{cron.All, "2026-03-01T10:00Z", "2026-03-01T13:30Z", "11 12 13"},
		{cron.Once, "2026-03-01T10:00Z", "2026-03-01T09:00Z", ""},
	} {
		var got []string
		for _, at := range s.Due(instant(t, test.last), instant(t, test.now), test.policy) {
			got = append(got, at.Format("15"))
		}
		if g := strings.Join(got, " "); g != test.want {
			t.Errorf("%q from %s to %s: got %q, want %q", test.policy, test.last, test.now, g, test.want)
		}
	}
	many := s.Due(instant(t, "2016-03-01T10:00Z"), instant(t, "2026-03-01T10:00Z"), cron.All)
	if len(many) != cron.MaxMissed || !slices.IsSortedFunc(many, time.Time.Compare) || many[len(many)-1] != instant(t, "2026-03-01T10:00Z") {
		t.Errorf("got %d ticks, the last %v", len(many), many[len(many)-1])
	}
}
