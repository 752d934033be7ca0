//go:build !linux || !(amd64 || arm64)

package ocibox

import (
	"context"
	"errors"

	"github.com/hermesboard/hermes/sandbox/driver"
)

var errSystem = errors.New("containers of an OCI runtime need Linux on amd64 or arm64")

type box struct{ Options }

func (b box) Name() string                      { return string(b.Runtime) }
func (box) Capabilities() driver.Capabilities   { return 0 }
func (box) Cgroup(string) string                { return "" }
func (box) Layout(*driver.Spec) driver.Layout   { return driver.Layout{} }
func (box) Probe(context.Context) driver.Report { return driver.Report{Reason: errSystem.Error()} }
func (box) Start(context.Context, *driver.Spec) (driver.Session, error) {
	return nil, errSystem
}
