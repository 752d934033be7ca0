//go:build linux && (amd64 || arm64)

package dockerbox

import (
	"os"
	"path/filepath"
	"testing"
)

func TestBoundedBelow(t *testing.T) {
	root := t.TempDir()
	write := func(path, content string) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("box/memory.max", "67108864\n")
	write("box/inner/memory.max", "max\n")
	write("box/cpu.max", "5000 100000\n")
	write("box/pids.max", "max\n")
	write("old/memory.limit_in_bytes", "9223372036854771712\n")
	write("old/cpu.cfs_quota_us", "-1\n")
	write("old/cpu.cfs_period_us", "100000\n")
	write("new/cpu.cfs_quota_us", "150000\n")
	write("new/cpu.cfs_period_us", "100000\n")
	for _, c := range []struct {
		at, file string
		asked    int64
		want     bool
	}{
		{"/box", "memory.max", 64 << 20, true},
		{"/box/inner", "memory.max", 64 << 20, true}, // from above
		{"/box", "memory.max", 32 << 20, false},
		{"/box", "cpu.max", 50, true},
		{"/box", "cpu.max", 49, false},
		{"/box", "pids.max", 100, false},
		{"/box", "hugetlb.max", 100, false},
		{"/old", "memory.limit_in_bytes", 1 << 30, false},
		{"/old", "cpu.cfs_quota_us", 1000, false},
		{"/new", "cpu.cfs_quota_us", 1500, true},
		{"/", "memory.max", 1 << 40, false},
	} {
		if got := boundedBelow(root, c.at, c.file, c.asked); got != c.want {
			t.Errorf("%s of %s against %d: got %v, want %v", c.file, c.at, c.asked, got, c.want)
		}
	}
}

func TestControlGroups(t *testing.T) {
	got := controlGroups("4:cpu,cpuacct:/docker/x\n1:name=systemd:/init\n0::/unified\n2:memory:/../escaped\n")
	for name, want := range map[string]string{"cpu": "/docker/x", "cpuacct": "/docker/x", "": "/unified", "memory": ""} {
		if got[name] != want {
			t.Errorf("%q: got %q, want %q", name, got[name], want)
		}
	}
}
