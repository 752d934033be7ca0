//go:build linux && (amd64 || arm64)

package sshbox_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest"
	"github.com/hermesboard/hermes/sandbox/sshbox"
)

// shared is the server of all tests that do not need one of their own; none if
// it could not be started.
var shared *server

// where tells another supervisor of this test binary about it.
const where = "SSHBOX_TEST_SERVER"

func box() *sandbox.Sandbox { return shared.box() }

func (s *server) box() *sandbox.Sandbox {
	own, err := sshbox.New(&sshbox.Options{Cache: s.cache(), Folder: s.folder()}).With(s.settings())
	if err != nil {
		panic(err)
	}
	return own
}

func TestMain(m *testing.M) {
	sshbox.Main()
	if at := os.Getenv(where); at != "" {
		shared = &server{}
		if _, err := fmt.Sscan(at, &shared.dir, &shared.port); err != nil {
			panic(err)
		}
	}
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") { // in a sandbox, or another supervisor
		sandboxtest.Main(m, box, box)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	s, err := startServer()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return m.Run()
	}
	defer s.stop()
	shared = s
	os.Setenv(where, fmt.Sprint(s.dir, " ", s.port))
	return m.Run()
}

func need(t testing.TB) {
	t.Helper()
	if shared != nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("no sshd here")
	}
	t.Skip("no sshd here (Debian: apt-get install openssh-server)")
}

func TestConformance(t *testing.T) {
	need(t)
	sandboxtest.RunSlow(t, box)
}
