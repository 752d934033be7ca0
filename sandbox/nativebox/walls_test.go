//go:build linux && (amd64 || arm64)

package nativebox_test

import (
	"slices"
	"syscall"
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
	"github.com/hermesboard/hermes/sandbox/nativebox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest"
)

func changed(c nativebox.Change) func() *sandbox.Sandbox {
	return func() *sandbox.Sandbox {
		return nativebox.Changed(&nativebox.Options{Cgroups: sandbox.DetectCgroups()}, c)
	}
}

func without(names ...string) func() *sandbox.Sandbox {
	return changed(nativebox.Change{Walls: names})
}

func sharing(space uintptr) func() *sandbox.Sandbox {
	return changed(nativebox.Change{Spaces: space})
}

// planned changes each step of the plan of the files.
func planned(change func(*rootfs.Step)) func() *sandbox.Sandbox {
	return changed(nativebox.Change{Plan: func(plan []rootfs.Step) []rootfs.Step {
		plan = slices.Clone(plan)
		for i := range plan {
			change(&plan[i])
		}
		return plan
	}})
}

// unsealed leaves a place writable that is sealed when it is ready.
func unsealed(path string) func() *sandbox.Sandbox {
	return changed(nativebox.Change{Walls: []string{"landlock"}, Plan: func(plan []rootfs.Step) []rootfs.Step {
		return slices.DeleteFunc(slices.Clone(plan), func(s rootfs.Step) bool { return s.Kind == rootfs.Seal && s.Path == path })
	}})
}

func writable(path string) func(*rootfs.Step) {
	return func(s *rootfs.Step) {
		if s.Kind == rootfs.Bind && s.Path == path {
			s.Writable = true
		}
	}
}

// The name spaces of users, mounts, processes and host names cannot be left
// out: a stage fails without them, and so it does without giving up new privileges,
// which Landlock and the filter ask for.
var wallsHere = []sandboxtest.Wall{
	{Name: "filter", Without: without("filter"), Attempts: []string{"K1", "K2", "K3", "K4", "K5", "K6", "N7", "M8"}},
	{Name: "landlock", Without: without("landlock"), Attempts: []string{"F1", "F7", "F13", "P2", "N3", "M4", "R3"},
		Redundant: "it is the second fence behind mounts and name spaces, which TestSecondFence shows to hold alone"},
	{Name: "capabilities", Without: without("capabilities", "capability bounds"), Attempts: []string{"P5", "P6", "P8", "P9", "M3", "N9"},
		Redundant: "they belong to a user name space that owns nothing of the host, and the filter and Landlock refuse what they allow"},
	{Name: "capabilities, landlock and filter", Without: without("capabilities", "capability bounds", "landlock", "filter"), Attempts: []string{"P5", "P6"}},
	{Name: "cgroup name space", Without: without("control groups"), Attempts: []string{"P6", "R1"},
		Redundant: "no file system of control groups is mounted inside; it hides the names of groups"},
	{Name: "network name space", Without: sharing(syscall.CLONE_NEWNET), Attempts: []string{"N1", "N8", "N10", "N15"}},
	{Name: "ipc name space", Without: sharing(syscall.CLONE_NEWIPC), Attempts: []string{"M2"}},
	{Name: "read-only kernel settings", Without: without("read-only proc"), Attempts: []string{"P8", "P9"},
		Redundant: "Landlock refuses to write there, too"},
	{Name: "read-only kernel settings and landlock", Without: without("read-only proc", "landlock"), Attempts: []string{"P8", "P9"}},
	{Name: "read-only system", Without: planned(writable("/usr")), Attempts: []string{"M4"}},
	{Name: "read-only inputs", Without: planned(writable("/ws/inputs")), Attempts: []string{"M5"}},
	{Name: "sealed root and landlock", Without: unsealed("/"), Attempts: []string{"R3"},
		Redundant: "the root holds a megabyte at most, which is what the attempt is allowed"},
	{Name: "size of /tmp and /dev/shm", Without: planned(func(s *rootfs.Step) {
		if s.Kind == rootfs.Tmpfs {
			s.Bytes = 1 << 40
		}
	}), Attempts: []string{"R3"}},
}

// TestWalls takes the walls away one at a time.
func TestWalls(t *testing.T) { sandboxtest.Walls(t, grouped, wallsHere) }
