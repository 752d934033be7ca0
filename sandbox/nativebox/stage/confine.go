//go:build linux && (amd64 || arm64)

package stage

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/internal/filter"
	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
)

// KeptCap stays with the stage and is lost by every program it starts. It is
// of no use in a user name space; but the kernel lets only those look into a
// process, or trace it, who have all of its capabilities.
const KeptCap = unix.CAP_WAKE_ALARM

// walls are what confine puts up. The order is forced: each needs what the next
// ones take.
var walls = []struct {
	name  string
	build func(plan []rootfs.Step) error
}{
	{"control groups", ownGroups},
	{"capability bounds", func([]rootfs.Step) error { return dropBounds() }},
	{"capabilities", func([]rootfs.Step) error { return dropCapabilities() }},
	{"privileges", noNewPrivileges},
	{"landlock", landlock},
	{"filter", func([]rootfs.Step) error { return filter.Install() }},
}

// confine takes everything from the calling thread, which is locked to its
// goroutine, that the main process must not have.
func confine(o *Orders) error {
	for _, wall := range walls {
		if slices.Contains(o.Without, wall.name) {
			continue
		}
		if err := wall.build(o.Plan); err != nil {
			return err
		}
	}
	return nil
}

// ownGroups makes the child's view of its control group begin where it is.
func ownGroups([]rootfs.Step) error {
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("separate control groups: %w", err)
	}
	return nil
}

func noNewPrivileges([]rootfs.Step) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	return nil
}

// dropBounds makes every capability of this kernel unattainable.
func dropBounds() error {
	last, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(last)))
	if err != nil {
		return err
	}
	for c := range n + 1 {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	return nil
}

// dropCapabilities leaves every thread of the stage with KeptCap alone, which
// is permitted and neither effective nor handed on.
func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{}
	data[KeptCap/32].Permitted = 1 << (KeptCap % 32)
	h, d := uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0]))
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, h, d, 0)
	if errno == unix.ENOTSUP { // built with cgo: it cannot reach the others
		_, _, errno = unix.Syscall(unix.SYS_CAPSET, h, d, 0)
	}
	if errno != 0 {
		return fmt.Errorf("drop capabilities: %w", errno)
	}
	return nil
}
