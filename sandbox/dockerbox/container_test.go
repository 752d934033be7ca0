//go:build linux && (amd64 || arm64)

package dockerbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/dockerbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest"
)

var tokens atomic.Int32

func token() string { return fmt.Sprintf("token%d-%d", os.Getpid(), tokens.Add(1)) }

// processesWith returns the processes of the host that have token in their
// command line.
func processesWith(t *testing.T, token string) (found []string) {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if line, err := os.ReadFile(name); err == nil && bytes.Contains(line, []byte(token)) {
			found = append(found, filepath.Base(filepath.Dir(name)))
		}
	}
	return found
}

// run runs a shell script to its end.
func run(t *testing.T, box *sandbox.Sandbox, spec sandbox.Spec, script string) (string, sandbox.ExitStatus) {
	t.Helper()
	var out bytes.Buffer
	if spec.Argv == nil {
		spec.Argv = []string{"/bin/sh", "-c", script}
	}
	if spec.Workspace == "" {
		spec.Workspace = t.TempDir()
	}
	spec.Stdout, spec.Stderr = &out, &out
	s, err := box.Start(t.Context(), &spec)
	if err != nil {
		t.Fatal(err)
	}
	status, err := s.Wait()
	if err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return out.String(), status
}

func withShell(e dockerbox.Engine) *sandbox.Sandbox {
	return dockerbox.New(&dockerbox.Options{Engine: e, Image: shellImage()})
}

// TestEmptyImage needs no image that anybody has to get.
func TestEmptyImage(t *testing.T) {
	engines(t, func(t *testing.T, e dockerbox.Engine) {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		box := dockerbox.New(&dockerbox.Options{Engine: e})
		spec := sandbox.Spec{Program: self}
		spec.Argv = []string{box.Layout(&spec).Program, "-test.list", "^TestEmptyImage$"}
		if out, status := run(t, box, spec, ""); !status.Success() || !strings.HasPrefix(out, "TestEmptyImage\n") {
			t.Errorf("got %q, %v; want the program to run where there is nothing else", out, status)
		}
	})
}

