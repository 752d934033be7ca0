package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// aliasMark is the line by which a profile's command is known to be ours.
const aliasMark = "# The command of a hermes profile; hermes profile delete removes it."

// alias is a profile's own command: acme for hermes -p acme.
type alias struct {
	path string // empty = there is no place for it
	ours bool   // it is there, and was made here
	took bool   // it is there, and is somebody else's
}

func (x *call) aliasDir() string {
	if home := x.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "bin")
	}
	return ""
}

func (x *call) alias(name string) alias {
	dir := x.aliasDir()
	if dir == "" {
		return alias{}
	}
	a := alias{path: filepath.Join(dir, name)}
	b, err := os.ReadFile(a.path)
	switch {
	case err == nil && strings.Contains(string(b), "\n"+aliasMark+"\n"):
		a.ours = true
	case !errors.Is(err, fs.ErrNotExist):
		a.took = true
	}
	return a
}

// makeAlias writes a profile's command. What it did not do it says; the profile
// is there all the same.
func (x *call) makeAlias(home, name string) error {
	a := x.alias(name)
	instead := fmt.Sprintf("use hermes -p %s …", name)
	switch {
	case a.path == "":
		x.say("no command %s: HOME is not set; %s", name, instead)
		return nil
	case a.took:
		x.say("no command %s: %s is there and is not ours; %s", name, a.path, instead)
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	script := "#!/bin/sh\n" + aliasMark + "\nexec " + shellLine([]string{program, "--home", home, "-p", name}) + " \"$@\"\n"
	if err := os.MkdirAll(filepath.Dir(a.path), 0o755); err != nil {
		return err
	}
	if err := writeProgram(a.path, script, a.ours); err != nil {
		x.say("no command %s: %v; %s", name, err, instead)
		return nil
	}
	x.warnOfPath(name, a.path)
	return nil
}

// writeProgram writes a script at once; unless it may replace one, whoever was
// there first stays.
func writeProgram(path, text string, replace bool) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".hermes-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chmod(0o755), f.Close()); err != nil {
		return err
	}
	if replace {
		return os.Rename(f.Name(), path)
	}
	return os.Link(f.Name(), path)
}

// warnOfPath says if another command of that name is found first, or ours is
// not found at all.
func (x *call) warnOfPath(name, ours string) {
	on := false
	for _, dir := range filepath.SplitList(x.Getenv("PATH")) {
		if dir == filepath.Dir(ours) {
			on = true
			continue
		}
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			continue
		}
		if on {
			x.say("the command %s now hides %s", name, path)
		} else {
			x.say("the command %s is hidden by %s; use hermes -p %s …", name, path, name)
		}
		return
	}
	if !on {
		x.say("%s is not in PATH: export PATH=\"$HOME/.local/bin:$PATH\"", filepath.Dir(ours))
	}
}

// dropAlias removes a profile's command if it is ours.
func (x *call) dropAlias(name string) error {
	if a := x.alias(name); a.ours {
		return os.Remove(a.path)
	}
	return nil
}
