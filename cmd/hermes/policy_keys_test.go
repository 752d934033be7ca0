package main

import (
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/events"
)

// Every member of a policy can be set by the key it is shown under, and reads
// back as it was written.
func TestEveryPolicyKeyCanBeSet(t *testing.T) {
	for _, s := range policySettings(&events.Policy{}) {
		key, value, want := s.key, "7", "7"
		switch s.kind {
		case plainText:
			value, want = "EUR", "EUR"
		case duration:
			value, want = "90m", "90m"
		case order:
			value, want = "fifo", "fifo"
		case amount:
			value, want = "2.50", "EUR 2.50"
		case newCaps:
			key = strings.Replace(key, "NAME", "researcher", 1)
		}
		p := events.Policy{Currency: "EUR"}
		if _, after, err := setPolicy(&p, key, value); err != nil || after != want {
			t.Errorf("set %s to %s: got %q, %v, want %q", key, value, after, err, want)
		}
		if key == "currency" {
			continue
		}
		if _, _, err := setPolicy(&p, key, "none"); err != nil {
			t.Errorf("set %s to none: %v", key, err)
		}
		for _, s := range policySettings(&p) {
			if s.key == key && s.text("EUR") != "none" && s.text("EUR") != "0" && s.text("EUR") != "–" && s.text("EUR") != "priority" {
				t.Errorf("%s after none: got %q, want it gone", key, s.text("EUR"))
			}
		}
	}
}

func TestPolicyRefuses(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"bugdet.run", "2", `no key "bugdet.run"`},
		{"agent_caps.", "2", `no key "agent_caps."`},
		{"term", "x", "not a duration"},
		{"budget.run", "-1", "not an amount"},
		{"budget.run", "NaN", "not an amount"},
		{"order", "random", "neither priority nor fifo"},
		{"board_cap", "1e3", "not a number"},
		{"board_cap", "99999999999", "is too much"},
		{"board_cap", "99999999999999999999", "not a number"},
	} {
		p := events.DefaultPolicy(4)
		if _, _, err := setPolicy(&p, c.key, c.value); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("set %s to %s: got %v, want %q", c.key, c.value, err, c.want)
		}
	}
}

func TestCapsAreNotShared(t *testing.T) {
	before := events.Policy{AgentCaps: []events.Cap{{Name: "a", Max: 1}}}
	after := before
	if _, _, err := setPolicy(&after, "agent_caps.a", "5"); err != nil {
		t.Fatal(err)
	}
	if before.AgentCaps[0].Max != 1 || after.AgentCaps[0].Max != 5 {
		t.Errorf("got %v and %v, want 1 and 5", before.AgentCaps, after.AgentCaps)
	}
}

func TestExactlyReadsBack(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 90 * time.Second, 15 * time.Minute, 26 * time.Hour, 7 * 24 * time.Hour, 1500 * time.Millisecond} {
		if got, err := parseDuration(exactly(d)); err != nil || got != d {
			t.Errorf("%v: wrote %q, read %v, %v", d, exactly(d), got, err)
		}
	}
}
