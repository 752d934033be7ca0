//go:build linux

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// underSystemd goes through the life of a gateway with a real systemd of this
// user, which sees a /run of its own.
const underSystemd = `set -eu
mount -t tmpfs none /run
mkdir -p /run/systemd/system /run/user/0
chmod 700 /run/user/0
export XDG_RUNTIME_DIR=/run/user/0
/lib/systemd/systemd --user --log-target=console --log-level=err --unit=default.target & manager=$!
trap 'hermes gateway uninstall; kill $manager; sleep 1; kill -9 $manager 2>/dev/null || true' EXIT
until systemctl --user is-system-running >/dev/null 2>&1; do sleep 0.1; done
main() { systemctl --user show -p MainPID --value hermes-gateway-default.service; }
up() { hermes gateway status | grep -q "gateway up .*(PID $1)"; }

hermes gateway start
hermes gateway install 2>&1 | grep "runs on without systemd"
hermes gateway restart
first=$(main); test "$first" != 0; up "$first"
kill -9 "$first"
until test "$(main)" != 0 && test "$(main)" != "$first" && up "$(main)"; do sleep 0.2; done
hermes gateway stop
test "$(main)" = 0
hermes gateway start 2>&1 | grep "started by systemd"
up "$(main)"
hermes gateway logs | grep "gateway up"
hermes gateway uninstall
test ! -e "$HOME/.config/systemd/user/hermes-gateway-default.service"
hermes gateway status 2>&1 | grep "no gateway runs here"
echo all is well
`

// TestSystemd: an installed gateway is systemd's; start, stop and restart go on
// meaning the same, and it comes back when it was killed.
func TestSystemd(t *testing.T) {
	if os.Getenv("HERMES_TEST_SYSTEMD") == "" {
		t.Skip("HERMES_TEST_SYSTEMD is not set: it starts a systemd, as root")
	}
	p := emptyPlace(t, t.TempDir())
	cmd := exec.CommandContext(t.Context(), "timeout", "-k", "5", "60", "unshare", "--mount", "--propagation", "private", "bash", "-c", underSystemd)
	cmd.Env = append(p.env, "HOME="+t.TempDir(), "PATH="+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "all is well") {
		t.Errorf("%v\n%s", err, out)
	}
}
