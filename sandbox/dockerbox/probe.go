//go:build linux && (amd64 || arm64)

package dockerbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/moby/moby/client"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/canary"
)

// Probe has this program look around in a container of the configured image,
// and compares what it saw with what the host sees.
func (b box) Probe(ctx context.Context) driver.Report {
	e, err := b.connect(ctx)
	if err != nil {
		return driver.Report{Reason: err.Error()}
	}
	defer e.Close()
	report := driver.Report{}
	if report.Version, err = e.version(ctx); err == nil {
		err = b.probe().Run(ctx, b.Start)
	}
	if err != nil {
		report.Reason = err.Error()
		return report
	}
	report.Available = true
	return report
}

// version is that of the engine and of the interface agreed on.
func (e *engine) version(ctx context.Context) (string, error) {
	got, err := e.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "", e.explain(err)
	}
	return got.Version + ", API " + e.ClientVersion(), nil
}

// probe runs this program itself: an image may have no other. It also wants the
// limits.
func (b box) probe() canary.Probe {
	return canary.Probe{
		Argv:   func(file, extra string) []string { return []string{firstPath, file, extra} },
		Limits: driver.Limits{MemoryBytes: 256 << 20, MilliCPUs: 1000, Processes: 128},
		Check:  b.check,
	}
}

// check compares what was seen with the host.
func (b box) check(seen map[string]string, workspace string) error {
	made, err := os.Stat(filepath.Join(workspace, "made"))
	if err != nil || !ownedByUs(made) {
		return fmt.Errorf("a file made in the workspace is not the operator's: %v", err)
	}
	spaces := []string{"pid", "net", "ipc", "mnt", "uts"}
	if b.engine == Docker { // podman has none of its own with version 1 of control groups
		spaces = append(spaces, "cgroup")
	}
	if err := canary.Separate(seen, spaces...); err != nil {
		return err
	}
	uid, _ := owner()
	return canary.Want(seen, map[string]string{
		"uid": fmt.Sprint(uid), "CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
		"links": "lo", "root": "", "settings": "", "userns": "",
	})
}
