//go:build linux && (amd64 || arm64)

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest"
)

// TestDemo runs the whole pipeline on each backend that works here. That of
// another machine has tests of its own, and Apptainer needs an image.
func TestDemo(t *testing.T) {
	t.Parallel()
	if err := sandbox.Supervise(); err != nil {
		t.Fatal(err)
	}
	boxes, err := sandboxes()
	if err != nil {
		t.Fatal(err)
	}
	for _, box := range boxes.All() {
		name := box.Name()
		if name == "ssh" || name == "apptainer" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			switch {
			case testing.Short() && name != "local":
				t.Skip("a sandbox may be no place for a program that is linked dynamically, as for the race detector")
			case slices.Contains([]string{"docker", "podman", "gvisor"}, name):
				sandboxtest.Long(t)
			}
			if report := box.Probe(t.Context()); !report.Available {
				if os.Getenv("CI") == "true" {
					t.Fatal(report.Reason)
				}
				t.Skip(report.Reason)
			}
			got := runDemoOn(t, "--backend", name)
			if !got.Verified || got.Citations == 0 || got.Runs != 4 {
				t.Errorf("got %+v, want four runs, citations, and a log that is verified", got)
			}
		})
	}
}

// runDemoOn returns what a demonstration that must succeed says.
func runDemoOn(t *testing.T, args ...string) (got demoResult) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "hermes", append([]string{"--json", "demo", "--home", filepath.Join(t.TempDir(), "home")}, args...)...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, out, errs.String())
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return got
}
