//go:build linux && (amd64 || arm64)

package stage

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
)

// Rights that Landlock knows in folders and files, by the version of the
// kernel's interface that brought them.
const (
	landRead  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	landWrite = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SYM |
		unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	landNodes   = unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK // given nowhere
	landDevices = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	// landFile are the rights that a rule about a file may give.
	landFile = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	landScopes = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
)

// LandlockVersion is the version of the kernel's interface, 0 if it has none.
func LandlockVersion() int {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(version)
}

// handled is what the version lets a rule set be about.
func handled(version int) unix.LandlockRulesetAttr {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: landRead | landWrite | landNodes | landDevices}
	for _, later := range []struct {
		version int
		right   uint64
	}{{2, unix.LANDLOCK_ACCESS_FS_REFER}, {3, unix.LANDLOCK_ACCESS_FS_TRUNCATE}, {5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV}} {
		if version < later.version {
			attr.Handled_access_fs &^= later.right
		}
	}
	if version >= 6 {
		attr.Scoped = landScopes
	}
	return attr
}

// landlock keeps the calling thread, which has given up new privileges, and
// what it starts to the root that the plan described: to read, to write where
// the plan says so. Outside of it nothing can be reached, whatever is mounted
// or open there. Without Landlock in the kernel it does nothing.
func landlock(plan []rootfs.Step) error {
	version := LandlockVersion()
	if version == 0 {
		return nil
	}
	attr := handled(version)
	size := unsafe.Offsetof(attr.Scoped)
	if attr.Scoped != 0 {
		size += unsafe.Sizeof(attr.Scoped)
	}
	if version < 4 { // it knows no network
		size = unsafe.Offsetof(attr.Handled_access_net)
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return fmt.Errorf("make Landlock rules: %w", errno)
	}
	rules := int(fd)
	defer unix.Close(rules)
	allow := func(path string, rights uint64) error {
		return addRule(rules, path, rights&attr.Handled_access_fs)
	}
	if err := allow("/", landRead); err != nil {
		return err
	}
	for _, step := range plan {
		var err error
		switch {
		case step.Kind == rootfs.Dev:
			err = allow(step.Path, landRead|landDevices)
		case step.Kind == rootfs.Tmpfs, step.Kind == rootfs.Bind && step.Writable:
			err = allow(step.Path, landRead|landWrite)
		}
		if err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(rules), 0, 0); errno != 0 {
		return fmt.Errorf("enforce Landlock rules: %w", errno)
	}
	return nil
}

func addRule(rules int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("add Landlock rule for %s: %w", path, err)
	}
	defer unix.Close(fd)
	kind, err := fileType(fd)
	if err != nil {
		return err
	}
	if kind != unix.S_IFDIR {
		rights &= landFile
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
		return fmt.Errorf("add Landlock rule for %s: %w", path, errno)
	}
	return nil
}
