//go:build linux && (amd64 || arm64)

package bwrapbox

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/sandboxtest/cost"
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
		ours = append(ours, cost.Session(b, func(stdout io.Writer) (driver.Session, error) {
			spec.Stdout = stdout
			return own.Start(b.Context(), spec)
		}))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(cost.Median(bare), "bare-ms")
	b.ReportMetric(cost.Median(ours), "ms")
	b.ReportMetric(cost.Median(ours)/cost.Median(bare), "ratio")
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
	return cost.Command(b, cmd)
}
