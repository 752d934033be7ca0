package sandbox

import (
	"errors"
	"fmt"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// ErrTreeAlive is matched by errors of Session.Kill and Session.Close when
// processes of the tree are left. The error is a *TreeAliveError.
var ErrTreeAlive = driver.ErrTreeAlive

// ErrSpec is matched by errors of Start about a spec that makes no sense for
// any backend.
var ErrSpec = errors.New("bad sandbox spec")

// GapError says that a backend cannot enforce what was asked for.
type GapError struct {
	Driver  string
	Missing Capabilities
}

// Error names the backend and every missing capability.
func (e *GapError) Error() string {
	return fmt.Sprintf("sandbox %s cannot enforce: %v", e.Driver, e.Missing)
}

func specError(field, problem string) error {
	return fmt.Errorf("%w: %s: %s", ErrSpec, field, problem)
}
