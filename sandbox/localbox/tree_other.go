//go:build unix && !linux

package localbox

import (
	"errors"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/cgroup"
	"github.com/hermesboard/hermes/sandbox/internal/process"
)

const limitCapabilities driver.Capabilities = 0

func supervised() error { return nil }

// killTree ends the process group, which is all that can be found here.
func killTree(proc *process.Process, _ *cgroup.Group) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := syscall.Kill(-proc.Main.PID, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) && proc.Ended() {
			return nil
		}
		if time.Now().After(deadline) {
			return &driver.TreeAliveError{PIDs: []int{proc.Main.PID}}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func alive(proc *process.Process, _ *cgroup.Group) bool {
	return !proc.Ended() || syscall.Kill(-proc.Main.PID, 0) == nil
}
