package workspace

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hermesboard/hermes/events"
)

// The folder of a run that is not the board's any more, because the board was
// restored to an older state, is called t7.1-before-42-K3VX2A: another run has
// its name now, whose claim is record 42.
const (
	before     = "-before-"
	asideChars = 6 // so that a fence that comes twice does no harm
)

// SetAside gives the folder of a run another name, as another run of that name
// is to have its place. fence is that of the other. The time for which it is
// kept begins now, which is its time of modification.
func SetAside(runs string, run events.RunID, fence uint64) error {
	now := time.Now()
	from := filepath.Join(runs, run.String())
	if err := os.Chtimes(from, now, now); err != nil {
		return err
	}
	return os.Rename(from, from+before+strconv.FormatUint(fence, 10)+"-"+rand.Text()[:asideChars])
}

// IsAside reports whether a name in the folder of all runs is one that SetAside
// gave.
func IsAside(name string) bool {
	of, rest, ok := strings.Cut(name, before)
	if !ok {
		return false
	}
	fence, text, _ := strings.Cut(rest, "-")
	_, err := events.ParseRunID(of)
	_, fenceErr := strconv.ParseUint(fence, 10, 64)
	return err == nil && fenceErr == nil && len(text) == asideChars && !strings.ContainsAny(text, "/.")
}
