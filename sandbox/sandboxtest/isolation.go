//go:build linux && (amd64 || arm64)

package sandboxtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// testHostFiles tries to read and change files of the host by every road a
// shell knows, one attempt a line of output.
func testHostFiles(t *testing.T, b *box) {
	const secret = "canary-a91e"
	roads := []string{`"$1"`, `"/proc/self/root$1"`, `"/proc/1/root$1"`, `"../../../../../../../..$1"`, `link`, `/proc/self/cwd/link`}
	attempt := func(b *box) (out string, changed, made bool) {
		dir := t.TempDir()
		canary := filepath.Join(dir, "canary")
		write(t, canary, secret)
		spec := b.spec(t)
		script := "ln -s \"$1\" link\n"
		for _, road := range roads {
			script += "cat " + road + "\necho changed >>" + road + "\n"
		}
		script += "ln \"$1\" hard && echo hard >>hard\necho made >\"$2\"\ncat /etc/shadow\n(: >>/proc/sys/kernel/core_pattern) && echo settings\ntrue"
		spec.Argv = shell("exec 2>/dev/null\n"+script, canary, dir+"/made")
		out, _ = b.run(t, spec)
		_, err := os.Lstat(dir + "/made")
		return out, read(t, canary) != secret, err == nil
	}
	if !b.has(driver.Files) {
		t.Logf("%s declares no isolation of files", b.Name())
		return
	}
	out, changed, made := attempt(b)
	if changed || made || strings.Contains(out, secret) || strings.Contains(out, "root:") || strings.Contains(out, "settings") {
		t.Errorf("got changed %v, made %v, output %q; want nothing", changed, made, out)
	}
	out, changed, made = attempt(control())
	if !changed || !made || !strings.Contains(out, secret) {
		t.Errorf("without isolation: got changed %v, made %v, output %q; want all to succeed", changed, made, out)
	}
	if os.Getuid() == 0 && (!strings.Contains(out, "root:") || !strings.Contains(out, "settings")) {
		t.Errorf("without isolation, as root: got %q, want /etc/shadow and a writable core_pattern", out)
	}
}

// testNetwork counts hits on listeners of the host.
func testNetwork(t *testing.T, b *box) {
	var hits atomic.Int32
	abstract := "@" + unique("hermes")
	var targets []string
	for _, l := range []struct{ network, address string }{{"tcp", "127.0.0.1:0"}, {"tcp", "[::1]:0"}, {"unix", abstract}} {
		listener, err := net.Listen(l.network, l.address)
		if err != nil {
			t.Logf("not testable here: %v", err)
			continue
		}
		defer listener.Close()
		go func() { // ends with the listener
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				hits.Add(1)
				conn.Close()
			}
		}()
		targets = append(targets, l.network+":"+listener.Addr().String())
	}
	attempt := func(b *box, network sandbox.Network) (out string, n int) {
		hits.Store(0)
		spec := b.spec(t, append([]string{"dial"}, targets...)...)
		spec.Network = network
		out, _ = b.run(t, spec)
		return out, int(hits.Load())
	}
	if b.has(driver.NetworkNone) {
		if out, n := attempt(b, sandbox.NoNetwork); n != 0 || strings.Contains(out, "true") {
			t.Errorf("no network: got %d hits, %q; want none", n, out)
		}
	}
	if b.has(driver.NetworkFull) {
		// Abstract sockets are no network: a backend may well keep them away.
		if out, _ := attempt(b, sandbox.FullNetwork); strings.Contains(out, "tcp false") || !strings.Contains(out, "tcp true") {
			t.Errorf("full network: got %q, want every TCP connection", out)
		}
	}
	if out, _ := attempt(control(), sandbox.FullNetwork); strings.Count(out, "true") != len(targets) {
		t.Errorf("without isolation: got %q, want %d connections", out, len(targets))
	}
}

// testProcesses looks for a process of the host, by its host's id, and
// signals it.
func testProcesses(t *testing.T, b *box) {
	if !b.has(driver.Processes) {
		t.Logf("%s declares no isolation of processes", b.Name())
		return
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGUSR1)
	defer signal.Stop(signals)
	victim := exec.Command("/bin/sh", "-c", "trap '' USR1; read line")
	victim.Env = []string{"SECRET=x"}
	hold, err := victim.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { hold.Close(); victim.Wait() }()
	args := []string{"pids", fmt.Sprint(os.Getpid()), fmt.Sprint(victim.Process.Pid)}
	if out, _ := b.run(t, b.spec(t, args...)); out != "false false false\nfalse false false\n" || len(signals) != 0 {
		t.Errorf("got seen, environment, signalled: %q, %d signals here; want none", out, len(signals))
	}
	c := control()
	if out, _ := c.run(t, c.spec(t, args...)); out != "true true true\ntrue true true\n" || len(signals) == 0 {
		t.Errorf("without isolation: got %q, %d signals here; want all to succeed", out, len(signals))
	}
}
