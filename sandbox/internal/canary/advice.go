//go:build linux

package canary

import (
	"fmt"
	"os"
	"strings"
)

// restricted is the switch by which Ubuntu keeps user namespaces from programs.
const restricted = "kernel.apparmor_restrict_unprivileged_userns"

// Advice says what to do on a system that keeps user namespaces from the
// program at path, to be put behind an error; it is empty elsewhere.
func Advice(path string) string {
	on, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(restricted, ".", "/"))
	if err != nil || os.Geteuid() == 0 {
		return ""
	}
	return advice(path, string(on))
}

func advice(path, on string) string {
	if strings.TrimSpace(on) != "1" {
		return ""
	}
	return fmt.Sprintf("; this system keeps user namespaces from programs without an AppArmor profile:"+
		" make one for %s with the rule userns (SECURITY.md shows it), or lift it for all: sysctl %s=0", path, restricted)
}
