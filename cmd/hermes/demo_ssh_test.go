//go:build linux && (amd64 || arm64)

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDemoSSH runs the pipeline in an account of a server on this machine.
func TestDemoSSH(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	settings := sshServer(t)
	if got := runDemoOn(t, append([]string{"--backend", "ssh"}, settings...)...); !got.Verified || got.Runs != 4 {
		t.Errorf("got %+v, want four runs, and a log that is verified", got)
	}
}

// sshServer starts an OpenSSH server and returns what a demonstration must be
// told to use it.
func sshServer(t *testing.T) (settings []string) {
	t.Helper()
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin")
	sshd, err1 := exec.LookPath("sshd")
	_, err2 := exec.LookPath("ssh-keygen")
	if err1 != nil || err2 != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no sshd, or no ssh-keygen")
		}
		t.Skip("no sshd, or no ssh-keygen (Debian: apt-get install openssh-server)")
	}
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"host", "key"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", in(name)).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	config := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s\nPidFile none\nAuthorizedKeysFile %s\nPermitRootLogin yes\n"+
		"UsePAM no\nStrictModes no\nSubsystem sftp internal-sftp\nSetEnv HOME=%s\n", port, in("host"), in("key.pub"), dir)
	host, err := os.ReadFile(in("host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	known := fmt.Sprintf("[127.0.0.1]:%d %s", port, host)
	for name, content := range map[string]string{"config": config, "known": known} {
		if err := os.WriteFile(in(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log strings.Builder
	server := exec.Command(sshd, "-D", "-e", "-f", in("config"))
	server.Stderr = &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait() // the error is the kill
		if t.Failed() {
			t.Log(log.String())
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) { // it does not say when it listens
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no sshd: %v", err)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"host=127.0.0.1", fmt.Sprint("port=", port), "user=" + me.Username, "key=" + in("key"), "known_hosts=" + in("known")} {
		settings = append(settings, "--set", "ssh_"+s)
	}
	return settings
}
