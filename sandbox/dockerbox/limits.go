//go:build linux && (amd64 || arm64)

package dockerbox

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// missingLimit looks on the host whether the container's first process is under
// the limits that were asked for, and names one that it is not under. Engines
// leave out what they cannot do, and not all of them say so.
func missingLimit(pid int, l *driver.Limits) (string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return "", err
	}
	groups := controlGroups(string(data))
	for _, limit := range []struct {
		name, controller, v1, v2 string
		asked                    int64
	}{
		{"memory", "memory", "memory.limit_in_bytes", "memory.max", l.MemoryBytes},
		{"processes", "pids", "pids.max", "pids.max", int64(l.Processes)},
		{"processor time", "cpu", "cpu.cfs_quota_us", "cpu.max", int64(l.MilliCPUs)},
	} {
		if limit.asked > 0 && !groups.bounded(limit.controller, limit.v1, limit.v2, limit.asked) {
			return limit.name, nil
		}
	}
	return "", nil
}

// limitless says that the engine left out a limit, and what it would need.
func (e *engine) limitless(limit string) error {
	hint := "see whether the kernel has the control group for it: /proc/cgroups"
	if e.rootless {
		hint = "without root it needs version 2 of control groups, handed to its user (systemd: Delegate=yes)"
	}
	return e.unusable("it does not enforce the limit of "+limit, hint, nil)
}

// groupFolders are where a process's control groups are on the host, by
// controller; the unified hierarchy has the name "".
type groupFolders map[string]string

func controlGroups(cgroups string) groupFolders {
	found := make(groupFolders)
	for line := range strings.Lines(cgroups) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 || strings.Contains(fields[2], "..") {
			continue
		}
		for name := range strings.SplitSeq(fields[1], ",") {
			found[name] = fields[2]
		}
	}
	return found
}

// bounded reports whether a limit as tight as asked is set for the group or
// one above it.
func (g groupFolders) bounded(controller, v1, v2 string, asked int64) bool {
	if at, ok := g[controller]; ok {
		return boundedBelow("/sys/fs/cgroup/"+controller, at, v1, asked)
	}
	at, ok := g[""]
	return ok && boundedBelow("/sys/fs/cgroup", at, v2, asked)
}

func boundedBelow(root, at, file string, asked int64) bool {
	for ; at != "/" && at != "."; at = path.Dir(at) {
		value, err := os.ReadFile(filepath.Join(root, at, file))
		if err != nil {
			continue
		}
		if got, ok := limitValue(filepath.Join(root, at), file, strings.Fields(string(value))); ok && got <= asked {
			return true
		}
	}
	return false
}

// limitValue reads one limit, of processor time in thousandths. It is not ok if
// there is none.
func limitValue(folder, file string, fields []string) (int64, bool) {
	if len(fields) == 0 {
		return 0, false
	}
	value, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil || value < 0 {
		return 0, false // "max", or -1
	}
	period := ""
	switch {
	case file == "cpu.max" && len(fields) == 2:
		period = fields[1]
	case file == "cpu.cfs_quota_us":
		data, err := os.ReadFile(filepath.Join(folder, "cpu.cfs_period_us"))
		if err != nil {
			return 0, false
		}
		period = strings.TrimSpace(string(data))
	default:
		return value, true
	}
	micros, err := strconv.ParseInt(period, 10, 64)
	if err != nil || micros <= 0 {
		return 0, false
	}
	return value * 1000 / micros, true
}
