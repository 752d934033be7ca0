//go:build linux && (amd64 || arm64)

package dockerbox_test

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/moby/moby/client"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/dockerbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest"
)

// engines runs a test with each engine that is here; with Docker alone unless
// all is asked for.
func engines(t *testing.T, test func(t *testing.T, e dockerbox.Engine)) {
	if testing.Short() {
		t.Skip("a container takes half a second, and is no place for a program that is linked dynamically")
	}
	if err := sandbox.Supervise(); err != nil {
		t.Fatal(err)
	}
	for _, e := range []dockerbox.Engine{dockerbox.Docker, dockerbox.Podman} {
		t.Run(string(e), func(t *testing.T) {
			if e != dockerbox.Docker {
				sandboxtest.Long(t)
			}
			if report := dockerbox.New(&dockerbox.Options{Engine: e}).Probe(t.Context()); !report.Available {
				if os.Getenv("CI") == "true" {
					t.Fatal(report.Reason)
				}
				t.Skip(report.Reason)
			}
			test(t, e)
		})
	}
}

// address is where an engine that was found listens.
func address(t *testing.T, e dockerbox.Engine) string {
	t.Helper()
	name, usual := "DOCKER_HOST", "unix:///var/run/docker.sock"
	if e == dockerbox.Podman {
		name, usual = "CONTAINER_HOST", "unix:///run/podman/podman.sock"
	}
	if value := os.Getenv(name); value != "" {
		return value
	}
	return usual
}

func dial(t *testing.T, e dockerbox.Engine) *client.Client {
	t.Helper()
	c, err := client.New(client.WithHost(address(t, e)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestNoEngine(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
	mute, err := net.Listen("unix", filepath.Join(dir, "mute"))
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	go func() { // ends with the listener
		for {
			conn, err := mute.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	for address, want := range map[string]string{
		"unix://" + dir + "/none": "no socket there",
		"unix://" + dead:          "nobody listens",
		"unix://" + dir + "/mute": "it does not answer",
		"tcp://127.0.0.1:1":       "not on this host",
		"ssh://somewhere":         "not on this host",
	} {
		for _, e := range []dockerbox.Engine{dockerbox.Docker, dockerbox.Podman} {
			box := dockerbox.New(&dockerbox.Options{Engine: e, Address: address})
			if got := box.Probe(t.Context()); got.Available || !strings.Contains(got.Reason, want) || !strings.Contains(got.Reason, address) {
				t.Errorf("%s at %s: got %+v, want %q", e, address, got, want)
			}
			s, err := box.Start(t.Context(), &sandbox.Spec{Argv: []string{"x"}, Workspace: dir})
			if err == nil {
				s.Close()
			}
			if engineErr := new(dockerbox.EngineError); !errors.As(err, &engineErr) || engineErr.Engine != e || engineErr.Address != address {
				t.Errorf("%s at %s: got %v, want an engine error", e, address, err)
			}
		}
	}
}

// TestForbiddenEngine probes as somebody who may not use the engine.
func TestForbiddenEngine(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Join(dir, "s"), 0o660)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", probeArg, "unix://"+dir+"/s")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "permission denied") || !strings.Contains(string(out), "group docker") {
		t.Errorf("got %q, %v; want who may use the socket", out, err)
	}
}

func TestMissingImage(t *testing.T) {
	engines(t, func(t *testing.T, e dockerbox.Engine) {
		for image, want := range map[string]string{
			"hermes-no-such-image:1":                                 string(e) + " pull hermes-no-such-image:1",
			"hermes-no-such-image@sha256:" + strings.Repeat("0", 64): string(e) + " pull hermes-no-such-image@sha256:",
			"/no/such/archive.tar":                                   "no such file",
		} {
			box, err := dockerbox.New(&dockerbox.Options{Engine: e}).With(sandbox.Settings{Image: image})
			if err != nil {
				t.Fatal(err)
			}
			if got := box.Probe(t.Context()); got.Available || !strings.Contains(got.Reason, want) {
				t.Errorf("got %+v, want %q", got, want)
			}
			s, err := box.Start(t.Context(), &sandbox.Spec{Argv: []string{"x"}, Workspace: t.TempDir()})
			if err == nil {
				s.Close()
			}
			if imageErr := new(dockerbox.ImageError); strings.HasPrefix(image, "hermes") && (!errors.As(err, &imageErr) || imageErr.Image != image) {
				t.Errorf("got %v, want an image error", err)
			}
		}
	})
}

func TestSettings(t *testing.T) {
	box := dockerbox.New(nil)
	var refused *sandbox.SettingError
	if _, err := box.With(sandbox.Settings{Host: "elsewhere"}); !errors.As(err, &refused) || refused.Setting != "host" {
		t.Errorf("got %v, want the setting host refused", err)
	}
}

// relay listens in front of an engine until it is cut.
func relay(t *testing.T, e dockerbox.Engine) (at string, cut func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	keep := func(c net.Conn) { mu.Lock(); conns = append(conns, c); mu.Unlock() }
	behind := strings.TrimPrefix(address(t, e), "unix://")
	go func() { // ends with the listener
		for {
			front, err := listener.Accept()
			if err != nil {
				return
			}
			back, err := net.Dial("unix", behind)
			if err != nil {
				front.Close()
				continue
			}
			keep(front)
			keep(back)
			go func() { io.Copy(back, front); back.Close() }() // end with the connections
			go func() { io.Copy(front, back); front.Close() }()
		}
	}()
	cut = func() {
		listener.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range conns {
			c.Close()
		}
	}
	t.Cleanup(cut)
	return "unix://" + path, cut
}

// TestEngineGone loses the engine while a program runs: its end can be proven
// all the same, and no other is started.
func TestEngineGone(t *testing.T) {
	sandboxtest.Long(t)
	engines(t, func(t *testing.T, e dockerbox.Engine) {
		at, cut := relay(t, e)
		box := dockerbox.New(&dockerbox.Options{Engine: e, Image: shellImage(), Address: at})
		token := token()
		s, err := box.Start(t.Context(), &sandbox.Spec{Argv: []string{"/bin/sh", "-c", "sleep 600 & sleep 600; true", token}, Workspace: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		cut()
		if !s.Alive() || len(processesWith(t, token)) == 0 {
			t.Error("got an end with the engine, want the program to run on")
		}
		if err := s.Signal(syscall.SIGCONT); err != nil {
			t.Errorf("signal: got %v, want nil", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("got %v, want the end proven without the engine", err)
		}
		if left := processesWith(t, token); len(left) > 0 || s.Alive() {
			t.Errorf("got %v left, alive %v; want none", left, s.Alive())
		}
		_, err = box.Start(t.Context(), &sandbox.Spec{Argv: []string{"/bin/true"}, Workspace: t.TempDir()})
		if engineErr := new(dockerbox.EngineError); !errors.As(err, &engineErr) {
			t.Errorf("got %v, want an engine error", err)
		}
	})
}
