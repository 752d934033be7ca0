//go:build !linux || !(amd64 || arm64)

package bwrapbox

import (
	"context"
	"errors"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

var errSystem = errors.New("bubblewrap needs Linux on amd64 or arm64")

type bubblewrap struct {
	path    string
	cgroups *sandbox.Cgroups
}

func (bubblewrap) Name() string                      { return Name }
func (bubblewrap) Capabilities() driver.Capabilities { return 0 }
func (bubblewrap) Cgroup(string) string              { return "" }
func (bubblewrap) Layout(*driver.Spec) driver.Layout { return driver.Layout{} }
func (bubblewrap) Probe(context.Context) driver.Report {
	return driver.Report{Reason: errSystem.Error()}
}
func (bubblewrap) Start(context.Context, *driver.Spec) (driver.Session, error) {
	return nil, errSystem
}
