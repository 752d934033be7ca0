//go:build linux && (amd64 || arm64)

package ocibox

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
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
			out, err := cmd.StdoutPipe()
			if err != nil {
				b.Fatal(err)
			}
			*kind.times = append(*kind.times, untilFirst(b, out, cmd.Start))
			if err := cmd.Wait(); err != nil {
				b.Fatal(err)
			}
			if err := dir.remove(); err != nil {
				b.Fatal(err)
			}
		}
		read, write := io.Pipe()
		spec.Stdout = write
		var s driver.Session
		ours = append(ours, untilFirst(b, read, func() (err error) {
			s, err = own.Start(b.Context(), spec)
			return err
		}))
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(bare), "bare-ms")
	b.ReportMetric(median(same), "bare-with-init-ms")
	b.ReportMetric(median(ours), "ms")
	b.ReportMetric(median(ours)/median(bare), "ratio")
	b.ReportMetric(median(ours)/median(same), "ratio-with-init")
}

func untilFirst(b *testing.B, out io.Reader, start func() error) time.Duration {
	began := time.Now()
	if err := start(); err != nil {
		b.Fatal(err)
	}
	var first [16]byte
	if _, err := out.Read(first[:]); err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	go io.Copy(io.Discard, out) // ends with the program
	return took
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

func median(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2].Microseconds()) / 1000
}
