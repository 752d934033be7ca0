//go:build linux

package canary

import (
	"strings"
	"testing"
)

func TestAdvice(t *testing.T) {
	restricted := map[string]string{"kernel.apparmor_restrict_unprivileged_userns": "1"}
	for _, c := range []struct {
		what   string
		host   map[string]string
		root   bool
		want   []string
		silent bool
	}{
		{"nothing is known", nil, false, nil, true},
		{"all is allowed", map[string]string{"user.max_user_namespaces": "15000", "kernel.unprivileged_userns_clone": "1",
			"kernel.apparmor_restrict_unprivileged_userns": "0"}, false, nil, true},
		{"Ubuntu", restricted, false, []string{"/usr/bin/bwrap", "AppArmor profile", "userns", "kernel.apparmor_restrict_unprivileged_userns is 1"}, false},
		{"root on Ubuntu", restricted, true, nil, true},
		{"none for anybody", map[string]string{"user.max_user_namespaces": "0"}, true, []string{"user.max_user_namespaces is 0", "a few thousand"}, false},
		{"none for users", map[string]string{"kernel.unprivileged_userns_clone": "0"}, false, []string{"kernel.unprivileged_userns_clone is 0", "set it to 1"}, false},
	} {
		got := advice("/usr/bin/bwrap", c.root, func(name string) string { return c.host[name] })
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: got %q, want %q in it", c.what, got, want)
			}
		}
		if c.silent != (got == "") {
			t.Errorf("%s: got %q, want silence %v", c.what, got, c.silent)
		}
	}
}
