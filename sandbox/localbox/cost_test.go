//go:build linux && (amd64 || arm64)

package localbox_test

import (
	"testing"
	"time"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest/cost"
)

// BenchmarkGroups reports the medians of what starting a session costs with
// and without a control group, and closing it. The kinds take turns, because a
// host's load changes.
func BenchmarkGroups(b *testing.B) {
	if err := sandbox.Supervise(); err != nil {
		b.Fatal(err)
	}
	if grouped().Cgroup("x") == "" {
		b.Skip("no control groups here")
	}
	kinds := []struct {
		name         string
		box          *sandbox.Sandbox
		limits       sandbox.Limits
		start, close []time.Duration
	}{
		{name: "bare", box: bare()},
		{name: "grouped", box: grouped()},
		{name: "limited", box: grouped(), limits: sandbox.Limits{Processes: 500, MilliCPUs: 2000}},
	}
	dir := b.TempDir()
	for b.Loop() {
		for i := range kinds {
			k := &kinds[i]
			began := time.Now()
			s, err := k.box.Start(b.Context(), &sandbox.Spec{
				Argv: []string{"/bin/true"}, Workspace: dir, Network: sandbox.FullNetwork, Limits: k.limits,
			})
			if err != nil {
				b.Fatal(err)
			}
			started := time.Now()
			<-s.Done()
			ended := time.Now()
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			k.start, k.close = append(k.start, started.Sub(began)), append(k.close, time.Since(ended))
		}
	}
	b.ReportMetric(0, "ns/op")
	for _, k := range kinds {
		b.ReportMetric(1000*cost.Median(k.start), k.name+"-start-µs")
		b.ReportMetric(1000*cost.Median(k.close), k.name+"-close-µs")
	}
}
