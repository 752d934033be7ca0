package workspace

import (
	"errors"

	"golang.org/x/sys/unix"
)

// limitMemory bounds the address space of a process and of those it will
// start; 0 is no limit.
func limitMemory(pid int, bytes int64) error {
	if bytes == 0 {
		return nil
	}
	limit := unix.Rlimit{Cur: uint64(bytes), Max: uint64(bytes)}
	err := unix.Prlimit(pid, unix.RLIMIT_AS, &limit, nil)
	if errors.Is(err, unix.ESRCH) {
		return nil // it has ended
	}
	return err
}
