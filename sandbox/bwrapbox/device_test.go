//go:build linux && (amd64 || arm64)

package bwrapbox

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestDevicesLeft sweeps what a dead supervisor left, and nothing else.
func TestDevicesLeft(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root's sessions have device files of their own")
	}
	held, err := makeDevices()
	if err != nil {
		t.Fatal(err)
	}
	defer held.remove()
	dead, err := makeDevices()
	if err != nil {
		t.Fatal(err)
	}
	defer dead.remove()
	dead.lock.Close() // as its supervisor's end does
	base := filepath.Dir(held.dir)
	there := func(d *devices) bool {
		_, err := os.Lstat(d.dir)
		return err == nil
	}
	sweepDevices([]string{base}, time.Now())
	if !there(dead) {
		t.Error("got a folder swept that was just made, and may not be locked yet")
	}
	sweepDevices([]string{base}, time.Now().Add(2*sweepAge))
	if there(dead) || !there(held) {
		t.Errorf("got the dead one's there %v, the other's %v; want only the other's", there(dead), there(held))
	}
}
