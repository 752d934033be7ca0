//go:build linux && (amd64 || arm64)

package bwrapbox

import (
	"os"
	"strconv"
	"strings"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/filter"
	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
)

// Layout returns where bwrap mounts the folders of spec.
func (bubblewrap) Layout(spec *driver.Spec) driver.Layout { return rootfs.Layout(spec) }

// arguments builds the options of bwrap, which are applied in order. devices
// is the folder of makeDevices, and the first of files the status pipe.
func arguments(spec *driver.Spec, devices string, files *fdList) ([]string, error) {
	filterFD, err := files.data("filter", filter.Bytes())
	if err != nil {
		return nil, err
	}
	args := []string{
		"--unshare-all", "--unshare-user", "--disable-userns", "--uid", strconv.Itoa(rootfs.UID), "--gid", strconv.Itoa(rootfs.GID),
		"--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", rootfs.Hostname,
		"--seccomp", filterFD, "--json-status-fd", "3", "--clearenv",
	}
	if spec.Network == driver.FullNetwork {
		args = append(args, "--share-net")
	}
	args = append(args, "--setenv", sandbox.MarkVariable, spec.Mark)
	for _, entry := range spec.Env {
		key, value, _ := strings.Cut(entry, "=")
		args = append(args, "--setenv", key, value)
	}
	plan, err := rootfs.Plan(spec)
	if err != nil {
		return nil, err
	}
	for _, step := range plan {
		more, err := stepArguments(step, devices, files)
		if err != nil {
			return nil, err
		}
		args = append(args, more...)
	}
	return append(args, "--chdir", rootfs.WorkingDir(spec)), nil
}

func stepArguments(step rootfs.Step, devices string, files *fdList) ([]string, error) {
	switch step.Kind {
	case rootfs.Bind:
		if step.Writable {
			return []string{"--bind", step.Source, step.Path}, nil
		}
		return []string{"--ro-bind", step.Source, step.Path}, nil
	case rootfs.Hide:
		return []string{"--ro-bind", "/dev/null", step.Path}, nil
	case rootfs.Symlink:
		return []string{"--symlink", step.Source, step.Path}, nil
	case rootfs.File:
		fd, err := files.data(step.Path, []byte(step.Content))
		return []string{"--perms", "0444", "--ro-bind-data", fd, step.Path}, err
	case rootfs.Tmpfs:
		return []string{"--perms", "1777", "--size", strconv.FormatInt(step.Bytes, 10), "--tmpfs", step.Path}, nil
	case rootfs.Proc:
		return procArguments(step.Path), nil
	case rootfs.Dev:
		return append([]string{"--dev", step.Path}, deviceArguments(devices)...), nil
	case rootfs.Seal:
		return []string{"--remount-ro", step.Path}, nil
	default:
		return []string{"--dir", step.Path}, nil
	}
}

// procArguments covers the kernel's settings. Where the host's user is root they
// would be writable: their files belong to root and ask for no capability.
// bwrap itself covers some, if it thinks the folder is writable.
func procArguments(path string) []string {
	args := []string{"--proc", path}
	for _, name := range []string{"/sys", "/fs", "/acpi", "/scsi"} {
		if _, err := os.Stat("/proc" + name); err == nil {
			args = append(args, "--ro-bind", "/proc"+name, path+name)
		}
	}
	return args
}