func TestLimits(t *testing.T) {
	sandboxtest.Long(t)
	engines(t, func(t *testing.T, e dockerbox.Engine) {
		box := withShell(e)
		const hog = "dd if=/dev/zero of=/dev/null bs=256M count=1 2>/dev/null"
		if out, status := run(t, box, sandbox.Spec{Limits: sandbox.Limits{MemoryBytes: 64 << 20}}, hog); status.Code != 137 {
			t.Errorf("256 MiB of 64: got %v, %q; want it killed", status, out)
		}
		if out, status := run(t, box, sandbox.Spec{}, hog); !status.Success() {
			t.Errorf("256 MiB without limit: got %v, %q; want exit 0", status, out)
		}
		const bomb = "i=0; while [ $i -lt 200 ]; do sleep 600 & i=$((i+1)); echo; done 2>/dev/null"
		if out, _ := run(t, box, sandbox.Spec{Limits: sandbox.Limits{Processes: 80}}, bomb); strings.Count(out, "\n") >= 80 || len(out) < 40 {
			t.Errorf("got %d processes of 80, want some, and fewer", strings.Count(out, "\n"))
		}
		if out, _ := run(t, box, sandbox.Spec{}, bomb); strings.Count(out, "\n") < 200 {
			t.Errorf("got %d processes without limit, want 200", strings.Count(out, "\n"))
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		spin := sandbox.Spec{Program: self, Limits: sandbox.Limits{MilliCPUs: 50}}
		spin.Argv = []string{box.Layout(&spin).Program, "sandboxtest-inside", "spin", "2000"}
		out, _ := run(t, box, spin, "")
		if milli, err := strconv.Atoi(strings.TrimSpace(out)); err != nil || milli > 120 {
			t.Errorf("got %q thousandths of a processor, want 50 and at most 120", out)
		}
	})
}

// TestOwner looks who the program is on the host, and whose its files are.
func TestOwner(t *testing.T) {
	engines(t, func(t *testing.T, e dockerbox.Engine) {
		workspace, outputs := t.TempDir(), t.TempDir()
		if err := os.WriteFile(filepath.Join(workspace, "given"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, status := run(t, withShell(e), sandbox.Spec{Workspace: workspace, Outputs: outputs},
			"id -u; whoami; echo y >>given && echo z >made && mkdir folder && echo z >outputs/result")
		uid, name, _ := strings.Cut(strings.TrimSpace(out), "\n")
		if uid == "0" || name != "agent" || !status.Success() {
			t.Errorf("got %q, %v; want agent, who is not root", out, status)
		}
		for _, path := range []string{workspace + "/given", workspace + "/made", workspace + "/folder", outputs + "/result"} {
			info, err := os.Stat(path)
			if err != nil {
				t.Error(err)
			} else if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != os.Geteuid() {
				t.Errorf("got %s owned by %d, want %d", path, owner, os.Geteuid())
			}
		}
	})
}

// TestNoSecrets looks for what the program was given where others can read it.
func TestNoSecrets(t *testing.T) {
	engines(t, func(t *testing.T, e dockerbox.Engine) {
		secret := token()
		s, err := withShell(e).Start(t.Context(), &sandbox.Spec{
			Argv: []string{"/bin/sh", "-c", "sleep 600; true"}, Env: []string{"SECRET=" + secret}, Workspace: t.TempDir(),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if found := processesWith(t, secret); len(found) > 0 {
			t.Errorf("got it in the command lines of %v", found)
		}
		c := dial(t, e)
		list, err := c.ContainerList(t.Context(), client.ContainerListOptions{Filters: make(client.Filters).Add("label", "org.hermesboard.mark="+s.Mark())})
		if err != nil || len(list.Items) != 1 {
			t.Fatalf("got %d containers, %v; want one", len(list.Items), err)
		}
		got, err := c.ContainerInspect(t.Context(), list.Items[0].ID, client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if text, err := json.Marshal(got.Container); err != nil || bytes.Contains(text, []byte(secret)) || !bytes.Contains(text, []byte(s.Mark())) {
			t.Errorf("got %v, or the secret in what the engine knows: %s", err, text)
		}
		if !strings.Contains(environment(t, s.PID()), "HERMES_MARK="+s.Mark()) {
			t.Errorf("got no mark in process %d", s.PID())
		}
	})
}

func environment(t *testing.T, pid int) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestMountedBelow mounts a writable file system below a read-only mount.
func TestMountedBelow(t *testing.T) {
	sandboxtest.Long(t)
	if os.Getuid() != 0 {
		t.Skip("only root can mount")
	}
	engines(t, func(t *testing.T, e dockerbox.Engine) {
		dir := t.TempDir()
		below := filepath.Join(dir, "below")
		if err := os.Mkdir(below, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", below, "tmpfs", 0, "mode=0777"); err != nil {
			t.Skip(err)
		}
		defer unix.Unmount(below, unix.MNT_DETACH)
		run(t, withShell(e), sandbox.Spec{Mounts: []sandbox.Mount{{Host: dir, Inside: "/opt/x"}}}, "echo x >/opt/x/below/made; echo x >/opt/x/made")
		for _, path := range []string{below + "/made", dir + "/made"} {
			if _, err := os.Lstat(path); err == nil {
				t.Errorf("got %s written through a read-only mount", path)
			}
		}
	})
}

// TestVolumes has an image that wants storage on the engine's disk.
func TestVolumes(t *testing.T) {
	sandboxtest.Long(t)
	engines(t, func(t *testing.T, e dockerbox.Engine) {
		archive, err := os.Open(shellImage())
		if err != nil {
			t.Fatal(err)
		}
		defer archive.Close()
		c, name := dial(t, e), "localhost/hermes/volumes:"+token()
		answer, err := c.ImageImport(t.Context(), client.ImageImportSource{Source: archive, SourceName: "-"}, name,
			client.ImageImportOptions{Changes: []string{"VOLUME /data"}})
		if err != nil {
			t.Fatal(err)
		}
		answer.Read(make([]byte, 4096)) // its one line comes when it is done
		answer.Close()
		defer c.ImageRemove(t.Context(), name, client.ImageRemoveOptions{})
		box := dockerbox.New(&dockerbox.Options{Engine: e, Image: name})
		out, _ := run(t, box, sandbox.Spec{Limits: sandbox.Limits{TmpBytes: 1 << 20}}, "head -c 4000000 /dev/zero >/data/fill 2>/dev/null; stat -c %s /data/fill")
		if out != "1048576\n" {
			t.Errorf("got %q bytes written, want 1048576", out)
		}
	})
}

func TestReap(t *testing.T) {
	engines(t, func(t *testing.T, e dockerbox.Engine) {
		living, err := withShell(e).Start(t.Context(), &sandbox.Spec{Argv: []string{"/bin/sh", "-c", "sleep 600; true"}, Workspace: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer living.Close()
		c := dial(t, e)
		leave := func(mark string) string {
			list, err := c.ContainerList(t.Context(), client.ContainerListOptions{})
			if err != nil || len(list.Items) == 0 {
				t.Fatalf("got %d containers, %v; want the living one", len(list.Items), err)
			}
			made, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{
				Config: &container.Config{Image: list.Items[0].ImageID, Cmd: []string{"sleep", "600"}, Labels: map[string]string{
					"org.hermesboard.mark": mark, "org.hermesboard.door": "/run/hermes-box-none",
				}},
				HostConfig: &container.HostConfig{NetworkMode: "none"},
			})
			if err != nil {
				t.Fatal(err)
			}
			return made.ID
		}
		dead, claimed := leave("dead"+token()), leave("claimed")
		exists := func(id string) bool {
			_, err := c.ContainerInspect(t.Context(), id, client.ContainerInspectOptions{})
			return err == nil
		}
		opts := &dockerbox.Options{Engine: e}
		n, err := dockerbox.Reap(t.Context(), opts, func(mark string) bool { return mark == "claimed" })
		if n < 1 || err != nil || exists(dead) || !exists(claimed) || !living.Alive() {
			t.Errorf("got %d removed, %v; dead there %v, claimed there %v, other alive %v", n, err, exists(dead), exists(claimed), living.Alive())
		}
		if n, err := dockerbox.Reap(t.Context(), opts, nil); n < 1 || err != nil || exists(claimed) || !living.Alive() {
			t.Errorf("got %d removed, %v; claimed there %v, other alive %v", n, err, exists(claimed), living.Alive())
		}
	})
}

// TestLeftFolder has a folder of a dead supervisor, with a mount in it.
func TestLeftFolder(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root's folders hold mounts")
	}
	left, kept := "/run/hermes-box-"+token(), t.TempDir()
	file := filepath.Join(kept, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{left, left + "/0", left + "/door"} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount(kept, left+"/0", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(left+"/0", unix.MNT_DETACH)
	dockerbox.Reap(t.Context(), &dockerbox.Options{Address: "unix:///none"}, nil) // the error is the engine's
	if _, err := os.Lstat(left); err == nil {
		t.Error("got the folder left, want it gone")
	}
	if _, err := os.Lstat(file); err != nil {
		t.Errorf("got %v, want what was mounted there untouched", err)
	}
}

// TestPaused kills what the engine has paused, which no signal reaches.
func TestPaused(t *testing.T) {
	sandboxtest.Long(t)
	engines(t, func(t *testing.T, e dockerbox.Engine) {
		token := token()
		s, err := withShell(e).Start(t.Context(), &sandbox.Spec{Argv: []string{"/bin/sh", "-c", "sleep 600; true", token}, Workspace: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c := dial(t, e)
		list, err := c.ContainerList(t.Context(), client.ContainerListOptions{Filters: make(client.Filters).Add("label", "org.hermesboard.mark="+s.Mark())})
		if err != nil || len(list.Items) != 1 {
			t.Fatalf("got %d containers, %v; want one", len(list.Items), err)
		}
		if _, err := c.ContainerPause(t.Context(), list.Items[0].ID, client.ContainerPauseOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
		if left := processesWith(t, token); len(left) > 0 || s.Alive() {
			t.Errorf("got %v left, alive %v; want none", left, s.Alive())
		}
	})
}
