//go:build linux

package canary

import (
	"fmt"
	"os"
	"strings"
)

// A setting of the kernel that keeps user namespaces from programs when it is
// off; root is spared by some.
type setting struct {
	name, off, remedy string
	root              bool
}

var settings = []setting{
	{"user.max_user_namespaces", "0", "set it to a few thousand", true},
	{"kernel.unprivileged_userns_clone", "0", "set it to 1", false},
	{"kernel.apparmor_restrict_unprivileged_userns", "1",
		"give %s an AppArmor profile with the rule userns (SECURITY.md shows it), or set it to 0 for all programs", false},
}

// Advice says what to do on a system that keeps user namespaces from the
// program at path, to be put behind an error; it is empty elsewhere.
func Advice(path string) string {
	read := func(name string) string {
		value, _ := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/")) // there is none on most systems
		return strings.TrimSpace(string(value))
	}
	return advice(path, os.Geteuid() == 0, read)
}

func advice(path string, root bool, read func(name string) string) string {
	for _, s := range settings {
		if root && !s.root || read(s.name) != s.off {
			continue
		}
		return fmt.Sprintf(": the kernel setting %s is %s: %s", s.name, s.off, strings.ReplaceAll(s.remedy, "%s", path))
	}
	return ""
}
