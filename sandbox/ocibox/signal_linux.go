//go:build amd64 || arm64

package ocibox

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/hermesboard/hermes/sandbox/internal/enclosed"
	"github.com/hermesboard/hermes/sandbox/internal/process"
)

// signalMain sends sig to the program under runc. runc's child is the
// container's first process, and what that adopts is younger than what it
// starts.
func signalMain(runc int, sig syscall.Signal) error {
	all, err := process.Scan()
	if err != nil {
		return err
	}
	children := make(map[int]bool)
	for _, p := range all {
		if p.Parent == runc {
			children[p.PID] = true
		}
	}
	var oldest *process.Stat
	for _, p := range all {
		if !children[p.Parent] || p.Zombie {
			continue
		}
		if oldest == nil || p.Start < oldest.Start || p.Start == oldest.Start && p.PID < oldest.PID {
			oldest = &p
		}
	}
	if oldest == nil {
		return enclosed.ErrNotYet
	}
	return process.Signal(*oldest, sig)
}

// signalThrough has the runtime send a signal, by a command that is run where
// the process ids are those it has written down.
func signalThrough(first int, command []string) error {
	enter := []string{"--target", fmt.Sprint(first), "--pid", "--mount"}
	if os.Geteuid() != 0 {
		enter = append(enter, "--user", "--preserve-credentials")
	}
	out, err := exec.Command("nsenter", append(append(enter, "--"), command...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %w: %.300s", enclosed.ErrUnsure, err, strings.TrimSpace(string(out)))
	}
	return nil
}
