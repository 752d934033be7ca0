package start

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

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

// pidNamespace names the space in which this process's pids mean something; 0
// if that cannot be told.
func pidNamespace() uint64 {
	info, err := os.Stat("/proc/self/ns/pid")
	if err != nil {
		return 0
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}

// startTime is field 22 of /proc/PID/stat: with the boot and the pid it names
// a process for ever. A zombie has ended.
func startTime(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	state, at, err := parseStat(b)
	if err != nil {
		return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	if state == "Z" || state == "X" {
		return 0, os.ErrProcessDone
	}
	return at, nil
}

// parseStat skips the name of the program, which may hold anything, by looking
// for the last closing parenthesis.
func parseStat(b []byte) (state string, started uint64, err error) {
	i := bytes.LastIndexByte(b, ')')
	fields := strings.Fields(string(b[i+1:]))
	if i < 0 || len(fields) < 20 {
		return "", 0, fmt.Errorf("%q is malformed", b)
	}
	started, err = strconv.ParseUint(fields[19], 10, 64)
	return fields[0], started, err
}

// identify returns the identity of a process of ours.
func identify(pid int) (events.RunStarted, error) {
	boot, err := bootID()
	if err != nil {
		return events.RunStarted{}, err
	}
	at, err := startTime(pid)
	return events.RunStarted{Boot: boot, PID: int64(pid), StartTime: at, PIDNS: pidNamespace()}, err
}

// Same reports whether the very process of that identity is alive. One of
// another pid namespace cannot be told by its pid and is not.
func Same(id events.RunStarted) bool {
	if id.PID <= 0 || id.PID > 1<<31-1 {
		return false
	}
	if boot, err := bootID(); err != nil || boot != id.Boot {
		return false
	}
	if here := pidNamespace(); id.PIDNS != 0 && here != 0 && id.PIDNS != here {
		return false
	}
	at, err := startTime(int(id.PID))
	return err == nil && at == id.StartTime
}
