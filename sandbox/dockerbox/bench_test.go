//go:build linux && (amd64 || arm64)

package dockerbox_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/dockerbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest/cost"
)

// BenchmarkStart measures how long it takes until the program says something,
// against the engine's own command line with the same image, mounts and flags.
// The two take turns; the figures are medians. Each round takes about a second,
// so that -benchtime should be given as a number of rounds: 20x.
func BenchmarkStart(b *testing.B) {
	for _, e := range []dockerbox.Engine{dockerbox.Docker, dockerbox.Podman} {
		b.Run(string(e), func(b *testing.B) { benchmarkStart(b, e) })
	}
}

func benchmarkStart(b *testing.B, e dockerbox.Engine) {
	if report := dockerbox.New(&dockerbox.Options{Engine: e}).Probe(b.Context()); !report.Available {
		b.Skip(report.Reason)
	}
	box := dockerbox.New(&dockerbox.Options{Engine: e, Image: shellImage()})
	archive, err := os.ReadFile(shellImage())
	if err != nil {
		b.Skip(err)
	}
	image := fmt.Sprintf("hermes/imported:%x", sha256.Sum256(archive)) // the name it is imported under
	workspace := b.TempDir()
	var ours, theirs []time.Duration
	for b.Loop() {
		ours = append(ours, cost.Session(b, func(stdout io.Writer) (*sandbox.Session, error) {
			return box.Start(b.Context(), &sandbox.Spec{
				Argv: []string{"/bin/sh", "-c", "echo up"}, Workspace: workspace, Stdout: stdout,
				Limits: sandbox.Limits{MemoryBytes: 256 << 20, MilliCPUs: 1000, Processes: 128},
			})
		}))
		theirs = append(theirs, commandLine(b, e, image, workspace))
	}
	b.ReportMetric(cost.Median(ours), "ms/start")
	b.ReportMetric(cost.Median(theirs), "ms/run")
	b.ReportMetric(cost.Median(ours)/cost.Median(theirs), "ratio")
}

func commandLine(b *testing.B, e dockerbox.Engine, image, workspace string) time.Duration {
	args := "run --rm --cap-drop ALL --security-opt no-new-privileges --pids-limit 128 --memory 256m --memory-swap 256m --cpus 1" +
		" --network none --read-only --tmpfs /tmp:rw,nosuid,nodev,size=512m --tmpfs /var/tmp --tmpfs /run --ipc private --log-driver none"
	if e == dockerbox.Podman {
		args += " --ulimit nofile=1024:1024 --ulimit nproc=512:512"
	}
	argv := append(strings.Fields(args), "--user", strconv.Itoa(os.Getuid()), "-v", workspace+":/ws", "-w", "/ws", image, "/bin/sh", "-c", "echo up")
	cmd := exec.Command(string(e), argv...)
	cmd.Stderr = os.Stderr
	if cmd.Err != nil {
		b.Skip(cmd.Err)
	}
	return cost.Command(b, cmd)
}
