//go:build linux && (amd64 || arm64)

package dockerbox_test

import (
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/dockerbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest"
)

func edited(filter bool, edit func(*client.ContainerCreateOptions)) func() *sandbox.Sandbox {
	return func() *sandbox.Sandbox {
		return dockerbox.Edited(&dockerbox.Options{Image: shellImage()}, filter, edit)
	}
}

// host changes what the engine is told about the container's place on the host.
func host(edit func(*container.HostConfig)) func() *sandbox.Sandbox {
	return edited(true, func(o *client.ContainerCreateOptions) { edit(o.HostConfig) })
}

func unconfined(o *client.ContainerCreateOptions) {
	o.HostConfig.SecurityOpt = append(o.HostConfig.SecurityOpt, "seccomp=unconfined")
}

const notRoot = "the program is not root, and has no capabilities to lose"

// The process name space cannot be left out: the first process must be the
// first, and nothing starts otherwise.
var walls = []sandboxtest.Wall{
	{Name: "our filter", Without: edited(false, func(*client.ContainerCreateOptions) {}), Attempts: []string{"K1", "K2", "K3", "K4", "K5", "N7", "M8"}},
	{Name: "the engine's filter", Without: edited(true, unconfined), Attempts: []string{"K1", "K2", "K3", "K4", "K5", "N7", "P5"},
		Redundant: "ours refuses more"},
	{Name: "both filters", Without: edited(false, unconfined), Attempts: []string{"K1", "K2", "K4", "P5", "M8"}},
	{Name: "network", Without: host(func(h *container.HostConfig) { h.NetworkMode = "host" }), Attempts: []string{"N1", "N3", "N8", "N10", "N15"}},
	{Name: "ipc", Without: host(func(h *container.HostConfig) { h.IpcMode = "host" }), Attempts: []string{"M2"},
		Redundant: "what others share belongs to them, and the program's user is nobody else's"},
	{Name: "ipc and user", Without: edited(true, func(o *client.ContainerCreateOptions) {
		o.HostConfig.IpcMode, o.Config.User = "host", "0:0"
	}), Attempts: []string{"M2"}},
	{Name: "control groups", Without: host(func(h *container.HostConfig) { h.CgroupnsMode = "host" }), Attempts: []string{"P6", "R1"},
		Redundant: "it hides the names of groups; the limits are those of the group all the same"},
	{Name: "cap-drop", Without: host(func(h *container.HostConfig) { h.CapDrop = nil }), Attempts: []string{"P6", "P8", "P9", "M3", "N9"}, Redundant: notRoot},
	{Name: "no-new-privileges", Without: host(func(h *container.HostConfig) { h.SecurityOpt = nil }), Attempts: []string{"P7"},
		Redundant: "the first process gives them up for itself and all it starts"},
	{Name: "user", Without: edited(true, func(o *client.ContainerCreateOptions) { o.Config.User = "0:0" }), Attempts: []string{"F5", "P6", "P7", "P8", "P9", "M3", "M4", "N9"},
		Redundant: "root without capabilities, behind read-only mounts and the filters, reaches nothing more"},
	{Name: "read-only root", Without: host(func(h *container.HostConfig) { h.ReadonlyRootfs = false }), Attempts: []string{"M4", "R3"},
		Redundant: "the image belongs to root, which the program is not"},
	{Name: "read-only root and user", Without: edited(true, func(o *client.ContainerCreateOptions) {
		o.HostConfig.ReadonlyRootfs, o.Config.User = false, "0:0"
	}), Attempts: []string{"M4", "R3"}},
	{Name: "masked paths", Without: host(func(h *container.HostConfig) { h.MaskedPaths, h.ReadonlyPaths = []string{}, []string{} }), Attempts: []string{"P8", "P9"},
		Redundant: "the kernel's settings belong to root, which the program is not"},
	{Name: "masked paths and user", Without: edited(true, func(o *client.ContainerCreateOptions) {
		o.HostConfig.MaskedPaths, o.HostConfig.ReadonlyPaths, o.Config.User = []string{}, []string{}, "0:0"
	}), Attempts: []string{"P8", "P9"}},
	{Name: "read-only inputs", Without: host(func(h *container.HostConfig) {
		for i := range h.Mounts {
			h.Mounts[i].ReadOnly = h.Mounts[i].ReadOnly && h.Mounts[i].Target != "/ws/inputs"
		}
	}), Attempts: []string{"M5"}},
	{Name: "size of /tmp and /dev/shm", Without: host(func(h *container.HostConfig) {
		h.ShmSize = 4 << 30
		for path, options := range h.Tmpfs {
			h.Tmpfs[path] = options[:strings.LastIndex(options, ",size=")]
		}
	}), Attempts: []string{"R3"}},
}

// TestWalls takes the walls of Docker away one at a time.
func TestWalls(t *testing.T) {
	sandboxtest.Walls(t, func() *sandbox.Sandbox { return withShell(dockerbox.Docker) }, walls)
}
