//go:build amd64 || arm64

package ocibox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/enclosed"
	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
)

type box struct {
	Options
	image string // empty is the host's own system
}

func (b box) Name() string { return string(b.Runtime) }

func (b box) Cgroup(mark string) string { return b.Cgroups.Path(mark) }

func (b box) Layout(spec *driver.Spec) driver.Layout { return rootfs.Layout(spec) }

func (b box) Capabilities() driver.Capabilities {
	caps := b.Cgroups.Capabilities() | driver.Files | driver.NetworkNone | driver.NetworkProxy | driver.Processes |
		driver.Users | driver.Syscalls | driver.LimitTmp | driver.LimitOpenFiles | driver.LimitFileSize | driver.Socket
	if b.Runtime == Runc {
		return caps | driver.NetworkFull
	}
	caps &^= driver.LimitProcesses // its processes are not the host's
	if os.Geteuid() != 0 {
		caps &^= driver.LimitTmp // /dev belongs to user 0, which the program is
	}
	return caps
}

// With honours an image and refuses every other setting.
func (b box) With(set driver.Settings) (driver.Driver, error) {
	for _, name := range set.Given() {
		if name != "image" {
			return nil, &driver.SettingError{Driver: b.Name(), Setting: name, Reason: "only an image can be chosen"}
		}
	}
	if set.Image != "" && (!filepath.IsAbs(set.Image) || filepath.Clean(set.Image) != set.Image) {
		return nil, &driver.SettingError{Driver: b.Name(), Setting: "image", Reason: fmt.Sprintf(
			"%q is not the clean absolute path of a folder or of a tar archive; nothing is fetched from a registry, export one with: docker export $(docker create IMAGE) -o image.tar",
			set.Image)}
	}
	b.image = set.Image
	return b, nil
}

// program is what is looked up in PATH.
func (b box) program() string {
	if b.Runtime == GVisor {
		return "runsc"
	}
	return "runc"
}

// find returns the path of the runtime.
func (b box) find() (string, error) {
	path := b.Path
	if path == "" {
		var err error
		if path, err = exec.LookPath(b.program()); err != nil {
			return "", fmt.Errorf("%s is not installed (Debian, Ubuntu: apt-get install %[1]s): %w", b.program(), err)
		}
	}
	_, err := enclosed.Unshare()
	return path, err
}

// flags are the runtime's global options for a session whose folder is dir.
func (b box) flags(dir folder) []string {
	if b.Runtime == Runc {
		return []string{"--root", dir.state(), "--log", dir.log(), "--log-format", "json"}
	}
	flags := []string{"--root", dir.state(), "--log", dir.log(), "--log-format", "json",
		"--network", "none", "--host-uds", "open", "--ignore-cgroups"}
	if os.Geteuid() != 0 {
		flags = append(flags, "--rootless")
	}
	return flags
}

// version is the first line of what the runtime says of itself.
func version(out []byte) string {
	line, _, _ := strings.Cut(string(out), "\n")
	if i := strings.LastIndexByte(line, ' '); i >= 0 {
		line = line[i+1:]
	}
	return line
}
