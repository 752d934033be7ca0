//go:build !linux || !(amd64 || arm64)

package nativebox

import (
	"context"
	"errors"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

var errSystem = errors.New("the native sandbox needs Linux on amd64 or arm64")

type native struct {
	program string
	cgroups *sandbox.Cgroups
}

func (native) Name() string                      { return Name }
func (native) Capabilities() driver.Capabilities { return 0 }
func (native) Cgroup(string) string              { return "" }
func (native) Layout(*driver.Spec) driver.Layout { return driver.Layout{} }
func (native) Probe(context.Context) driver.Report {
	return driver.Report{Reason: errSystem.Error()}
}
func (native) Start(context.Context, *driver.Spec) (driver.Session, error) {
	return nil, errSystem
}
