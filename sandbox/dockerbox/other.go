//go:build !linux || !(amd64 || arm64)

package dockerbox

import (
	"context"
	"errors"

	"github.com/hermesboard/hermes/sandbox/driver"
)

var errSystem = errors.New("containers need Linux on amd64 or arm64")

// Main does nothing on this system.
func Main() {}

// Reap finds nothing on this system.
func Reap(context.Context, *Options, func(mark string) bool) (int, error) { return 0, errSystem }

func (box) Capabilities() driver.Capabilities   { return 0 }
func (box) Cgroup(string) string                { return "" }
func (box) Layout(*driver.Spec) driver.Layout   { return driver.Layout{} }
func (box) Probe(context.Context) driver.Report { return driver.Report{Reason: errSystem.Error()} }
func (box) Start(context.Context, *driver.Spec) (driver.Session, error) {
	return nil, errSystem
}
