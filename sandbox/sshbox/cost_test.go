//go:build linux && (amd64 || arm64)

package sshbox_test

import (
	"io"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest/cost"
)

// BenchmarkStart reports how long it takes from the call until the program's
// first output, against the same command by hand over a connection of its own.
// The kinds take turns, because a host's load changes.
func BenchmarkStart(b *testing.B) {
	need(b)
	box := shared.box()
	if report := box.Probe(b.Context()); !report.Available { // the binary is there from now on
		b.Fatal(report.Reason)
	}
	dir := b.TempDir()
	var bare, ours []time.Duration
	for b.Loop() {
		began := time.Now()
		client, out := byHand(b)
		if _, err := out.Read(make([]byte, 16)); err != nil {
			b.Fatal(err)
		}
		bare = append(bare, time.Since(began))
		client.Close()

		ours = append(ours, cost.Session(b, func(stdout io.Writer) (*sandbox.Session, error) {
			return box.Start(b.Context(), &sandbox.Spec{
				Argv: []string{"/bin/echo", "first"}, Workspace: dir, Network: sandbox.FullNetwork, Stdout: stdout,
			})
		}))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(cost.Median(bare), "bare-ms")
	b.ReportMetric(cost.Median(ours), "ms")
	b.ReportMetric(cost.Median(ours)/cost.Median(bare), "ratio")
}

func byHand(b *testing.B) (*ssh.Client, io.Reader) {
	b.Helper()
	raw, err := os.ReadFile(shared.key())
	if err != nil {
		b.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(raw)
	if err != nil {
		b.Fatal(err)
	}
	known, err := knownhosts.New(shared.knownHosts())
	if err != nil {
		b.Fatal(err)
	}
	client, err := ssh.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(shared.port)), &ssh.ClientConfig{
		User: account(), Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: known,
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
	})
	if err != nil {
		b.Fatal(err)
	}
	session, err := client.NewSession()
	if err != nil {
		b.Fatal(err)
	}
	out, err := session.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := session.Start("exec /bin/echo first"); err != nil {
		b.Fatal(err)
	}
	return client, out
}
