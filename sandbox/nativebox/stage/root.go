//go:build linux && (amd64 || arm64)

package stage

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
)

// A root is built in two halves. First, with the host's files in sight, every
// mount is made and given its attributes, without a place. Then the root takes
// the place of the host's, and the mounts find theirs in it. No path leads
// through a folder that a program of the sandbox could have put a link into,
// and there is no moment at which something is mounted but not yet restricted.

const (
	nullDevice = "/dev/null"
	terminals  = "256" // at most, because the host has a few thousand for all
	baseAttr   = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	// pageBytes is the least that a file in memory takes.
	pageBytes = 4 << 10
)

// piece is a mount and where it belongs.
type piece struct {
	path   string
	mount  int  // a descriptor of it
	folder bool // it is mounted on a folder, not on a file
}

// devLinks are the usual names of what a program has open.
var devLinks = []rootfs.Step{
	{Path: "/dev/fd", Source: "/proc/self/fd"},
	{Path: "/dev/stdin", Source: "/proc/self/fd/0"},
	{Path: "/dev/stdout", Source: "/proc/self/fd/1"},
	{Path: "/dev/stderr", Source: "/proc/self/fd/2"},
	{Path: "/dev/ptmx", Source: "pts/ptmx"},
}

// buildRoot leaves the process in the root that the plan describes.
func buildRoot(o *Orders) error {
	plan := o.Plan
	writableProc := slices.Contains(o.Without, readOnlyProc)
	// What is mounted on the host later must not appear inside, nor the
	// reverse.
	private := &unix.MountAttr{Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, private); err != nil {
		return fmt.Errorf("separate mounts from the host's: %w", err)
	}
	root, err := newTmpfs(1<<20, "0755")
	if err != nil {
		return fmt.Errorf("make root: %w", err)
	}
	pieces := make([][]piece, len(plan))
	for i, step := range plan {
		if pieces[i], err = prepare(step, writableProc); err != nil {
			return fmt.Errorf("prepare %s: %w", step.Path, err)
		}
	}
	if err := enter(root); err != nil {
		return err
	}
	unix.Close(root)
	for i, step := range plan {
		if err := carryOut(step, pieces[i]); err != nil {
			return fmt.Errorf("make %s: %w", step.Path, err)
		}
	}
	return nil
}

// prepare makes the mounts of a step.
func prepare(step rootfs.Step, writableProc bool) ([]piece, error) {
	one := func(fd int, err error, folder bool) ([]piece, error) { return []piece{{step.Path, fd, folder}}, err }
	switch step.Kind {
	case rootfs.Bind:
		attr := uint64(baseAttr)
		if !step.Writable {
			attr |= unix.MOUNT_ATTR_RDONLY
		}
		fd, folder, err := clone(step.Source, attr)
		return one(fd, err, folder)
	case rootfs.Hide:
		fd, _, err := clone(nullDevice, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
		return one(fd, err, false)
	case rootfs.Tmpfs:
		fd, err := newTmpfs(step.Bytes, "1777")
		return one(fd, err, true)
	case rootfs.Proc:
		fd, err := newProc(writableProc)
		return one(fd, err, true)
	case rootfs.Dev:
		return prepareDev(step.Path)
	default:
		return nil, nil
	}
}

func prepareDev(path string) ([]piece, error) {
	dev, err := newTmpfs(64<<10, "0755")
	if err != nil {
		return nil, err
	}
	pieces := []piece{{path, dev, true}}
	for _, device := range rootfs.Devices {
		fd, _, err := clone(device, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, piece{device, fd, false})
	}
	pts, err := newFS("devpts", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC, "ptmxmode", "0666", "mode", "0620", "max", terminals)
	return append(pieces, piece{path + "/pts", pts, true}), err
}

// clone copies a mount of the host, with all below it, to a descriptor.
func clone(source string, attr uint64) (fd int, folder bool, err error) {
	fd, err = unix.OpenTree(unix.AT_FDCWD, source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE|unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return -1, false, fmt.Errorf("open %s: %w", source, err)
	}
	set := &unix.MountAttr{Attr_set: attr, Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, set); err != nil {
		return -1, false, fmt.Errorf("restrict %s: %w", source, err)
	}
	kind, err := fileType(fd)
	return fd, kind == unix.S_IFDIR, err
}

func fileType(fd int) (uint32, error) {
	var stat unix.Stat_t
	err := unix.Fstat(fd, &stat)
	return stat.Mode & unix.S_IFMT, err
}

// newFS makes a file system of its own with options, which are key and value
// in turn.
func newFS(kind string, attr int, options ...string) (mount int, err error) {
	context, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("make %s: %w", kind, err)
	}
	defer unix.Close(context)
	for i := 0; i < len(options); i += 2 {
		if err := unix.FsconfigSetString(context, options[i], options[i+1]); err != nil {
			return -1, fmt.Errorf("make %s with %s=%s: %w", kind, options[i], options[i+1], err)
		}
	}
	if err := unix.FsconfigCreate(context); err != nil {
		return -1, fmt.Errorf("make %s: %w", kind, err)
	}
	if mount, err = unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, attr); err != nil {
		return -1, fmt.Errorf("mount %s: %w", kind, err)
	}
	return mount, nil
}

