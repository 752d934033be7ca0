//go:build linux && (amd64 || arm64)

package bwrapbox

import (
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// BenchmarkStart reports how long it takes from the call until the program's
// first output, against bwrap run by hand with the same options. The two take
// turns, because a host's load changes.
func BenchmarkStart(b *testing.B) {
	if err := sandbox.Supervise(); err != nil {
		b.Fatal(err)
	}
	var own bubblewrap
	path, err := own.find()
	if err != nil {
		b.Skip(err)
	}
	spec := &driver.Spec{Argv: []string{"/bin/echo", "first"}, Env: []string{"PATH=/bin"}, Mark: "bench", Workspace: b.TempDir()}
	var bare, ours []time.Duration
	for b.Loop() {
		bare = append(bare, byHand(b, path, spec))
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
	b.ReportMetric(median(ours), "ms")
	b.ReportMetric(median(ours)/median(bare), "ratio")
}

func byHand(b *testing.B, path string, spec *driver.Spec) time.Duration {
	var files fdList
	defer files.close()
	status, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	files.add(status)
	devices, err := makeDevices()
	if err != nil {
		b.Fatal(err)
	}
	defer devices.remove()
	options, err := arguments(spec, devices.dir, &files)
	if err != nil {
		b.Fatal(err)
	}
	optionsFD, err := files.data("options", []byte(strings.Join(options, "\x00")+"\x00"))
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"--args", optionsFD, "--"}, spec.Argv...)...)
	cmd.ExtraFiles = files.files
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	took := untilFirst(b, out, cmd.Start)
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return took
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

func median(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2].Microseconds()) / 1000
}
