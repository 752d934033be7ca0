//go:build linux && (amd64 || arm64)

package sshbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/sshbox"
)

const patience = 30 * time.Second

// own is a server of the test's own.
func own(t *testing.T, more ...string) *server {
	t.Helper()
	need(t)
	if testing.Short() {
		t.Skip("a server of its own takes a second")
	}
	s, err := startServer(more...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func spec(t *testing.T, script string) *sandbox.Spec {
	t.Helper()
	return &sandbox.Spec{Argv: []string{"/bin/sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Workspace: t.TempDir(), Network: sandbox.FullNetwork}
}

// refused starts a session that must not be.
func refused(t *testing.T, box *sandbox.Sandbox, spec *sandbox.Spec) error {
	t.Helper()
	s, err := box.Start(t.Context(), spec)
	if err == nil {
		s.Close()
		t.Fatal("got a session, want an error")
	}
	return err
}

func (s *server) with(t *testing.T, change func(*sandbox.Settings)) *sandbox.Sandbox {
	t.Helper()
	set := s.settings()
	change(&set)
	box, err := sshbox.New(&sshbox.Options{Cache: s.cache(), Folder: s.folder()}).With(set)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// TestHostKeys accepts no key that is not written down, and then tells the line
// by which it would be.
func TestHostKeys(t *testing.T) {
	need(t)
	right, err := os.ReadFile(shared.knownHosts())
	if err != nil {
		t.Fatal(err)
	}
	other := &server{dir: t.TempDir(), port: shared.port}
	key, err := other.makeKey("other")
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("[127.0.0.1]:%d", shared.port)
	file := filepath.Join(t.TempDir(), "known")
	for _, test := range []struct {
		name, content string
		known         bool
	}{
		{"no file", "", false},
		{"empty", "# nobody\n", false},
		{"another machine", "[127.0.0.1]:1 " + string(ssh.MarshalAuthorizedKey(key)), false},
		{"changed", address + " " + string(ssh.MarshalAuthorizedKey(key)), true},
	} {
		if test.content == "" {
			os.Remove(file)
		} else if err := os.WriteFile(file, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(file)
		box := shared.with(t, func(s *sandbox.Settings) { s.KnownHosts = file })
		var hostKey *sshbox.HostKeyError
		if err := refused(t, box, spec(t, "true")); !errors.As(err, &hostKey) {
			t.Errorf("%s: got %v, want a %T", test.name, err, hostKey)
			continue
		}
		if hostKey.Line+"\n" != string(right) || hostKey.File != file || (len(hostKey.Known) > 0) != test.known || !strings.Contains(hostKey.Error(), hostKey.Line) {
			t.Errorf("%s: got %+v, want the line %q and known %v", test.name, hostKey, right, test.known)
		}
		if report := box.Probe(t.Context()); report.Available || !strings.Contains(report.Reason, hostKey.Line) {
			t.Errorf("%s: got %+v, want the line to add", test.name, report)
		}
		if now, _ := os.ReadFile(file); !bytes.Equal(now, before) {
			t.Errorf("%s: got the file changed to %q", test.name, now)
		}
	}
	if err := os.WriteFile(file, right, 0o600); err != nil {
		t.Fatal(err)
	}
	if report := shared.with(t, func(s *sandbox.Settings) { s.KnownHosts = file }).Probe(t.Context()); !report.Available || report.Version == "" {
		t.Errorf("with that line: got %+v, want it to work", report)
	}
}

func TestLoginKeys(t *testing.T) {
	need(t)
	t.Setenv("SSH_AUTH_SOCK", "")
	dir := t.TempDir()
	stranger := &server{dir: dir}
	if _, err := stranger.makeKey("stranger"); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(shared.key())
	if err != nil {
		t.Fatal(err)
	}
	private, err := ssh.ParseRawPrivateKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"locked": pemBytes(locked), "garbage": []byte("no key")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range map[string]string{
		"": "terminal.ssh_key", filepath.Join(dir, "missing"): "no such file", filepath.Join(dir, "locked"): "passphrase",
		filepath.Join(dir, "garbage"): "no key found", filepath.Join(dir, "stranger"): "unable to authenticate",
	} {
		err := refused(t, shared.with(t, func(s *sandbox.Settings) { s.Key = key }), spec(t, "true"))
		var file *sshbox.KeyFileError
		if !strings.Contains(err.Error(), want) || errors.As(err, &file) == (want == "unable to authenticate") {
			t.Errorf("key %q: got %v, want %q in it", key, err, want)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, set := range []sandbox.Settings{{Host: "a b"}, {Host: "h", User: "u\n"}, {Host: "h", Port: 70000}, {Host: "h", Image: "i"}, {User: "u"}} {
		var setting *sandbox.SettingError
		if _, err := sshbox.New(nil).With(set); !errors.As(err, &setting) {
			t.Errorf("%+v: got %v, want a %T", set, err, setting)
		}
	}
	report := sshbox.New(nil).Probe(t.Context())
	if report.Available || !strings.Contains(report.Reason, "terminal.ssh_host") {
		t.Errorf("got %+v, want the setting that is missing", report)
	}
}

// TestConnectionLost unplugs the other machine in the middle of a run.
func TestConnectionLost(t *testing.T) {
	s := own(t)
	out := make(lines, 16)
	sp := spec(t, "trap '' TERM HUP; echo up; while :; do sleep 1; done")
	sp.Stdout = out
	session, err := s.box().Start(t.Context(), sp)
	if err != nil {
		t.Fatal(err)
	}
	<-out
	if pids, err := sandbox.Marked(session.Mark()); err != nil || len(pids) == 0 {
		t.Fatalf("got %v, %v; want the program to be found there", pids, err)
	}
	s.drop()
	select {
	case <-session.Done():
	case <-time.After(patience):
		t.Fatal("the loss goes unnoticed")
	}
	if _, err := session.Wait(); !errors.Is(err, sshbox.ErrConnectionLost) {
		t.Errorf("got %v, want %v", err, sshbox.ErrConnectionLost)
	}
	if err := session.Kill(); !errors.Is(err, sandbox.ErrTreeAlive) {
		t.Errorf("while nobody can look: got %v, want %v", err, sandbox.ErrTreeAlive)
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	if err := session.Kill(); err != nil {
		t.Errorf("when it is back: got %v, want nil", err)
	}
	if pids, err := sandbox.Marked(session.Mark()); err != nil || len(pids) != 0 {
		t.Errorf("got %v, %v there; want none", pids, err)
	}
	if err := session.Close(); err == nil || !strings.Contains(err.Error(), "bring") {
		t.Errorf("got %v, want it said that the workspace was not brought back", err)
	}
	if err := session.Close(); err != nil {
		t.Errorf("again: got %v, want nil", err)
	}
	if left, err := filepath.Glob(filepath.Join(s.dir, "hermes-*", "*", "ws")); err != nil || len(left) != 0 {
		t.Errorf("got %v left there, %v; want nothing", left, err)
	}
}

type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// TestDiskFull sends more than the other machine has room for.
func TestDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	s := own(t)
	small := filepath.Join(s.dir, "small")
	if err := os.Mkdir(small, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(small, 0)
	sp := spec(t, "true")
	if err := os.WriteFile(filepath.Join(sp.Workspace, "big"), make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	sessions, err := sshbox.New(&sshbox.Options{Cache: s.cache(), Folder: small}).With(s.settings())
	if err != nil {
		t.Fatal(err)
	}
	if err := refused(t, sessions, sp); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "other machine") {
		t.Errorf("a workspace: got %v, want %v", err, syscall.ENOSPC)
	}
	if left, err := filepath.Glob(filepath.Join(small, "hermes-*", "*", "ws")); err != nil || len(left) != 0 {
		t.Errorf("got %v left there, %v; want nothing", left, err)
	}
	binaries, err := sshbox.New(&sshbox.Options{Cache: filepath.Join(small, "cache"), Folder: s.folder()}).With(s.settings())
	if err != nil {
		t.Fatal(err)
	}
	if err := refused(t, binaries, spec(t, "true")); !strings.Contains(err.Error(), "copy") {
		t.Errorf("the binary: got %v, want what was copied", err)
	}
	if left, err := filepath.Glob(filepath.Join(small, "cache", "*")); err != nil || len(left) != 0 {
		t.Errorf("got %v left there, %v; want nothing", left, err)
	}
}

// TestSpoiledBinary does not run one that is not whole.
func TestSpoiledBinary(t *testing.T) {
	s := own(t)
	for range 2 {
		session, err := s.box().Start(t.Context(), spec(t, "exit 4"))
		if err != nil {
			t.Fatal(err)
		}
		if status, err := session.Wait(); err != nil || status.Code != 4 {
			t.Errorf("got %v, %v; want exit 4", status, err)
		}
		if err := session.Close(); err != nil {
			t.Error(err)
		}
		copies, err := filepath.Glob(filepath.Join(s.cache(), "*"))
		if err != nil || len(copies) != 1 {
			t.Fatalf("got %v, %v; want one binary", copies, err)
		}
		if err := os.Truncate(copies[0], 1000); err != nil {
			t.Fatal(err)
		}
	}
}

func TestForwardingOff(t *testing.T) {
	s := own(t, "AllowStreamLocalForwarding no")
	err := refused(t, s.box(), spec(t, "true"))
	if !strings.Contains(err.Error(), "AllowStreamLocalForwarding") {
		t.Errorf("got %v, want the option that is needed", err)
	}
}

// TestTalkativeShell has an account whose shell prints before it executes.
func TestTalkativeShell(t *testing.T) {
	s := own(t)
	if err := os.WriteFile(filepath.Join(s.dir, ".bashrc"), []byte("echo welcome; echo to all >&2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	sp := spec(t, "echo program")
	sp.Stdout = &out
	session, err := s.box().Start(t.Context(), sp)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Wait(); err != nil {
		t.Error(err)
	}
	if err := session.Close(); err != nil || out.String() != "program\n" {
		t.Errorf("got %q, %v; want what the program printed", out.String(), err)
	}
}

// TestSharedWorkspace has a second session join the first, as for looking at
// what an agent has made while it lives.
func TestSharedWorkspace(t *testing.T) {
	need(t)
	out := make(lines, 16)
	sp := spec(t, "echo one >made; echo up; cat; echo two >>made")
	sp.Outputs = t.TempDir()
	input, end := io.Pipe()
	defer end.Close()
	sp.Stdin, sp.Stdout = input, out
	first, err := box().Start(t.Context(), sp)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	<-out
	for range 2 {
		look := *sp
		look.Argv = []string{"/bin/sh", "-c", "cp made outputs/seen && echo more >>more"}
		look.Stdin, look.Stdout = nil, nil
		second, err := box().Start(t.Context(), &look)
		if err != nil {
			t.Fatal(err)
		}
		if status, err := second.Wait(); err != nil || !status.Success() {
			t.Errorf("got %v, %v; want exit 0", status, err)
		}
		if err := second.Close(); err != nil {
			t.Error(err)
		}
		if seen, err := os.ReadFile(filepath.Join(sp.Outputs, "seen")); err != nil || string(seen) != "one\n" {
			t.Errorf("got outputs %q, %v; want what the first has made", seen, err)
		}
		if _, err := os.Lstat(filepath.Join(sp.Workspace, "made")); err == nil {
			t.Error("the workspace came back, though the first still has it")
		}
	}
	end.Close()
	if status, err := first.Wait(); err != nil || !status.Success() {
		t.Errorf("got %v, %v; want exit 0", status, err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"made": "one\ntwo\n", "more": "more\nmore\n"} {
		if got, err := os.ReadFile(filepath.Join(sp.Workspace, name)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
	if left, err := filepath.Glob(filepath.Join(shared.dir, "hermes-*", "*", "ws")); err != nil || len(left) != 0 {
		t.Errorf("got %v left there, %v; want nothing", left, err)
	}
}

// TestLastBringsBack closes the first before the second.
func TestLastBringsBack(t *testing.T) {
	need(t)
	out := make(lines, 16)
	sp := spec(t, "echo up; exec sleep 600")
	sp.Stdout = out
	first, err := box().Start(t.Context(), sp)
	if err != nil {
		t.Fatal(err)
	}
	<-out
	late := *sp
	late.Argv = []string{"/bin/sh", "-c", "echo up; cat; echo late >late"}
	input, end := io.Pipe()
	late.Stdin = input
	second, err := box().Start(t.Context(), &late)
	if err != nil {
		t.Fatal(err)
	}
	<-out
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	end.Close()
	if status, err := second.Wait(); err != nil || !status.Success() {
		t.Errorf("got %v, %v; want it to go on after the first", status, err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(filepath.Join(sp.Workspace, "late")); err != nil || string(got) != "late\n" {
		t.Errorf("got %q, %v; want what the second made", got, err)
	}
}

// TestNoSFTP has a server that cannot take the binary.
func TestNoSFTP(t *testing.T) {
	s := own(t)
	config := filepath.Join(s.dir, "config")
	lines, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, bytes.Replace(lines, []byte("Subsystem sftp internal-sftp\n"), nil, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	s.drop()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	var none *sshbox.SFTPError
	if err := refused(t, s.box(), spec(t, "true")); !errors.As(err, &none) || !strings.Contains(err.Error(), "Subsystem sftp") {
		t.Errorf("got %v, want a %T", err, none)
	}
}

// TestSecrets looks for what the spec holds in all that others can read.
func TestSecrets(t *testing.T) {
	need(t)
	const secret = "secret-4f1c"
	out := make(lines, 16)
	sp := spec(t, "echo up; sleep 600")
	sp.Env, sp.Stdout = append(sp.Env, "TOKEN="+secret), out
	session, err := box().Start(t.Context(), sp)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	<-out
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	seen := false
	for _, name := range all {
		line, _ := os.ReadFile(name) // gone meanwhile
		if seen = seen || bytes.Contains(line, []byte("hermes-ssh-helper")); bytes.Contains(line, []byte(secret)) {
			t.Errorf("got the secret in %s: %q", name, line)
		}
	}
	if !seen {
		t.Error("the helper is not seen: this test proves nothing")
	}
}
