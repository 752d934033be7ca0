//go:build linux

package rootfs

import "github.com/hermesboard/hermes/sandbox/driver"

// Given is the part of the plan that shows the folders of spec: the steps, all
// of them binds, for a driver whose root comes from elsewhere. The error
// matches sandbox.ErrSpec when a mount collides with what a sandbox makes.
func Given(spec *driver.Spec) ([]Step, error) { return mounts(spec) }
