//go:build linux

package rootfs

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// Inside paths.
const (
	Workspace = "/ws"
	inputs    = "/ws/inputs"
	outputs   = "/ws/outputs"
	hermesDir = "/run/hermes"
	socketDir = hermesDir + "/sock"
	program   = hermesDir + "/bin/hermes"
)

// UID and GID are the program's user and group.
const (
	UID = 1000
	GID = 1000
)

// Hostname is the name of the machine.
const Hostname = "sandbox"

// defaultTmpBytes bounds /tmp, and shmBytes /dev/shm at most.
const (
	defaultTmpBytes = 512 << 20
	shmBytes        = 64 << 20
)

// Kind is what a step makes. Folders on the way to its path are made, too.
type Kind string

// The kinds of steps.
const (
	// Bind shows the host's Source, with all that is mounted below it.
	// Setuid bits and device files have no effect there.
	Bind Kind = "bind"
	// Hide covers a file with the null device.
	Hide Kind = "hide"
	// Symlink makes a symbolic link that reads Source.
	Symlink Kind = "symlink"
	// File makes a read-only file with Content.
	File Kind = "file"
	// Dir makes a folder.
	Dir Kind = "dir"
	// Tmpfs is memory of Bytes at most, writable to everybody.
	Tmpfs Kind = "tmpfs"
	// Proc shows the sandbox's own processes; nothing in it changes the kernel's
	// settings.
	Proc Kind = "proc"
	// Dev holds the devices that every program expects, and pseudo terminals of
	// its own.
	Dev Kind = "dev"
	// Seal makes what is mounted at Path read-only.
	Seal Kind = "seal"
)

// Step is one of a plan. Path is inside and absolute, Source is absolute and
// on the host, except of a symbolic link.
type Step struct {
	Kind     Kind
	Path     string
	Source   string `json:",omitempty"`
	Writable bool   `json:",omitempty"`
	Content  string `json:",omitempty"`
	Bytes    int64  `json:",omitempty"`
}

// Layout returns where the folders of spec are found inside.
func Layout(spec *driver.Spec) driver.Layout {
	ifGiven := func(host, inside string) string {
		if host == "" {
			return ""
		}
		return inside
	}
	return driver.Layout{
		Workspace: Workspace,
		Inputs:    ifGiven(spec.Inputs, inputs),
		Outputs:   ifGiven(spec.Outputs, outputs),
		SocketDir: ifGiven(spec.SocketDir, socketDir),
		Program:   ifGiven(spec.Program, program),
	}
}

// WorkingDir is the inside path of the folder that the program starts in.
func WorkingDir(spec *driver.Spec) string {
	if spec.Dir == "" {
		return Workspace
	}
	return spec.Dir
}

// etc are the files that programs expect; the host's own are not shown.
var etc = []Step{
	{Kind: File, Path: "/etc/passwd", Content: "root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:1000:1000:agent:/ws:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
	{Kind: File, Path: "/etc/group", Content: "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n"},
	{Kind: File, Path: "/etc/hosts", Content: "127.0.0.1 localhost sandbox\n::1 localhost\n"},
	{Kind: File, Path: "/etc/nsswitch.conf", Content: "passwd: files\ngroup: files\nhosts: files dns\n"},
}

// shared are files of the host that hold no secrets and are needed by
// programs in /usr: the linker's cache, links to tools, public certificates.
var shared = []string{
	"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives",
	"/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted",
}

// Devices are the devices of Dev. What is written to goes to the driver, while
// their files are the host's and must not be changed.
var Devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}

// hidden tell about the host or act on it. Most belong to root and ask for no
// capability: where the host's user is root they would be open.
var hidden = []string{
	"/proc/sysrq-trigger", "/proc/kcore", "/proc/keys", "/proc/kpagecgroup", "/proc/kpagecount", "/proc/kpageflags",
	"/proc/timer_list", "/proc/vmallocinfo",
}

// Plan lists the steps for spec. The error matches sandbox.ErrSpec when a
// mount collides with what the sandbox makes.
func Plan(spec *driver.Spec) ([]Step, error) {
	plan, err := system()
	if err != nil {
		return nil, err
	}
	plan = append(plan, etc...)
	public := shared
	if spec.Network == driver.FullNetwork {
		public = append(public[:len(public):len(public)], "/etc/resolv.conf")
	}
	for _, path := range public {
		if host, err := filepath.EvalSymlinks(path); err == nil {
			plan = append(plan, Step{Kind: Bind, Path: path, Source: host})
		}
	}
	plan = append(plan, Step{Kind: Proc, Path: "/proc"})
	for _, path := range hidden {
		if info, err := os.Lstat(path); err == nil && (os.Geteuid() == 0 || info.Mode()&0o006 != 0) {
			plan = append(plan, Step{Kind: Hide, Path: path})
		}
	}
	tmp := spec.Limits.TmpBytes
	if tmp == 0 {
		tmp = defaultTmpBytes
	}
	plan = append(plan,
		Step{Kind: Dev, Path: "/dev"},
		Step{Kind: Tmpfs, Path: "/dev/shm", Bytes: min(tmp, shmBytes)},
		Step{Kind: Seal, Path: "/dev"},
		Step{Kind: Tmpfs, Path: "/tmp", Bytes: tmp},
		Step{Kind: Symlink, Path: "/var/tmp", Source: "../tmp"},
		Step{Kind: Symlink, Path: "/var/run", Source: "../run"},
		Step{Kind: Dir, Path: hermesDir},
	)
	given, err := mounts(spec)
	return append(append(plan, given...), Step{Kind: Seal, Path: "/"}), err
}

// system shows the host's programs.
func system() ([]Step, error) {
	plan := []Step{{Kind: Bind, Path: "/usr", Source: "/usr"}}
	for _, dir := range []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"} {
		info, err := os.Lstat(dir)
		switch {
		case err != nil:
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(dir)
			if err != nil {
				return nil, err
			}
			plan = append(plan, Step{Kind: Symlink, Path: dir, Source: target})
		case info.IsDir():
			plan = append(plan, Step{Kind: Bind, Path: dir, Source: dir})
		}
	}
	return plan, nil
}
