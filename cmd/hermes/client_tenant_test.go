//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// nosy is an orchestrator that asks its board for all that it can think of.
const nosy = `
w() { "$HERMES_BIN" worker "$@"; }
w show --context; w show --json; w list --json; w list --archived --limit 200
for t in t1 t2 t3 t4; do w show $t --json; w comment $t "of another's"; w link $t t5; w link t5 $t; w unblock $t yes; done
w create "after another's" --parent t1; w create "of another's agent" --assignee "$(w list --json | head -c 2000 | tr -dc a-z)"
env; find "$HERMES_INPUTS" "$HERMES_WORKSPACE" -type f -exec cat {} +
w complete "asked"`

// TestTenantsOfOneBoard: what one tenant has is neither in the context of
// another's agents, nor in what their tools answer, nor in lists that are one
// tenant's. Among its own it is, and noticed.
func TestTenantsOfOneBoard(t *testing.T) {
	if testing.Short() {
		t.Skip("starts agents")
	}
	t.Parallel()
	for tenant, want := range map[string]bool{"other": false, "mine": true} {
		t.Run(tenant, func(t *testing.T) {
			p := newPlace(t, map[string]string{"nosy": nosy}, nil)
			file := filepath.Join(p.dir, otherCanary+".txt")
			p.write(file, otherCanary)
			config := filepath.Join(p.dir, "agents", "nosy", "config.yaml")
			b, err := os.ReadFile(config)
			if err != nil {
				t.Fatal(err)
			}
			p.write(config, "role: orchestrator\n"+string(b))
			word := strings.ToLower(otherCanary)
			for _, args := range [][]string{ // t1 blocked, t2 done, t3 archived, t4 an idea
				{"create", otherCanary, "--body", otherCanary, "--assignee", word, "--tenant", tenant}, {"attach", "t1", file}, {"comment", "t1", otherCanary},
				{"block", "t1", otherCanary, "--option", otherCanary},
				{"create", otherCanary, "--tenant", tenant}, {"complete", "t2", "--summary", otherCanary, "--result", otherCanary},
				{"create", otherCanary, "--tenant", tenant}, {"archive", "t3"}, {"create", otherCanary, "--tenant", tenant, "--triage"},
				{"create", "ask around", "--tenant", "mine", "--assignee", "nosy"},
			} {
				p.must(append([]string{"kanban"}, args...)...)
			}
			p.must("kanban", "dispatch")
			p.endsAs("t5", "completed")
			looks := map[string]string{"log": p.must("kanban", "log", "t5"), "context": p.must("kanban", "context", "t5"), "show": p.must("kanban", "show", "t5", "--json")}
			p.env = append(p.env, "HERMES_TENANT=mine")
			for _, verb := range []string{"list", "list --archived --json", "list --all-boards", "list --status blocked"} {
				looks[verb] = p.must(append([]string{"kanban"}, strings.Fields(verb)...)...)
			}
			found := 0
			for what, text := range looks {
				if shows(text) {
					if found++; !want {
						t.Errorf("%s shows the canary:\n%.3000s", what, text)
					}
				}
			}
			if want && found < 4 {
				t.Errorf("only %d of %d looks found what is the tenant's own, so nothing could have been noticed", found, len(looks))
			}
		})
	}
}
