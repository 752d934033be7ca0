package profile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ticksPerSecond is the unit of start times in /proc, the same on every
// processor that matters.
const ticksPerSecond = 100

// processAt says which process has a pid now, and its state as /proc has it.
func processAt(pid int) (h tokenHolder, state string, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return h, "", errNoProcess
	} else if err != nil {
		return h, "", err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return h, "", errNoProcess
	}
	h.PID = pid
	if h.Start, err = strconv.ParseUint(fields[19], 10, 64); err != nil {
		return h, "", err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	h.Boot = strings.TrimSpace(string(boot))
	return h, fields[0], err
}

// bootTime is when this host started, in seconds since 1970; 0 = unknown.
func bootTime() float64 {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "btime "); ok {
			n, _ := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return n
		}
	}
	return 0
}
