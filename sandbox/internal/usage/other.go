//go:build !linux

package usage

import (
	"context"
	"errors"
)

// Supported reports whether disks can be watched here.
const Supported = false

// Disk is never made here.
type Disk struct{}

// NewDisk returns errors.ErrUnsupported.
func NewDisk(context.Context, []string, int64) (*Disk, error) { return nil, errors.ErrUnsupported }

// FileBytes is never asked for here.
func (*Disk) FileBytes() int64 { return 0 }

// Watch returns errors.ErrUnsupported.
func (*Disk) Watch(context.Context, int) (int64, error) { return 0, errors.ErrUnsupported }
