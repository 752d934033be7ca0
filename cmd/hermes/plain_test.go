package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
)

// racing reports whether the race detector is on.
func racing() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" })
}

// plainly runs the tests with commands that are built without the race detector.
// The tests start them some thousand times, and with the detector each start
// takes many times longer; what it is to look at runs in the test's own process.
type plainly struct {
	m        *testing.M
	commands []string
}

// Run is called once the commands, copies of this program, are found by PATH.
func (p plainly) Run() int {
	if racing() {
		if err := p.replace(); err != nil {
			fmt.Fprintln(os.Stderr, "commands without the race detector:", err)
			return 1
		}
	}
	debug.SetGCPercent(400) // the tests build some ten thousand trees of commands
	return p.m.Run()
}

func (p plainly) replace() error {
	self, err := exec.LookPath(p.commands[0])
	if err != nil {
		return err
	}
	dir := filepath.Dir(self)
	built := filepath.Join(dir, ".plain")
	build := exec.Command("go", "test", "-c", "-race=false", "-o", built, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	for _, name := range p.commands {
		file := filepath.Join(dir, name)
		if err := os.Remove(file); err != nil {
			return err
		}
		if err := os.Link(built, file); err != nil {
			return err
		}
	}
	return os.Remove(built)
}
