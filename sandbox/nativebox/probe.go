//go:build linux && (amd64 || arm64)

package nativebox

import (
	"context"
	"fmt"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/canary"
	"github.com/hermesboard/hermes/sandbox/nativebox/stage"
)

// Probe tries to leave a sandbox. The report's version is that of Landlock, or
// says that it is missing and the isolation rests on the rest.
func (n native) Probe(ctx context.Context) driver.Report {
	report := driver.Report{Version: "without Landlock: files are kept apart by mounts alone"}
	if version := stage.LandlockVersion(); version > 0 {
		report.Version = fmt.Sprintf("Landlock %d", version)
	}
	if err := canary.Shell.Run(ctx, n.Start); err != nil {
		report.Reason = err.Error()
		return report
	}
	report.Available = true
	return report
}
