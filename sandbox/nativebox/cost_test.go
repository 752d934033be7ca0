//go:build linux && (amd64 || arm64)

package nativebox_test

import (
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/bwrapbox"
	"github.com/hermesboard/hermes/sandbox/nativebox"
)

// BenchmarkStart reports medians of the time from the call to the first output
// of a program that does nothing else: started bare, and what the sandboxes
// take longer. They take turns, because a host's load changes. The stage is
// this test binary, or the program that NATIVE_STAGE names.
func BenchmarkStart(b *testing.B) {
	if err := sandbox.Supervise(); err != nil {
		b.Fatal(err)
	}
	echo := []string{"/bin/echo"}
	bare := func() (took time.Duration) {
		cmd := exec.Command(echo[0])
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		io.ReadFull(out, make([]byte, 1))
		took = time.Since(began)
		if err := cmd.Wait(); err != nil {
			b.Fatal(err)
		}
		return took
	}
	dir := b.TempDir()
	in := func(box *sandbox.Sandbox) func() time.Duration {
		if report := box.Probe(b.Context()); !report.Available {
			b.Skip(report.Reason)
		}
		return func() time.Duration {
			first := make(firstWrite, 1)
			began := time.Now()
			s, err := box.Start(b.Context(), &sandbox.Spec{Argv: echo, Workspace: dir, Stdout: first})
			if err != nil {
				b.Fatal(err)
			}
			took := (<-first).Sub(began)
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			return took
		}
	}
	kinds := []struct {
		name  string
		start func() time.Duration
		took  []time.Duration
	}{
		{name: "bare", start: bare},
		{name: "native", start: in(nativebox.New(&nativebox.Options{Program: os.Getenv("NATIVE_STAGE")}))},
		{name: "bubblewrap", start: in(bwrapbox.New(nil))},
	}
	for b.Loop() {
		for i := range kinds {
			kinds[i].took = append(kinds[i].took, kinds[i].start())
		}
	}
	b.ReportMetric(0, "ns/op")
	base := median(kinds[0].took)
	b.ReportMetric(base, "bare-ms")
	for _, k := range kinds[1:] {
		b.ReportMetric(median(k.took)-base, k.name+"-over-ms")
	}
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

func median(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2].Microseconds()) / 1000
}
