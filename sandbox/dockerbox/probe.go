//go:build linux && (amd64 || arm64)

package dockerbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/moby/client"

	"github.com/hermesboard/hermes/sandbox/driver"
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
		err = b.selfTest(ctx)
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

func (b box) selfTest(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "hermes-probe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	canary, extra, workspace := filepath.Join(dir, "canary"), filepath.Join(dir, "extra"), filepath.Join(dir, "ws")
	const secret = "canary-7c1f"
	if err := errors.Join(os.WriteFile(canary, []byte(secret), 0o600), os.Mkdir(workspace, 0o700)); err != nil {
		return err
	}
	var out, complaints bytes.Buffer
	run, err := b.Start(ctx, &driver.Spec{
		Argv: []string{firstPath, canary, extra}, Workspace: workspace, Mark: rand.Text(), Stdout: &out, Stderr: &complaints,
		Limits: driver.Limits{MemoryBytes: 256 << 20, MilliCPUs: 1000, Processes: 128},
	})
	if err != nil {
		return err
	}
	status, err := run.Wait()
	if err := errors.Join(err, run.Close()); err != nil {
		return err
	}
	if !status.Success() {
		return fmt.Errorf("the probe ended with %v: %.200s", status, complaints.String())
	}
	now, err := os.ReadFile(canary)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(extra); err == nil || string(now) != secret || strings.Contains(out.String(), secret) {
		return errors.New("a file of the host is visible inside")
	}
	made, err := os.Stat(filepath.Join(workspace, "made"))
	if err != nil || !ownedByUs(made) {
		return fmt.Errorf("a file made in the workspace is not the operator's: %v", err)
	}
	return b.checkLook(out.String())
}

// checkLook compares the lines of look with the host.
func (b box) checkLook(out string) error {
	seen := make(map[string]string)
	for line := range strings.Lines(out) {
		if i := strings.IndexAny(line, "=:"); i > 0 {
			seen[line[:i]] = strings.TrimSpace(line[i+1:])
		}
	}
	spaces := []string{"pid", "net", "ipc", "mnt", "uts"}
	if b.engine == Docker { // podman has none of its own with version 1 of control groups
		spaces = append(spaces, "cgroup")
	}
	for _, space := range spaces {
		host, err := os.Readlink("/proc/self/ns/" + space)
		if err != nil {
			return err
		}
		if seen[space] == "" || seen[space] == host {
			return fmt.Errorf("the %s namespace is not separate", space)
		}
	}
	uid, _ := owner()
	for key, want := range map[string]string{
		"uid": fmt.Sprint(uid), "CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
		"links": "lo", "root": "", "settings": "", "userns": "",
	} {
		if seen[key] != want {
			return fmt.Errorf("inside, %s is %q, not %q", key, seen[key], want)
		}
	}
	return nil
}
