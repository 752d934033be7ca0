//go:build linux && (amd64 || arm64)

package bwrapbox_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/bwrapbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest"
)

// edited makes the backend with other options for bwrap.
func edited(edit func([]string) []string) func() *sandbox.Sandbox {
	return func() *sandbox.Sandbox {
		return bwrapbox.Edited(&bwrapbox.Options{Cgroups: sandbox.DetectCgroups()}, edit)
	}
}

// without removes an option and what belongs to it, wherever it begins with
// the words given.
func without(length int, words ...string) func() *sandbox.Sandbox {
	return edited(func(options []string) []string {
		for i := 0; i+len(words) <= len(options); i++ {
			if slices.Equal(options[i:i+len(words)], words) {
				options = slices.Delete(slices.Clone(options), i, i+length)
				i--
			}
		}
		return options
	})
}

// sharing replaces the namespaces that are all made anew by all but some.
func sharing(names ...string) func() *sandbox.Sandbox {
	return edited(func(options []string) []string {
		var out []string
		for i := 0; i < len(options); i++ {
			switch o := options[i]; {
			case o == "--unshare-all":
				for _, name := range []string{"ipc", "pid", "net", "uts", "cgroup"} {
					if !slices.Contains(names, name) {
						out = append(out, "--unshare-"+name)
					}
				}
			case slices.Contains(names, "user") && (o == "--unshare-user" || o == "--disable-userns"):
			case slices.Contains(names, "user") && (o == "--uid" || o == "--gid"), slices.Contains(names, "uts") && o == "--hostname":
				i++
			default:
				out = append(out, o)
			}
		}
		return out
	})
}

// writable binds one place of the sandbox, or all whose name begins so, for
// writing.
func writable(inside string) func() *sandbox.Sandbox {
	return edited(func(options []string) []string {
		options = slices.Clone(options)
		for i, o := range options {
			if o == "--ro-bind" && i+2 < len(options) && strings.HasPrefix(options[i+2], inside) {
				options[i] = "--bind"
			}
		}
		return options
	})
}

var walls = []sandboxtest.Wall{
	{Name: "seccomp", Without: without(2, "--seccomp"), Attempts: []string{"K1", "K2", "K3", "K4", "K5", "K6", "K7", "N7", "M8"}},
	{Name: "process namespace", Without: sharing("pid"), Attempts: []string{"P1", "P2", "P4"}},
	{Name: "network namespace", Without: sharing("net"), Attempts: []string{"N1", "N3", "N6", "N8", "N10", "N15"}},
	{Name: "ipc namespace", Without: sharing("ipc"), Attempts: []string{"M2"}},
	{Name: "host name namespace", Without: sharing("uts"), Attempts: []string{"M3"},
		Redundant: "the filter refuses sethostname, and a name needs a capability; it hides the host's name"},
	{Name: "cgroup namespace", Without: sharing("cgroup"), Attempts: []string{"P6", "R1"},
		Redundant: "no file system of control groups is mounted inside; it hides the names of groups"},
	{Name: "user namespace", Without: sharing("user"), Attempts: []string{"F5", "P6", "P7", "P8", "P9", "M3", "M4", "N9"},
		Redundant: "without capabilities, and behind the filter and read-only mounts, the host's user id reaches nothing more"},
	{Name: "disable-userns", Without: without(1, "--disable-userns"), Attempts: []string{"P5"},
		Redundant: "the filter refuses new namespaces, too"},
	{Name: "disable-userns and seccomp", Without: edited(func(options []string) []string {
		i := slices.Index(options, "--seccomp")
		options = slices.Delete(slices.Clone(options), i, i+2)
		return slices.DeleteFunc(options, func(o string) bool { return o == "--disable-userns" })
	}), Attempts: []string{"P5"}},
	{Name: "cap-drop", Without: without(2, "--cap-drop"), Attempts: []string{"P6", "P8", "P9", "M3", "N9"},
		Redundant: "a user id other than 0 of a new user namespace has no capabilities after exec"},
	{Name: "new-session", Without: without(1, "--new-session"), Attempts: []string{"K8"},
		Redundant: "the supervisor starts bwrap in a session of its own, without a terminal"},
	{Name: "clearenv", Without: without(1, "--clearenv"), Attempts: []string{"M1"},
		Redundant: "bwrap itself is started with nothing but the mark"},
	{Name: "read-only system", Without: writable("/usr"), Attempts: []string{"M4"}},
	{Name: "read-only kernel settings", Without: writable("/proc"), Attempts: []string{"P8", "P9"}},
	{Name: "read-only inputs", Without: writable("/ws/inputs"), Attempts: []string{"M5"}},
	{Name: "sealed root", Without: without(2, "--remount-ro", "/"), Attempts: []string{"R3"}},
	{Name: "sealed /dev", Without: without(2, "--remount-ro", "/dev"), Attempts: []string{"R3"}},
	{Name: "size of /tmp and /dev/shm", Without: without(2, "--size"), Attempts: []string{"R3"}},
}

// TestWalls takes the walls away one at a time.
func TestWalls(t *testing.T) {
	sandboxtest.Walls(t, grouped, walls)
}
