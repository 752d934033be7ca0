//go:build linux && (amd64 || arm64)

package bwrapbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// Inside paths.
const (
	workspaceDir = "/ws"
	inputsDir    = "/ws/inputs"
	outputsDir   = "/ws/outputs"
	hermesDir    = "/run/hermes"
	socketDir    = hermesDir + "/sock"
	programPath  = hermesDir + "/bin/hermes"
)

// defaultTmpBytes bounds /tmp, and shmBytes /dev/shm at most.
const (
	defaultTmpBytes = 512 << 20
	shmBytes        = 64 << 20
)

// Layout returns where bwrap mounts the folders of spec.
func (bubblewrap) Layout(spec *driver.Spec) driver.Layout {
	ifGiven := func(host, inside string) string {
		if host == "" {
			return ""
		}
		return inside
	}
	return driver.Layout{
		Workspace: workspaceDir,
		Inputs:    ifGiven(spec.Inputs, inputsDir),
		Outputs:   ifGiven(spec.Outputs, outputsDir),
		SocketDir: ifGiven(spec.SocketDir, socketDir),
		Program:   ifGiven(spec.Program, programPath),
	}
}

// etc are the files that programs expect; the host's own are not shown.
var etc = []struct{ name, content string }{
	{"passwd", "root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:1000:1000:agent:/ws:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
	{"group", "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n"},
	{"hosts", "127.0.0.1 localhost sandbox\n::1 localhost\n"},
	{"nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
}

// shared are files of the host that hold no secrets and are needed by
// programs in /usr: the linker's cache, links to tools, public certificates.
var shared = []string{
	"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives",
	"/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted",
}

// arguments builds the options of bwrap. They are applied in order.
func arguments(spec *driver.Spec, statusFD string, files *fdList) ([]string, error) {
	filterFD, err := files.data("filter", filterBytes())
	if err != nil {
		return nil, err
	}
	args := []string{
		"--unshare-all", "--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000",
		"--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "sandbox",
		"--seccomp", filterFD, "--json-status-fd", statusFD, "--clearenv",
	}
	if spec.Network == driver.FullNetwork {
		args = append(args, "--share-net")
	}
	args = append(args, "--setenv", sandbox.MarkVariable, spec.Mark)
	for _, entry := range spec.Env {
		key, value, _ := strings.Cut(entry, "=")
		args = append(args, "--setenv", key, value)
	}
	system, err := systemArguments(spec, files)
	if err != nil {
		return nil, err
	}
	args = append(args, system...)
	mounts, err := mountArguments(spec)
	if err != nil {
		return nil, err
	}
	args = append(args, mounts...)
	dir := spec.Dir
	if dir == "" {
		dir = workspaceDir
	}
	return append(args, "--remount-ro", "/", "--chdir", dir), nil
}

// systemArguments makes the part of the tree that is the same for every spec.
func systemArguments(spec *driver.Spec, files *fdList) ([]string, error) {
	args := []string{"--ro-bind", "/usr", "/usr"}
	for _, dir := range []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"} {
		info, err := os.Lstat(dir)
		switch {
		case err != nil:
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(dir)
			if err != nil {
				return nil, err
			}
			args = append(args, "--symlink", target, dir)
		case info.IsDir():
			args = append(args, "--ro-bind", dir, dir)
		}
	}
	for _, file := range etc {
		fd, err := files.data(file.name, []byte(file.content))
		if err != nil {
			return nil, err
		}
		args = append(args, "--perms", "0444", "--ro-bind-data", fd, "/etc/"+file.name)
	}
	public := shared
	if spec.Network == driver.FullNetwork {
		public = append(public[:len(public):len(public)], "/etc/resolv.conf")
	}
	for _, path := range public {
		if host, err := filepath.EvalSymlinks(path); err == nil {
			args = append(args, "--ro-bind", host, path)
		}
	}
	tmp := spec.Limits.TmpBytes
	if tmp == 0 {
		tmp = defaultTmpBytes
	}
	// Where the host's user is root, the kernel's settings would be writable
	// through the new /proc: their files belong to root and ask for no
	// capability. bwrap covers them only if it thinks the folder is writable.
	args = append(args, "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys")
	if _, err := os.Lstat("/proc/sysrq-trigger"); err == nil {
		args = append(args, "--ro-bind", "/dev/null", "/proc/sysrq-trigger")
	}
	return append(args, "--dev", "/dev",
		"--perms", "1777", "--size", strconv.FormatInt(min(tmp, shmBytes), 10), "--tmpfs", "/dev/shm",
		"--remount-ro", "/dev",
		"--perms", "1777", "--size", strconv.FormatInt(tmp, 10), "--tmpfs", "/tmp",
		"--dir", "/var", "--symlink", "../tmp", "/var/tmp", "--symlink", "../run", "/var/run",
		"--dir", hermesDir,
	), nil
}

// mountArguments binds the folders of the spec.
func mountArguments(spec *driver.Spec) ([]string, error) {
	args := []string{"--bind", spec.Workspace, workspaceDir}
	for _, m := range []struct{ how, host, inside string }{
		{"--ro-bind", spec.Inputs, inputsDir},
		{"--bind", spec.Outputs, outputsDir},
		{"--ro-bind", spec.SocketDir, socketDir},
		{"--ro-bind", spec.Program, programPath},
	} {
		if m.host != "" {
			args = append(args, m.how, m.host, m.inside)
		}
	}
	for _, m := range spec.Mounts {
		inside := m.Inside
		if inside == "" {
			inside = m.Host
		}
		if err := checkInside(inside); err != nil {
			return nil, err
		}
		host, err := resolveMount(m.Host)
		if err != nil {
			return nil, err
		}
		how := "--ro-bind"
		if m.Writable {
			how = "--bind"
		}
		args = append(args, how, host, inside)
	}
	return args, nil
}

// checkInside refuses mounts over, inside or around what the sandbox makes.
func checkInside(inside string) error {
	for _, own := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/dev", "/sys", workspaceDir, hermesDir} {
		if inside == own || strings.HasPrefix(inside, own+"/") || strings.HasPrefix(own+"/", strings.TrimSuffix(inside, "/")+"/") {
			return fmt.Errorf("%w: mount at %s collides with the sandbox's own %s", sandbox.ErrSpec, inside, own)
		}
	}
	for _, own := range []string{"/etc", "/tmp", "/var"} {
		if inside == own {
			return fmt.Errorf("%w: mount at %s hides the sandbox's own", sandbox.ErrSpec, inside)
		}
	}
	return nil
}

