//go:build linux && (amd64 || arm64)

package bwrapbox

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/canary"
)

// Probe tries to leave a sandbox.
func (b bubblewrap) Probe(ctx context.Context) driver.Report {
	path, err := b.find()
	if err != nil {
		return driver.Report{Reason: "bwrap is not installed (Debian, Ubuntu: apt-get install bubblewrap): " + err.Error()}
	}
	version, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return driver.Report{Reason: fmt.Sprintf("%s --version: %v", path, err)}
	}
	report := driver.Report{Version: strings.TrimSpace(strings.TrimPrefix(string(version), "bubblewrap "))}
	if err := canary.Shell.Run(ctx, b.Start); err != nil {
		report.Reason = err.Error() + canary.Advice(path)
		return report
	}
	report.Available = true
	return report
}
