//go:build linux && (amd64 || arm64)

package nativebox_test

import (
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/bwrapbox"
	"github.com/hermesboard/hermes/sandbox/nativebox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest/cost"
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
	bare := func() time.Duration { return cost.Command(b, exec.Command(echo[0])) }
	dir := b.TempDir()
	in := func(box *sandbox.Sandbox) func() time.Duration {
		if report := box.Probe(b.Context()); !report.Available {
			b.Skip(report.Reason)
		}
		return func() time.Duration {
			return cost.Session(b, func(stdout io.Writer) (*sandbox.Session, error) {
				return box.Start(b.Context(), &sandbox.Spec{Argv: echo, Workspace: dir, Stdout: stdout})
			})
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
	base := cost.Median(kinds[0].took)
	b.ReportMetric(base, "bare-ms")
	for _, k := range kinds[1:] {
		b.ReportMetric(cost.Median(k.took)-base, k.name+"-over-ms")
	}
}
