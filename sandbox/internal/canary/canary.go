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

// Run starts the script with start, which gives the program no network, and
// returns nil if it reached nothing that it must not reach.
func Run(ctx context.Context, start func(context.Context, *driver.Spec) (driver.Session, error)) error {
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
	run, err := start(ctx, &driver.Spec{
		Argv: []string{"/bin/sh", "-c", script, "probe", canary, extra}, Env: []string{"PATH=/usr/bin:/bin"},
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
	if _, err := os.Lstat(extra); err == nil || string(now) != secret || strings.Contains(out.String(), secret) {
		return errors.New("a file of the host is visible inside")
	}
	return check(out.String())
}

// check compares the script's lines with the host.
func check(out string) error {
	seen := make(map[string]string)
	for line := range strings.Lines(out) {
		if i := strings.IndexAny(line, "=:"); i > 0 {
			seen[line[:i]] = strings.TrimSpace(line[i+1:])
		}
	}
	for _, space := range []string{"pid", "net", "user"} {
		host, err := os.Readlink("/proc/self/ns/" + space)
		if err != nil {
			return err
		}
		if seen[space] == "" || seen[space] == host {
			return fmt.Errorf("the %s namespace is not separate", space)
		}
	}
	for key, want := range map[string]string{
		"CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2", "root": "", "settings": "", "userns": "",
	} {
		if seen[key] != want {
			return fmt.Errorf("inside, %s is %q, not %q", key, seen[key], want)
		}
	}
	return nil
}
