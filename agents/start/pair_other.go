//go:build !linux

package start

import (
	"errors"
	"fmt"
)

// pair needs messages that keep their bounds, in order, between two processes.
func pair() ([2]int, error) {
	return [2]int{}, fmt.Errorf("supervisors of runs need Linux: %w", errors.ErrUnsupported)
}
