//go:build amd64 || arm64

package ocibox

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/process"
	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
	"github.com/hermesboard/hermes/sandbox/ocibox/inside"
)

// specVersion is of the oldest runtimes that are met; nothing newer is used.
const specVersion = "1.0.2"

// initPath is where the container's first program is.
const initPath = "/run/hermes/bin/init"

// bundle is what a session is made of.
type bundle struct {
	spec   *driver.Spec
	plan   []rootfs.Step
	init   string // host path of the first program
	order  inside.Order
	cgroup string // where the runtime shall put the container; empty leaves it to it
	user   identity
	// openDev leaves the folder of the devices writable to its owner, who does
	// not exist inside: gVisor would refuse to open devices for writing.
	openDev bool
}

// identity is how users inside are those of the host.
type identity struct {
	uid, gid   uint32
	uids, gids []specs.LinuxIDMapping
}

// nobody is what root of the container is on the host, which is no one there.
const nobody = 65534

// identify maps the program's user to this process's. Only root can map more
// than one user; another's program is user 0, in name alone.
func identify() identity {
	if os.Geteuid() != 0 {
		zero := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 1}}
		return identity{0, 0, zero, zero}
	}
	uids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: nobody, Size: 1}, {ContainerID: rootfs.UID, HostID: 0, Size: 1}}
	gids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: nobody, Size: 1}, {ContainerID: rootfs.GID, HostID: uint32(os.Getegid()), Size: 1}}
	return identity{rootfs.UID, rootfs.GID, uids, gids}
}

// write makes the root's folders and files, and the configuration, which holds
// the environment and is for this user's eyes only.
func (b *bundle) write(dir folder) error {
	if err := os.Mkdir(dir.root(), 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir.root())
	if err != nil {
		return err
	}
	defer root.Close()
	for _, step := range append(b.plan, rootfs.Step{Kind: rootfs.Bind, Path: initPath, Source: b.init}) {
		if err := place(root, step); err != nil {
			return err
		}
	}
	config, err := json.Marshal(b.config(dir))
	if err != nil {
		return err
	}
	return os.WriteFile(dir.config(), config, 0o600)
}

// place makes what a step mounts on, or the thing itself where it is none to
// be mounted. What lies in a folder of the host or in memory is the runtime's.
func place(root *os.Root, step rootfs.Step) error {
	name := strings.TrimPrefix(step.Path, "/")
	for _, mounted := range []string{"ws/", "proc/", "dev/", "tmp/"} {
		if strings.HasPrefix(name, mounted) {
			return nil
		}
	}
	if name == "" {
		return nil
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	switch step.Kind {
	case rootfs.Symlink:
		return root.Symlink(step.Source, name)
	case rootfs.File:
		return root.WriteFile(name, []byte(step.Content), 0o444)
	case rootfs.Bind:
		info, err := os.Stat(step.Source)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return root.WriteFile(name, nil, 0o444)
		}
	case rootfs.Hide, rootfs.Seal:
		return nil
	}
	return root.MkdirAll(name, 0o755)
}

// settings of the kernel would be writable where the host's user is root: their
// files belong to root and ask for no capability. Those that do not exist are
// passed over.
var settings = []string{
	"/proc/sys", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/pressure", "/proc/acpi", "/proc/asound", "/proc/driver", "/proc/scsi",
}

func (b *bundle) config(dir folder) *specs.Spec {
	c := &specs.Spec{
		Version:  specVersion,
		Hostname: rootfs.Hostname,
		Root:     &specs.Root{Path: dir.root(), Readonly: true},
		Process:  b.process(),
		Linux: &specs.Linux{
			Namespaces:        namespaces(b.spec.Network),
			UIDMappings:       b.user.uids,
			GIDMappings:       b.user.gids,
			CgroupsPath:       b.cgroup,
			RootfsPropagation: "private",
			ReadonlyPaths:     slices.Concat(settings, rootfs.Devices),
		},
	}
	bind := func(source, path, how string) {
		c.Mounts = append(c.Mounts, specs.Mount{Destination: path, Type: "bind", Source: source,
			Options: []string{"rbind", how, "nosuid", "nodev", "private"}})
	}
	for _, step := range b.plan {
		switch step.Kind {
		case rootfs.Bind:
			how := "ro"
			if step.Writable {
				how = "rw"
			}
			bind(step.Source, step.Path, how)
		case rootfs.Hide:
			c.Linux.MaskedPaths = append(c.Linux.MaskedPaths, step.Path)
		case rootfs.Tmpfs:
			c.Mounts = append(c.Mounts, specs.Mount{Destination: step.Path, Type: "tmpfs", Source: "tmpfs",
				Options: []string{"nosuid", "nodev", "mode=1777", fmt.Sprintf("size=%d", step.Bytes)}})
		case rootfs.Proc:
			c.Mounts = append(c.Mounts, specs.Mount{Destination: step.Path, Type: "proc", Source: "proc",
				Options: []string{"nosuid", "nodev", "noexec"}})
		case rootfs.Dev:
			c.Mounts = append(c.Mounts, devices(step.Path, b.openDev)...)
		}
	}
	bind(b.init, initPath, "ro")
	return c
}

