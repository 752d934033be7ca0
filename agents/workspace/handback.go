package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// BundleName is the file among a run's outputs, and the artifact, in which a
// branch is handed back.
func BundleName(branch string) string { return strings.ReplaceAll(branch, "/", "-") + ".bundle" }

// bundleScript makes the bundle $3 of what branch $1 has beyond commit $2. What
// it prints is for the run's log. Its file is absent if there is nothing.
const bundleScript = `
git() { command git --no-pager -c safe.directory=* -c core.fsmonitor=false -c core.hooksPath=/dev/null -c protocol.allow=never "$@"; }
rm -f -- "$3" || exit 1
if ! tip=$(git rev-parse --verify --quiet "refs/heads/$1^{commit}"); then
	echo "hermes: there is no branch $1 any more, so no commits are handed back"
	exit 0
fi
new=$(git rev-list --count "$2..$tip") || exit 1
head=$(git rev-parse --verify --quiet HEAD)
if [ "$head" != "$tip" ]; then
	echo "hermes: HEAD is not on branch $1; only that branch is handed back"
fi
if [ "$new" = 0 ]; then
	echo "hermes: branch $1 has no new commits to hand back"
	exit 0
fi
git bundle create --quiet "$3" "$2..refs/heads/$1" || exit 1
echo "hermes: $new new commits of branch $1 are handed back"
`

// Bundle describes the session that makes the bundle, from the spec of the
// agent's own: same sandbox, workspace, outputs, limits and log, but without
// socket, inputs, mounts, program and the agent's environment, and without a
// network where the sandbox can do without. Start it when the agent's tree is
// gone, and bound its time. It ends with code 0 if the bundle is made or there
// is nothing to hand back; then BundleName(c.Branch) is missing from the
// outputs. That file is an agent's: open it with sandbox.OpenArtifact.
func (c *Checkout) Bundle(agent *sandbox.Spec, box *sandbox.Sandbox) *sandbox.Spec {
	mark := agent.Mark
	if mark != "" {
		mark += "bundle" // the agent's own session, which may still live, has the other
	}
	spec := &sandbox.Spec{
		Mark: mark, Workspace: agent.Workspace, Outputs: agent.Outputs, Limits: agent.Limits,
		Stdout: agent.Stdout, Stderr: agent.Stderr, Env: gitEnv(variable(agent.Env, "PATH", agents.DefaultPath)),
	}
	if !box.Capabilities().Has(driver.NetworkNone) {
		spec.Network = sandbox.FullNetwork
	}
	in := box.Layout(spec)
	spec.Dir = path.Join(in.Workspace, Folder)
	spec.Env = append(spec.Env, "GIT_CEILING_DIRECTORIES="+in.Workspace) // no repository around it is meant
	spec.Argv = []string{"/bin/sh", "-c", bundleScript, "bundle", c.Branch, c.Base, path.Join(in.Outputs, BundleName(c.Branch))}
	return spec
}

// gitEnv is the environment of git inside.
func gitEnv(search string) []string {
	return []string{"PATH=" + search, "HOME=/tmp", "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_TERMINAL_PROMPT=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_NO_LAZY_FETCH=1"}
}

func variable(env []string, key, otherwise string) string {
	for _, entry := range env {
		if v, ok := strings.CutPrefix(entry, key+"="); ok {
			return v
		}
	}
	return otherwise
}

// Check reports whether an agent can work in a clone: git must be there on this
// host and inside the agent's sandbox, where search is the agent's PATH. Inside
// an isolating sandbox it is tried out, which takes some milliseconds; keep the
// answer. The error is an *[agents.Problem].
func Check(ctx context.Context, a *agents.Agent, search string, box *sandbox.Sandbox) error {
	missing := func(format string, v ...any) error {
		return &agents.Problem{Code: CodeNoGit, Agent: a.Name, Detail: fmt.Sprintf("agent %s: a workspace of kind repo needs git: ", a.Name) + fmt.Sprintf(format, v...)}
	}
	if _, err := newGit(Limits{}); err != nil {
		return missing("it is not installed on this host")
	}
	if !box.Capabilities().Has(driver.Files) {
		for _, dir := range filepath.SplitList(search) {
			if _, err := exec.LookPath(filepath.Join(dir, "git")); err == nil && filepath.IsAbs(dir) {
				return nil
			}
		}
		return missing("it is not in the agent's PATH (%s)", search)
	}
	if err := tryGit(ctx, a, search, box); err != nil {
		return missing("inside sandbox %s: %v", box.Name(), err)
	}
	return nil
}

// tryGit runs git in the agent's sandbox.
func tryGit(ctx context.Context, a *agents.Agent, search string, box *sandbox.Sandbox) (err error) {
	dir, err := os.MkdirTemp("", "hermes-git-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out := &bounded{most: 1 << 10, drop: true}
	spec := &sandbox.Spec{Argv: []string{"git", "--version"}, Env: gitEnv(search), Workspace: dir, Stdout: out, Stderr: out}
	for _, m := range a.Terminal.Mounts {
		spec.Mounts = append(spec.Mounts, sandbox.Mount{Host: m, Inside: m})
	}
	s, err := box.Start(ctx, spec)
	if err != nil {
		return err
	}
	status, err := s.Wait()
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	if status.Code != 0 || !bytes.HasPrefix(out.Bytes(), []byte("git version ")) {
		return fmt.Errorf("git --version ended with code %d: %s", status.Code, strings.TrimSpace(agents.Plain(out.String())))
	}
	return nil
}
