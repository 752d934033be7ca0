//go:build linux

package canary

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// script tries to leave the sandbox by what a shell alone can do. $1 is a
// file of the host, $2 a new file beside it.
const script = `
cat "$1" 2>/dev/null
{ echo changed >"$1"; echo made >"$2"; echo root >/canary; echo usr >/usr/canary; } 2>/dev/null
echo pid=$(readlink /proc/self/ns/pid)
echo net=$(readlink /proc/self/ns/net)
echo user=$(readlink /proc/self/ns/user)
while read -r key value; do
	case $key in CapEff:|CapBnd:|NoNewPrivs:|Seccomp:) echo "$key$value";; esac
done </proc/self/status
test -e /canary && echo root=writable
(: >>/proc/sys/kernel/core_pattern) 2>/dev/null && echo settings=writable
unshare -U true 2>/dev/null && echo userns=open
true`

// Probe is a program that tries to leave a sandbox.
type Probe struct {
	// Argv runs it, with a file of the host and the name of one beside it that
	// is not there.
	Argv   func(file, extra string) []string
	Limits driver.Limits
	// Check judges what it printed, by the words before a "=" or ":" in each
	// line, and what it left in the workspace.
	Check func(seen map[string]string, workspace string) error
}

// Shell is a probe that needs a shell and shares the host's kernel.
var Shell = Probe{
	Argv: func(file, extra string) []string { return []string{"/bin/sh", "-c", script, "probe", file, extra} },
	Check: func(seen map[string]string, _ string) error {
		if err := Separate(seen, "pid", "net", "user"); err != nil {
			return err
		}
		return Want(seen, map[string]string{
			"CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2", "root": "", "settings": "", "userns": "",
		})
	},
}

// Run starts the program with start, which gives it no network, and returns nil
// if it reached nothing that it must not reach.
func (p Probe) Run(ctx context.Context, start func(context.Context, *driver.Spec) (driver.Session, error)) error {
	dir, err := os.MkdirTemp("", "hermes-probe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file, extra, workspace := filepath.Join(dir, "canary"), filepath.Join(dir, "extra"), filepath.Join(dir, "ws")
	secret := "canary-" + rand.Text()
	if err := errors.Join(os.WriteFile(file, []byte(secret+"\n"), 0o600), os.Mkdir(workspace, 0o700)); err != nil {
		return err
	}
	var out, complaints bytes.Buffer
	run, err := start(ctx, &driver.Spec{
		Argv: p.Argv(file, extra), Env: []string{"PATH=/usr/bin:/bin"}, Workspace: workspace, Mark: rand.Text(),
		Limits: p.Limits, Stdout: &out, Stderr: &complaints,
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
	now, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(extra); err == nil || string(now) != secret+"\n" || strings.Contains(out.String(), secret) {
		return errors.New("a file of the host is visible inside")
	}
	seen := make(map[string]string)
	for line := range strings.Lines(out.String()) {
		if i := strings.IndexAny(line, "=:"); i > 0 {
			seen[line[:i]] = strings.TrimSpace(line[i+1:])
		}
	}
	return p.Check(seen, workspace)
}

// Separate checks that the named name spaces are not the host's.
func Separate(seen map[string]string, spaces ...string) error {
	for _, space := range spaces {
		host, err := os.Readlink("/proc/self/ns/" + space)
		if err != nil {
			return err
		}
		if seen[space] == "" || seen[space] == host {
			return fmt.Errorf("the %s namespace is not separate", space)
		}
	}
	return nil
}

// Want checks that what was seen is as it must be.
func Want(seen, want map[string]string) error {
	for key, value := range want {
		if seen[key] != value {
			return fmt.Errorf("inside, %s is %q, not %q", key, seen[key], value)
		}
	}
	return nil
}