// resolveMount follows links on the host. Only folders and regular files are
// given: a socket or device is a door to the program behind it.
func resolveMount(host string) (string, error) {
	path, err := filepath.EvalSymlinks(host)
	if err != nil {
		return "", fmt.Errorf("mount: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("mount: %w", err)
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%w: mount %s is neither a folder nor a regular file", sandbox.ErrSpec, host)
	}
	return path, nil
}

// prepareFolders checks that the folders of the spec are folders, and makes
// the two places in the workspace where others are mounted. An earlier program
// may have left a link there, which bwrap would follow.
func prepareFolders(spec *driver.Spec) error {
	for _, dir := range []string{spec.Workspace, spec.Inputs, spec.Outputs, spec.SocketDir} {
		if dir == "" {
			continue
		}
		info, err := os.Lstat(dir)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%w: %s is not a folder", sandbox.ErrSpec, dir)
		}
	}
	if spec.Program != "" {
		if info, err := os.Stat(spec.Program); err != nil {
			return err
		} else if !info.Mode().IsRegular() {
			return fmt.Errorf("%w: %s is not a regular file", sandbox.ErrSpec, spec.Program)
		}
	}
	root, err := os.OpenRoot(spec.Workspace)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, m := range []struct{ host, inside string }{{spec.Inputs, inputsDir}, {spec.Outputs, outputsDir}} {
		if m.host == "" {
			continue
		}
		name := filepath.Base(m.inside)
		info, err := root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			err = root.Mkdir(name, 0o755)
		} else if err == nil && !info.IsDir() {
			err = fmt.Errorf("%w: %s in the workspace is not a folder", sandbox.ErrSpec, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
