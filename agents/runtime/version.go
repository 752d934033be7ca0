package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/hermesboard/hermes/agents"
)

// Version says which program a runtime wants.
type Version struct {
	Program string   // its usual name
	Tested  string   // the version that the adapter was tested against; empty = none, the agent must name one
	Args    []string // that make it print its version
	Install string   // the line that installs it
}

var versionRule = regexp.MustCompile(`(?:^|[\s v])(\d+\.\d+\.\d+[0-9A-Za-z.+-]*)`)

// Path is the agent's program: absolute, or a name to be looked up.
func (v Version) Path(a *agents.Agent) string {
	if len(a.Runtime.Command) > 0 {
		return a.Runtime.Command[0]
	}
	return v.Program
}

// Wanted is the only version that may be started.
func (v Version) Wanted(a *agents.Agent) string {
	if a.Runtime.Version != "" {
		return a.Runtime.Version
	}
	return v.Tested
}

// Check compares what the program printed with what is wanted. An error names
// both versions and what to do.
func (v Version) Check(a *agents.Agent, printed string) error {
	found := versionRule.FindStringSubmatch(printed)
	if found == nil {
		return fmt.Errorf("%s printed no version", v.Path(a))
	}
	if want := v.Wanted(a); found[1] != want {
		return fmt.Errorf("%s is version %s, and %s is wanted: install it (%s), or set runtime.version to what you have tested",
			v.Path(a), found[1], want, fmt.Sprintf(v.Install, want))
	}
	return nil
}

// ProgramMounts lists what a sandbox must show for a program to run that lies
// outside of its system folders. program has no links in it any more.
func ProgramMounts(program string) []string {
	for _, dir := range []string{"/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/"} {
		if strings.HasPrefix(program, dir) {
			return nil
		}
	}
	// Codex keeps its helpers beside it, in a tree that has this file.
	if dir := filepath.Dir(program); filepath.Base(program) == "codex" && filepath.Base(dir) == "bin" &&
		filepath.Base(filepath.Dir(filepath.Dir(dir))) == "vendor" {
		return []string{filepath.Dir(dir)}
	}
	// An environment of Python's, whose libraries lie beside its programs.
	env := filepath.Dir(filepath.Dir(program))
	if _, err := os.Stat(filepath.Join(env, "pyvenv.cfg")); err == nil {
		return []string{env}
	}
	return []string{program}
}
