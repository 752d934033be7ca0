//go:build linux && (amd64 || arm64)

package stage

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestHandled asks for nothing that a kernel of the version does not know: it
// would refuse all rules.
func TestHandled(t *testing.T) {
	const (
		first    = 1<<13 - 1 // the rights of version 1
		refer    = unix.LANDLOCK_ACCESS_FS_REFER
		truncate = unix.LANDLOCK_ACCESS_FS_TRUNCATE
		devices  = unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	)
	for version, want := range map[int]unix.LandlockRulesetAttr{
		1: {Handled_access_fs: first},
		2: {Handled_access_fs: first | refer},
		3: {Handled_access_fs: first | refer | truncate},
		4: {Handled_access_fs: first | refer | truncate},
		5: {Handled_access_fs: first | refer | truncate | devices},
		6: {Handled_access_fs: first | refer | truncate | devices, Scoped: landScopes},
		7: {Handled_access_fs: first | refer | truncate | devices, Scoped: landScopes},
	} {
		if got := handled(version); got != want {
			t.Errorf("version %d: got %+v, want %+v", version, got, want)
		}
	}
}
