//go:build linux

package filter

import "golang.org/x/sys/unix"

const nativeArch = unix.AUDIT_ARCH_AARCH64

// Here every older form of a call is absent.
var (
	refusedHere     []call
	conditionalHere []rule
)
