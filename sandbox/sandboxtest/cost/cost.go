// Package cost measures what a start in a sandbox takes, for benchmarks that
// compare it with the start of the same program by other means. These take
// turns, because a host's load changes, and report medians.
package cost

import (
	"io"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// patience is how long a program may take to say something.
const patience = time.Minute

// Session starts a program that says something, and returns how long that took
// from the call. The session is closed afterwards.
func Session[S io.Closer](b *testing.B, start func(stdout io.Writer) (S, error)) time.Duration {
	b.Helper()
	first := make(firstWrite, 1)
	began := time.Now()
	s, err := start(first)
	if err != nil {
		b.Fatal(err)
	}
	var took time.Duration
	select {
	case at := <-first:
		took = at.Sub(began)
	case <-time.After(patience):
		b.Errorf("the program said nothing for %v", patience)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return took
}

// firstWrite tells when it was first written to.
type firstWrite chan time.Time

func (w firstWrite) Write(p []byte) (int, error) {
	select {
	case w <- time.Now():
	default:
	}
	return len(p), nil
}

// Command runs a command that says something, and returns how long that took
// from its start.
func Command(b *testing.B, cmd *exec.Cmd) time.Duration {
	b.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	_, err = out.Read(make([]byte, 16))
	took := time.Since(began)
	if err != nil {
		b.Errorf("%s said nothing: %v", cmd.Path, err)
	}
	io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return took
}

// Median returns the median in milliseconds.
func Median(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2].Nanoseconds()) / 1e6
}
