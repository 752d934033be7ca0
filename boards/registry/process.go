package registry

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// bootID names this boot of the machine; "" where the system does not tell.
var bootID = sync.OnceValue(func() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
})

// startTime returns when a process started, in clock ticks since boot, which
// tells it from a later one with the same pid; 0 where the system does not
// tell or there is no such process.
func startTime(pid int) uint64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The name in field 2 may hold anything: count from its closing bracket.
	rest := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	const field = 22 - 3 // field 3 is rest[0]
	if len(rest) <= field {
		return 0
	}
	n, err := strconv.ParseUint(string(rest[field]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// alive reports whether the process that h names runs now.
func (h Holder) alive() bool {
	if h.PID <= 0 || h.Boot != bootID() {
		return false
	}
	if h.StartTime != 0 {
		return startTime(h.PID) == h.StartTime
	}
	err := unix.Kill(h.PID, 0)
	return err == nil || errors.Is(err, unix.EPERM)
}
