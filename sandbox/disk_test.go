package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestWritable counts nothing twice, whatever names it is given by.
func TestWritable(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"ws/outputs", "ws/more", "ws-2", "state", "read"} {
		if err := os.MkdirAll(at(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(at("state"), at("link")); err != nil {
		t.Fatal(err)
	}
	got, err := writable(&Spec{
		Workspace: at("ws"), Outputs: at("ws/outputs"), Inputs: at("read"),
		Mounts: []Mount{{Host: at("ws/more"), Writable: true}, {Host: at("ws-2"), Writable: true}, {Host: at("link"), Writable: true}, {Host: at("state"), Writable: true}, {Host: at("read")}},
	})
	if want := []string{at("state"), at("ws"), at("ws-2")}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if _, err := writable(&Spec{Workspace: at("none")}); err == nil {
		t.Error("got nil for a workspace that is not there, want an error")
	}
}