// devices are sealed once the runtime has made them.
func devices(path string, open bool) []specs.Mount {
	options := []string{"nosuid", "noexec", "mode=755", "size=65536"}
	if !open {
		options = append(options, "ro")
	}
	return []specs.Mount{
		{Destination: path, Type: "tmpfs", Source: "tmpfs", Options: options},
		{Destination: path + "/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
	}
}

func namespaces(network driver.Network) []specs.LinuxNamespace {
	kinds := []specs.LinuxNamespaceType{
		specs.PIDNamespace, specs.MountNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.UserNamespace, specs.CgroupNamespace,
	}
	if network != driver.FullNetwork {
		kinds = append(kinds, specs.NetworkNamespace) // the runtime brings its loopback up
	}
	all := make([]specs.LinuxNamespace, len(kinds))
	for i, kind := range kinds {
		all[i].Type = kind
	}
	return all
}

func (b *bundle) process() *specs.Process {
	return &specs.Process{
		User:            specs.User{UID: b.user.uid, GID: b.user.gid},
		Args:            b.order.Command(initPath),
		Env:             forInit(environment(b.spec)),
		Cwd:             rootfs.WorkingDir(b.spec),
		Capabilities:    &specs.LinuxCapabilities{},
		NoNewPrivileges: true,
		Rlimits:         rlimits(b.spec.Limits),
	}
}

func environment(spec *driver.Spec) []string {
	return append([]string{sandbox.MarkVariable + "=" + spec.Mark, "PWD=" + rootfs.WorkingDir(spec)}, spec.Env...)
}

// forInit adds to the environment what the container's first program is quicker
// with; the program does not get it.
func forInit(env []string) []string {
	const threads = "GOMAXPROCS="
	if slices.ContainsFunc(env, func(entry string) bool { return strings.HasPrefix(entry, threads) }) {
		return env
	}
	return append(env, threads+"1")
}

// order is what the container's first program is told.
func (b box) order(spec *driver.Spec) inside.Order {
	o := inside.Order{Token: rand.Text(), Deaf: b.Runtime == Runc, Joined: process.SameWriter(spec.Stdout, spec.Stderr), Argv: spec.Argv}
	for _, entry := range environment(spec) {
		key, _, _ := strings.Cut(entry, "=")
		o.Keys = append(o.Keys, key)
	}
	return o
}

// rlimits are never above what this process has, because that takes a
// privilege which even root may lack.
func rlimits(l driver.Limits) []specs.POSIXRlimit {
	var all []specs.POSIXRlimit
	for _, limit := range []struct {
		name     string
		resource int
		value    int64
		set      bool
	}{
		{"RLIMIT_CORE", unix.RLIMIT_CORE, 0, true},
		{"RLIMIT_NOFILE", unix.RLIMIT_NOFILE, int64(l.OpenFiles), l.OpenFiles > 0},
		{"RLIMIT_FSIZE", unix.RLIMIT_FSIZE, l.FileBytes, l.FileBytes > 0},
	} {
		if !limit.set {
			continue
		}
		value := uint64(limit.value)
		var own unix.Rlimit
		if err := unix.Getrlimit(limit.resource, &own); err == nil {
			value = min(value, own.Max)
		}
		all = append(all, specs.POSIXRlimit{Type: limit.name, Soft: value, Hard: value})
	}
	return all
}

// resolveInit is the host path of the first program.
func (b box) resolveInit() (string, error) {
	path := b.Init
	if path == "" {
		var err error
		if path, err = os.Executable(); err != nil {
			return "", err
		}
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "use", Path: path, Err: fs.ErrInvalid}
	}
	return path, err
}
