package sandbox

import (
	"fmt"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// ErrTreeAlive is matched by errors of Session.Kill and Session.Close when
// processes of the tree are left. The error is a *TreeAliveError.
var ErrTreeAlive = driver.ErrTreeAlive

// ErrSpec is matched by errors of Start about a spec that makes no sense for
// any backend.
var ErrSpec = driver.ErrSpec

// GapError says that a backend cannot enforce what was asked for.
type GapError struct {
	Driver  string
	Missing Capabilities
}

// Error names the backend and every missing capability.
func (e *GapError) Error() string {
	return fmt.Sprintf("sandbox %s cannot enforce: %v", e.Driver, e.Missing)
}

// DiskError is why a session was ended that wrote more than it may.
type DiskError struct {
	// Limit is what it may write, and Used what it was seen to have written, in
	// bytes.
	Limit, Used int64
	// Err is why that could not be told any more, nil if it could.
	Err error
}

// Error says how much was written.
func (e *DiskError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("ended, because its limit of %d MiB on disk could not be held: %v", e.Limit>>20, e.Err)
	}
	return fmt.Sprintf("ended, because it has written %d MiB to disk, and may write %d", e.Used>>20, e.Limit>>20)
}

// Unwrap returns Err.
func (e *DiskError) Unwrap() error { return e.Err }

func specError(field, problem string) error {
	return fmt.Errorf("%w: %s: %s", ErrSpec, field, problem)
}
