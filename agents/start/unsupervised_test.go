package start

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/localbox"
)

// TestLocalWithoutSupervising: a gateway starts no sandbox itself and is no
// supervisor; agents that chose local can be started all the same. It runs in
// a process of its own because other tests here do supervise.
func TestLocalWithoutSupervising(t *testing.T) {
	if profile := os.Getenv("START_TEST_PROFILE"); profile != "" {
		boxes, err := sandbox.NewRegistry(localbox.New())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (&Roster{Profile: profile, Sandboxes: boxes}).Agent(t.Context(), "lazy"); err != nil {
			t.Fatal(err)
		}
		return
	}
	profile := t.TempDir()
	lazy := &agents.Agent{Name: "lazy", Runtime: agents.Runtime{Kind: "command", Command: []string{"/bin/true"}}, Terminal: agents.Terminal{Backend: "local"}}
	if err := agents.Save(profile, lazy); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestLocalWithoutSupervising$", "-test.v")
	cmd.Env = append(os.Environ(), "START_TEST_PROFILE="+profile)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("got %v:\n%s", err, out)
	}
}
