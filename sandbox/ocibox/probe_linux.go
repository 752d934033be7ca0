//go:build amd64 || arm64

package ocibox

import (
	"context"
	"fmt"
	"os"
	"os/exec"
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
	probe := canary.Shell
	if b.Runtime == GVisor {
		probe = kernel
	}
	if err := probe.Run(ctx, b.Start); err != nil {
		report.Reason = err.Error() + canary.Advice(runtime)
		return report
	}
	report.Available = true
	return report
}

// kernel is the probe of a sandbox with a kernel of its own.
var kernel = canary.Probe{
	Argv: func(file, extra string) []string {
		return []string{"/bin/sh", "-c", kernelScript, "probe", file, extra, fmt.Sprint(os.Getpid())}
	},
	Check: func(seen map[string]string, _ string) error {
		if err := canary.Want(seen, map[string]string{
			"CapEff": "0000000000000000", "CapBnd": "0000000000000000", "Seccomp": "2", "root": "", "settings": "", "host": "",
		}); err != nil {
			return err
		}
		host, err := os.ReadFile("/proc/version")
		if err != nil {
			return err
		}
		if kernel := seen["kernel"]; kernel == "" || kernel == strings.TrimSpace(string(host)) {
			return fmt.Errorf("inside, the kernel is %q, the host's", kernel)
		}
		return nil
	},
}
