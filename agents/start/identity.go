package start

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/hermesboard/hermes/events"
)

// Mark is what the processes of a run carry in their environment, so that they
// can be found without any record of their pids.
func Mark(board events.BoardID, run events.RunID) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s", board, run))
	return hex.EncodeToString(sum[:12])
}

// bootID names this boot of the host; a process of another boot is dead.
func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// startTime is field 22 of /proc/PID/stat: with the boot and the pid it names
// a process for ever. A zombie has ended.
func startTime(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	i := bytes.LastIndexByte(b, ')') // the name before it may hold anything
	fields := strings.Fields(string(b[i+1:]))
	if i < 0 || len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat is malformed", pid)
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, os.ErrProcessDone
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// identify returns the identity of a process of ours.
func identify(pid int) (events.RunStarted, error) {
	boot, err := bootID()
	if err != nil {
		return events.RunStarted{}, err
	}
	at, err := startTime(pid)
	return events.RunStarted{Boot: boot, PID: int64(pid), StartTime: at}, err
}

// Same reports whether the very process of that identity is alive.
func Same(id events.RunStarted) bool {
	if boot, err := bootID(); err != nil || boot != id.Boot || id.PID <= 0 {
		return false
	}
	at, err := startTime(int(id.PID))
	return err == nil && at == id.StartTime
}
