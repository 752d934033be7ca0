package main

import (
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/agents/profile"
)

func TestTeller(t *testing.T) {
	secrets := &profile.Secrets{}
	if err := secrets.Set("CI_SECRET", profile.NewSecret("0123456789abcdef-canary")); err != nil {
		t.Fatal(err)
	}
	hook := profile.Webhook{Name: "ci", URL: "https://example.com/hook", Secret: "CI_SECRET"}
	good := profile.Config{Chat: profile.Chat{TimeZone: "UTC", QuietHours: "22:00-07:30", Digest: "07:30", Reminder: "7h"}, Webhooks: []profile.Webhook{hook}}
	tell, err := newTeller(&profile.Profile{Config: good}, secrets, map[string]notify.Platform{"telegram": {}})
	if err != nil {
		t.Fatal(err)
	}
	if tell.digest != 450 || tell.opts.Reminder != 7*time.Hour || tell.opts.Zone != time.UTC || !tell.opts.Platforms["webhook"].Each || len(tell.opts.Platforms) != 2 {
		t.Errorf("got %+v", tell)
	}
	if none, err := newTeller(&profile.Profile{}, secrets, nil); err != nil || none.digest >= 0 || none.notifier(nil, nil) != nil {
		t.Errorf("got %+v, %v of an empty configuration", none, err)
	}
	for key, spoil := range map[string]func(*profile.Config){
		"chat.time_zone":   func(c *profile.Config) { c.Chat.TimeZone = "Mars" },
		"chat.quiet_hours": func(c *profile.Config) { c.Chat.QuietHours = "22" },
		"chat.digest":      func(c *profile.Config) { c.Chat.Digest = "7" },
		"chat.reminder":    func(c *profile.Config) { c.Chat.Reminder = "soon" },
		"webhook ci":       func(c *profile.Config) { c.Webhooks[0].URL = "http://example.com" },
		"OTHER_SECRET":     func(c *profile.Config) { c.Webhooks[0].Secret = "OTHER_SECRET" },
	} {
		c := good
		c.Webhooks = []profile.Webhook{hook}
		spoil(&c)
		if _, err := newTeller(&profile.Profile{Config: c}, secrets, nil); err == nil || !strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v", key, err)
		}
	}
}
