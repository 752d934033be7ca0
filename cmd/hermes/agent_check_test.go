//go:build linux

package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// testTask plays a model that does what the test task says.
func testTask(_ int, r *modelRequest) modelReply {
	switch {
	case r.Heard("The task goes on") && len(r.Results) < 2:
		return modelReply{Tool: "kanban_complete", Args: map[string]any{"summary": "Ready."}}
	case len(r.Results) == 0:
		return modelReply{Tool: "kanban_block", Args: map[string]any{"reason": "Ready?", "kind": "needs_input"}}
	}
	return modelReply{Text: "Done."}
}

// TestAgentCheck: an agent that works passes every check, and nothing of it
// stays behind.
func TestAgentCheck(t *testing.T) {
	m := newModelled(t, nil, testTask)
	before := m.must("kanban", "list", "--json")
	out := m.must("agent", "check", "clerk")
	for _, want := range []string{
		"profile    agent clerk, worker", "backend    bubblewrap", "agent      claude 2.1.330", "key        not visible inside",
		"network    example.com, 169.254.169.254, /api/event_logging/v2/batch refused", "config     settings, hooks, servers",
		"tools      9 of 9", "model      127.0.0.1 answered", "verdict    a test task ended as completed", "$0.0",
		"continues  a second run saw", "records    not visible", "price      ", "ok         12 checks, 0 problems",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("got\n%s\nwant %q", out, want)
		}
	}
	if after := m.must("kanban", "list", "--json"); after != before {
		t.Errorf("the board has changed: got\n%s", after)
	}
	m.secret()
}

// TestAgentCheckFails: what does not work is found, with what to do.
func TestAgentCheckFails(t *testing.T) {
	if testing.Short() {
		t.Skip("starts hundreds of processes")
	}
	check := func(t *testing.T, m *modelled, failed ...string) {
		t.Helper()
		out, errs, code := m.hermes("agent", "check", "clerk", "--json")
		var got struct {
			Checks []struct {
				Name, Detail, Fix string
				OK                bool
			}
			Problems int
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%v in\n%s%s", err, out, errs)
		}
		var names []string
		for _, c := range got.Checks {
			if !c.OK {
				names = append(names, c.Name)
				if c.Fix == "" {
					t.Errorf("%s: nothing is said of what to do", c.Name)
				}
			}
		}
		if !slices.Equal(names, failed) || got.Problems != len(failed) || code != 1 {
			t.Errorf("got exit %d, problems with %q, want %q\n%s", code, names, failed, out)
		}
		if strings.Contains(out+errs, canary) {
			t.Error("the key is shown")
		}
	}
	edit := func(m *modelled, old, new string) {
		m.t.Helper()
		config := m.read("agents/clerk/config.yaml")
		if !strings.Contains(config, old) {
			m.t.Fatalf("no %q in the configuration", old)
		}
		m.write("agents/clerk/config.yaml", strings.Replace(config, old, new, 1))
	}
	t.Run("refused key", func(t *testing.T) {
		t.Parallel()
		m := newModelled(t, nil, func(int, *modelRequest) modelReply {
			return modelReply{Status: 401, Type: "authentication_error", Say: "no"}
		})
		check(t, m, "model", "verdict", "continues")
	})
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		m := newModelled(t, nil, func(int, *modelRequest) modelReply { return modelReply{Text: "I would rather not."} })
		check(t, m, "verdict", "continues")
	})
	t.Run("no key", func(t *testing.T) {
		t.Parallel()
		m := newModelled(t, nil, testTask)
		m.write(".env", "OTHER=1\n")
		check(t, m, "profile")
	})
	t.Run("another version", func(t *testing.T) {
		t.Parallel()
		m := newModelled(t, nil, testTask)
		edit(m, "  model: ", "  version: 9.9.9\n  model: ")
		check(t, m, "agent")
	})
	t.Run("key passed on", func(t *testing.T) {
		t.Parallel()
		m := newModelled(t, nil, testTask)
		edit(m, "terminal:\n", "terminal:\n  mounts: ["+m.dir+"/.env]\n")
		check(t, m, "key")
	})
	t.Run("example allowed", func(t *testing.T) {
		t.Parallel()
		m := newModelled(t, nil, testTask)
		edit(m, "  upstream: ", "  allow: [\"POST /v1/messages\", \"POST /api/event_logging/v2/batch\"]\n  upstream: ")
		check(t, m, "network")
	})
}
