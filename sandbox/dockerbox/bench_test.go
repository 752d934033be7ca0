//go:build linux && (amd64 || arm64)

package dockerbox_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/dockerbox"
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
		first := make(chan time.Time, 1)
		start := time.Now()
		s, err := box.Start(b.Context(), &sandbox.Spec{
			Argv: []string{"/bin/sh", "-c", "echo up"}, Workspace: workspace, Stdout: notify(first),
			Limits: sandbox.Limits{MemoryBytes: 256 << 20, MilliCPUs: 1000, Processes: 128},
		})
		if err != nil {
			b.Fatal(err)
		}
		ours = append(ours, (<-first).Sub(start))
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		theirs = append(theirs, commandLine(b, e, image, workspace))
	}
	median := func(all []time.Duration) float64 {
		slices.Sort(all)
		return all[len(all)/2].Seconds() * 1000
	}
	b.ReportMetric(median(ours), "ms/start")
	b.ReportMetric(median(theirs), "ms/run")
	b.ReportMetric(median(ours)/median(theirs), "ratio")
}

type notify chan<- time.Time

func (n notify) Write(p []byte) (int, error) {
	select {
	case n <- time.Now():
	default:
	}
	return len(p), nil
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
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		b.Skip(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return took
}
