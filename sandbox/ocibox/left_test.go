//go:build linux && (amd64 || arm64)

package ocibox

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSweep removes what a dead supervisor left, also the control groups that
// runc wrote down, and nothing that somebody holds.
func TestSweep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sessions")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	left, held := filepath.Join(dir, "left"), filepath.Join(dir, "held")
	for _, path := range []string{left, held} {
		state := filepath.Join(path, "state", "mark")
		if err := os.MkdirAll(state, 0o700); err != nil {
			t.Fatal(err)
		}
		record, err := json.Marshal(map[string]any{"cgroup_paths": map[string]string{"a": "/sys/fs/cgroup/no-such-group", "b": t.TempDir()}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(state, "state.json"), record, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lock, err := lockFolder(held, unix.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := sweep(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v for what a dead one left, want it gone", err)
	}
	if _, err := os.Stat(held); err != nil {
		t.Errorf("got %v for what somebody holds, want it there", err)
	}
}

// TestForeignFolder refuses a folder that others can look into.
func TestForeignFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		f, err := makeFolder("mark")
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(f.path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("got %v, %v; want 0700", info.Mode(), err)
		}
		for range 2 {
			if err := f.remove(); err != nil {
				t.Error(err)
			}
		}
		return
	}
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	if _, err := folders(); err != nil {
		t.Fatal(err)
	}
	made, err := filepath.Glob(filepath.Join(dir, "hermes-oci-*"))
	if err != nil || len(made) != 1 {
		t.Fatalf("got %v, %v; want one folder", made, err)
	}
	if err := os.Chmod(made[0], 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := makeFolder("mark"); err == nil {
		t.Error("got a session in a folder that others can look into, want an error")
	}
}
