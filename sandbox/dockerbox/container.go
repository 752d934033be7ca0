//go:build linux && (amd64 || arm64)

package dockerbox

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
)

// Inside paths. The first process is this very program, and comes in by the
// door: a folder with the socket that it talks to the host by.
const (
	firstPath  = "/run/hermes/first"
	doorPath   = "/run/hermes/door"
	socketName = "s"
)

// Labels by which a container is known as one of ours.
const (
	markLabel = "org.hermesboard.mark"
	doorLabel = "org.hermesboard.door"
)

// defaultTmpBytes bounds each of /tmp, /var/tmp and /run, and shmBytes /dev/shm
// at most.
const (
	defaultTmpBytes = 512 << 20
	shmBytes        = 64 << 20
)

// masked are the files and folders of the kernel that tell about the host or
// act on it: those that engines hide by themselves, and the pressure of its
// load, by which anybody may have the kernel work.
var masked = []string{
	"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/pressure",
	"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
	"/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/selinux",
}

// request describes the container of a spec. Neither arguments nor environment
// are in it: the engine keeps what it is told on disk and shows it to whoever
// asks. The first process gets them by the door.
func (e *engine) request(spec *driver.Spec, from *image, d *door, self string) (client.ContainerCreateOptions, error) {
	mounts, err := e.mounts(spec, d, self)
	if err != nil {
		return client.ContainerCreateOptions{}, err
	}
	uid, gid := owner()
	no := false
	host := &container.HostConfig{
		NetworkMode:    "none",
		CapDrop:        []string{"ALL"},
		SecurityOpt:    []string{"no-new-privileges"},
		ReadonlyRootfs: true,
		IpcMode:        container.IPCModePrivate,
		CgroupnsMode:   container.CgroupnsModePrivate,
		UsernsMode:     "host", // where an engine translates users, ours would not own their files
		LogConfig:      container.LogConfig{Type: "none"},
		RestartPolicy:  container.RestartPolicy{Name: container.RestartPolicyDisabled},
		AutoRemove:     true, // also when nobody is left to do it
		Init:           &no,  // it is ours
		MaskedPaths:    masked,
		Mounts:         mounts,
		Tmpfs:          tmpfs(spec, from),
		ShmSize:        min(tmpBytes(spec), shmBytes),
		Resources:      resources(&spec.Limits),
	}
	if spec.Network == driver.FullNetwork {
		host.NetworkMode = "host"
	}
	if e.kind == Podman {
		host.Ulimits = ownLimits()
		host.UsernsMode = ""
		host.SecurityOpt = append(host.SecurityOpt, "mask="+strings.Join(masked, ":")) // it leaves MaskedPaths out
		if e.rootless {
			host.UsernsMode = "keep-id"
		}
	}
	return client.ContainerCreateOptions{HostConfig: host, Config: &container.Config{
		Image:       from.id,
		Entrypoint:  []string{firstPath},
		Cmd:         []string{},
		User:        fmt.Sprintf("%d:%d", uid, gid),
		WorkingDir:  "/",
		Hostname:    "sandbox",
		Env:         []string{sandbox.MarkVariable + "=" + spec.Mark},
		Labels:      map[string]string{markLabel: spec.Mark, doorLabel: d.dir},
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
	}}, nil
}

func (e *engine) mounts(spec *driver.Spec, d *door, self string) ([]mount.Mount, error) {
	given, err := rootfs.Given(spec)
	if err != nil {
		return nil, err
	}
	given = append(given, rootfs.Step{Path: firstPath, Source: self})
	for i := range given {
		if given[i].Source, err = d.show(&given[i]); err != nil {
			return nil, err
		}
	}
	given = append(given, rootfs.Step{Path: doorPath, Source: d.folder()})
	for _, name := range []string{"passwd", "group"} {
		given = append(given, rootfs.Step{Path: "/etc/" + name, Source: filepath.Join(d.dir, name)})
	}
	var mounts []mount.Mount
	for _, bind := range given {
		mounts = append(mounts, mount.Mount{
			Type: mount.TypeBind, Source: bind.Source, Target: bind.Path, ReadOnly: !bind.Writable,
			// What is mounted below a read-only folder might be writable.
			BindOptions: &mount.BindOptions{NonRecursive: true, Propagation: mount.PropagationRPrivate},
		})
	}
	return mounts, nil
}

func tmpBytes(spec *driver.Spec) int64 {
	if spec.Limits.TmpBytes == 0 {
		return defaultTmpBytes
	}
	return spec.Limits.TmpBytes
}

// tmpfs are the writable places in memory. What an image wants as storage is
// among them, or the engine would make unbounded folders on its disk.
func tmpfs(spec *driver.Spec, from *image) map[string]string {
	all := make(map[string]string)
	size := fmt.Sprintf("size=%d", tmpBytes(spec))
	for _, path := range from.volumes {
		all[path] = "rw,nosuid,nodev,noexec,mode=1777," + size
	}
	all["/tmp"] = "rw,nosuid,nodev,exec,mode=1777," + size
	all["/var/tmp"] = "rw,nosuid,nodev,noexec,mode=1777," + size
	all["/run"] = "rw,nosuid,nodev,noexec,mode=1777," + size
	return all
}

func resources(l *driver.Limits) container.Resources {
	r := container.Resources{Memory: l.MemoryBytes, MemorySwap: l.MemoryBytes}
	if l.MilliCPUs > 0 {
		// The kernel takes quotas of a millisecond and more.
		r.CPUPeriod, r.CPUQuota = 100_000, int64(l.MilliCPUs)*100
		if l.MilliCPUs < 10 {
			r.CPUPeriod, r.CPUQuota = 1_000_000, int64(l.MilliCPUs)*1000
		}
	}
	if l.Processes > 0 {
		most := int64(l.Processes)
		r.PidsLimit = &most
	}
	return r
}

// ownLimits are this process's hard limits, as far as the engine may hand them
// on. Podman would otherwise ask the kernel for more than it may be given.
func ownLimits() []*container.Ulimit {
	var all []*container.Ulimit
	for _, l := range []struct {
		name     string
		resource int
		most     uint64 // podman lowers its own to the kernel's largest process id
	}{{"nofile", unix.RLIMIT_NOFILE, 1 << 20}, {"nproc", unix.RLIMIT_NPROC, 1 << 15}} {
		var own unix.Rlimit
		if unix.Getrlimit(l.resource, &own) == nil {
			hard := int64(min(own.Max, l.most))
			all = append(all, &container.Ulimit{Name: l.name, Soft: hard, Hard: hard})
		}
	}
	return all
}
