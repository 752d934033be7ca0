package boltlog_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Some tests need a process that can die. They run this test binary again with
// the name of a child in its environment.
const childEnv = "BOLTLOG_TEST_CHILD"

var children = map[string]func(args []string){
	"append": childAppend,
	"flip":   childFlip,
	"script": childScript,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		children[name](os.Args[1:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child prepares a child process. Wrap, if any, is a program that runs it.
func child(t *testing.T, wrap []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	argv := append(append(wrap, self), args...)
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), childEnv+"="+name, "GOTRACEBACK=none")
	return cmd
}

// must ends a child that cannot go on.
func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(3)
	}
}
