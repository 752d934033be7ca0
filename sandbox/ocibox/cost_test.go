//go:build linux && (amd64 || arm64)

package ocibox

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/sandboxtest/cost"
)

// BenchmarkStart reports how long it takes from the call until the program's
// first output, against the same bundle run by hand: once with our first
// process in it, once with the program alone. The kinds take turns, because a
// host's load changes.
func BenchmarkStart(b *testing.B) {
	if err := sandbox.Supervise(); err != nil {
		b.Fatal(err)
	}
	for _, runtime := range []Runtime{Runc, GVisor} {
		b.Run(string(runtime), func(b *testing.B) { benchmarkStart(b, box{Options: Options{Runtime: runtime}}) })
	}
}

func benchmarkStart(b *testing.B, own box) {
	path, err := own.find()
	if err != nil {
		b.Skip(err)
	}
	spec := &driver.Spec{Argv: []string{"/bin/echo", "first"}, Env: []string{"PATH=/bin"}, Mark: "bench", Workspace: b.TempDir()}
	made, err := own.bundle(spec)
	if err != nil {
		b.Fatal(err)
	}
	var bare, same, ours []time.Duration
	for b.Loop() {
		for _, kind := range []struct {
			times *[]time.Duration
			argv  []string
		}{{&bare, spec.Argv}, {&same, nil}} {
			dir, err := makeFolder(spec.Mark)
			if err != nil {
				b.Fatal(err)
			}
			if err := made.write(dir); err != nil {
				b.Fatal(err)
			}
			if kind.argv != nil {
				rewrite(b, dir, kind.argv)
			}
			cmd := exec.Command(path, append(own.flags(dir), "run", "--bundle", dir.path, spec.Mark)...)
			cmd.Stdin, cmd.Stderr = strings.NewReader(""), io.Discard // not the null device, see pipes
			*kind.times = append(*kind.times, cost.Command(b, cmd))
			if err := dir.remove(); err != nil {
				b.Fatal(err)
			}
		}
		ours = append(ours, cost.Session(b, func(stdout io.Writer) (driver.Session, error) {
			spec.Stdout = stdout
			return own.Start(b.Context(), spec)
		}))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(cost.Median(bare), "bare-ms")
	b.ReportMetric(cost.Median(same), "bare-with-init-ms")
	b.ReportMetric(cost.Median(ours), "ms")
	b.ReportMetric(cost.Median(ours)/cost.Median(bare), "ratio")
	b.ReportMetric(cost.Median(ours)/cost.Median(same), "ratio-with-init")
}

// rewrite has the bundle start argv itself.
func rewrite(b *testing.B, dir folder, argv []string) {
	data, err := os.ReadFile(dir.config())
	if err != nil {
		b.Fatal(err)
	}
	var config specs.Spec
	if err := json.Unmarshal(data, &config); err != nil {
		b.Fatal(err)
	}
	config.Process.Args = argv
	if data, err = json.Marshal(config); err == nil {
		err = os.WriteFile(dir.config(), data, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
}