// newTmpfs bounds the number of files, too: each takes memory of the kernel.
func newTmpfs(bytes int64, mode string) (mount int, err error) {
	return newFS("tmpfs", baseAttr, "size", fmt.Sprint(bytes), "nr_inodes", fmt.Sprint(1024+bytes/pageBytes), "mode", mode)
}

// readOnlyProc is a wall like those of confine.
const readOnlyProc = "read-only proc"

// newProc also forbids further user name spaces for good: raising the number
// takes a capability that no program of the sandbox has.
func newProc(writable bool) (mount int, err error) {
	mount, err = newFS("proc", baseAttr|unix.MOUNT_ATTR_NOEXEC)
	if errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("%w (parts of /proc may be covered here, as they are in a container)", err)
	}
	if err != nil {
		return -1, err
	}
	const spaces = "sys/user/max_user_namespaces"
	fd, err := unix.Openat(mount, spaces, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Write(fd, []byte("0\n"))
		unix.Close(fd)
	}
	if err != nil {
		return -1, fmt.Errorf("set %s: %w", spaces, err)
	}
	if writable {
		return mount, nil
	}
	return mount, unix.MountSetattr(mount, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

// enter makes a mount the root of this process and lets go of the old one.
func enter(root int) error {
	// Any folder that is always there will do for the moment.
	if err := attach(root, unix.AT_FDCWD, "/usr"); err != nil {
		return fmt.Errorf("attach root: %w", err)
	}
	if err := unix.Fchdir(root); err != nil {
		return fmt.Errorf("enter root: %w", err)
	}
	// The old root ends up on top of the new one, and is taken away.
	if err := unix.PivotRoot(".", "."); err != nil {
		if errors.Is(err, unix.EINVAL) {
			err = fmt.Errorf("%w (the root of this host may be its initial ramdisk)", err)
		}
		return fmt.Errorf("change root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of the host's root: %w", err)
	}
	return unix.Chdir("/")
}

func attach(mount, dir int, path string) error {
	flags := unix.MOVE_MOUNT_F_EMPTY_PATH
	if path == "" {
		flags |= unix.MOVE_MOUNT_T_EMPTY_PATH
	}
	return unix.MoveMount(mount, "", dir, path, flags)
}

// carryOut makes what a step wants in the new root.
func carryOut(step rootfs.Step, pieces []piece) error {
	for _, p := range pieces {
		if err := p.attach(); err != nil {
			return err
		}
	}
	switch step.Kind {
	case rootfs.Dir:
		fd, err := place(step.Path, true)
		unix.Close(fd)
		return err
	case rootfs.Symlink:
		return makeLink(step)
	case rootfs.File:
		return makeFile(step)
	case rootfs.Seal:
		return unix.MountSetattr(unix.AT_FDCWD, step.Path, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	case rootfs.Dev:
		for _, link := range devLinks {
			if err := makeLink(link); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p piece) attach() error {
	target, err := place(p.path, p.folder)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	if err := attach(p.mount, target, ""); err != nil {
		return fmt.Errorf("mount on %s: %w", p.path, err)
	}
	return unix.Close(p.mount)
}

func makeLink(step rootfs.Step) error {
	dir, name, err := placeParent(step.Path)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return unix.Symlinkat(step.Source, dir, name)
}

func makeFile(step rootfs.Step) error {
	dir, name, err := placeParent(step.Path)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o444)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(step.Content))
	return err
}

// place opens a folder or regular file of the new root. What is missing on the
// way to it is made; links are not followed.
func place(path string, folder bool) (fd int, err error) {
	dir, name, err := placeParent(path)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	if folder {
		return enterFolder(dir, name)
	}
	fd, err = unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o444)
	if err == nil {
		unix.Close(fd)
	} // otherwise the next call says whether it was there already
	fd, err = unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if kind, err := fileType(fd); err != nil || kind != unix.S_IFREG {
		unix.Close(fd)
		return -1, fmt.Errorf("%s is not a regular file", path)
	}
	return fd, nil
}

// placeParent opens the folder that path is in.
func placeParent(path string) (dir int, name string, err error) {
	if dir, err = unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return -1, "", err
	}
	names := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for _, name := range names[:len(names)-1] {
		next, err := enterFolder(dir, name)
		unix.Close(dir)
		if err != nil {
			return -1, "", err
		}
		dir = next
	}
	return dir, names[len(names)-1], nil
}

// enterFolder makes the folder if there is nothing of that name.
func enterFolder(dir int, name string) (fd int, err error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	if fd, err = unix.Openat(dir, name, flags, 0); !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	if err := unix.Mkdirat(dir, name, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, err
	}
	return unix.Openat(dir, name, flags, 0)
}
