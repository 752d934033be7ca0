//go:build linux

package canary

import (
	"strings"
	"testing"
)

func TestAdvice(t *testing.T) {
	got := advice("/usr/bin/bwrap", "1\n")
	for _, want := range []string{"/usr/bin/bwrap", "AppArmor profile", "userns", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
	if got := advice("/usr/bin/bwrap", "0\n"); got != "" {
		t.Errorf("got %q where nothing is restricted, want nothing", got)
	}
}
