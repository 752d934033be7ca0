//go:build amd64 || arm64

package ocibox

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/canary"
)

// kernelScript tells which kernel it runs on, and tries to leave the sandbox by
// what a shell alone can do. $1 is a file of the host, $2 a new file beside it,
// $3 a process of the host.
const kernelScript = `
read -r line <"$1" && echo "$line"
{ echo changed >"$1"; echo made >"$2"; echo root >/canary; echo usr >/usr/canary; } 2>/dev/null
while read -r key value rest; do
	case $key in CapEff:|CapBnd:|Seccomp:) echo "$key$value";; esac
done </proc/self/status
test -e /canary && echo root=writable
(: >>/proc/sys/kernel/core_pattern) 2>/dev/null && echo settings=writable
test -e "/proc/$3/comm" && echo host=visible
read -r line </proc/version && echo "kernel=$line"
true`

// Probe tries to leave a sandbox.
func (b box) Probe(ctx context.Context) driver.Report {
	runtime, err := b.find()
	if err != nil {
		return driver.Report{Reason: err.Error()}
	}
	said, err := exec.CommandContext(ctx, runtime, "--version").Output()
	if err != nil {
		return driver.Report{Reason: fmt.Sprintf("%s --version: %v", runtime, err)}
	}
	report := driver.Report{Version: version(said)}
	test := func() error { return canary.Run(ctx, b.Start) }
	if b.Runtime == GVisor {
		test = func() error { return b.testKernel(ctx) } // it has a kernel and names of its own
	}
	if err := test(); err != nil {
		report.Reason = err.Error() + canary.Advice(runtime)
		return report
	}
	report.Available = true
	return report
}

// testKernel is canary.Run for a sandbox with a kernel of its own.
func (b box) testKernel(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "hermes-probe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	canary, extra, workspace := filepath.Join(dir, "canary"), filepath.Join(dir, "extra"), filepath.Join(dir, "ws")
	secret := rand.Text()
	if err := errors.Join(os.WriteFile(canary, []byte(secret+"\n"), 0o600), os.Mkdir(workspace, 0o700)); err != nil {
		return err
	}
	var out, complaints bytes.Buffer
	run, err := b.Start(ctx, &driver.Spec{
		Argv: []string{"/bin/sh", "-c", kernelScript, "probe", canary, extra, fmt.Sprint(os.Getpid())}, Env: []string{"PATH=/usr/bin:/bin"},
		Workspace: workspace, Mark: rand.Text(), Stdout: &out, Stderr: &complaints,
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
	if _, err := os.Lstat(extra); err == nil || string(now) != secret+"\n" || strings.Contains(out.String(), secret) {
		return errors.New("a file of the host is visible inside")
	}
	return checkKernel(out.String())
}

// checkKernel compares the script's lines with what they must be.
func checkKernel(out string) error {
	seen := make(map[string]string)
	for line := range strings.Lines(out) {
		if i := strings.IndexAny(line, "=:"); i > 0 {
			seen[line[:i]] = strings.TrimSpace(line[i+1:])
		}
	}
	for key, want := range map[string]string{
		"CapEff": "0000000000000000", "CapBnd": "0000000000000000", "Seccomp": "2", "root": "", "settings": "", "host": "",
	} {
		if seen[key] != want {
			return fmt.Errorf("inside, %s is %q, not %q", key, seen[key], want)
		}
	}
	host, err := os.ReadFile("/proc/version")
	if err != nil {
		return err
	}
	if kernel := seen["kernel"]; kernel == "" || kernel == strings.TrimSpace(string(host)) {
		return fmt.Errorf("inside, the kernel is %q, the host's", kernel)
	}
	return nil
}
