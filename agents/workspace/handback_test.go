package workspace

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/bwrapbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/localbox"
)

func TestMain(m *testing.M) {
	if err := sandbox.Supervise(); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// boxes are the sandboxes that work here.
func boxes(t *testing.T) []*sandbox.Sandbox {
	t.Helper()
	needGit(t)
	list := []*sandbox.Sandbox{localbox.New()}
	if box := bwrapbox.New(nil); box.Probe(t.Context()).Available {
		list = append(list, box)
	} else {
		t.Log("bubblewrap does not work here; only the local sandbox is tried")
	}
	return list
}

// attempt is a run with a clone.
type attempt struct {
	*Checkout
	dir   string
	box   *sandbox.Sandbox
	agent *sandbox.Spec
}

func newAttempt(t *testing.T, box *sandbox.Sandbox, repo string) *attempt {
	t.Helper()
	a := &attempt{dir: t.TempDir(), box: box}
	var err error
	if a.Checkout, err = Clone(t.Context(), a.dir, source(repo, ""), Limits{}); err != nil {
		t.Fatal(err)
	}
	outputs, inputs := filepath.Join(a.dir, "outputs"), filepath.Join(a.dir, "inputs")
	if err := errors.Join(os.Mkdir(outputs, 0o700), os.Mkdir(inputs, 0o700)); err != nil {
		t.Fatal(err)
	}
	a.agent = &sandbox.Spec{Env: []string{"PATH=/usr/bin:/bin", "HOME=/tmp", "SECRET=swordfish"}, Workspace: filepath.Join(a.dir, "workspace"), Inputs: inputs, Outputs: outputs}
	if !box.Capabilities().Has(driver.NetworkNone) {
		a.agent.Network = sandbox.FullNetwork
	}
	a.agent.Dir = path.Join(box.Layout(a.agent).Workspace, Folder)
	return a
}

// run starts a session and returns its exit code and output.
func (a *attempt) run(t *testing.T, spec *sandbox.Spec) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	spec.Stdout, spec.Stderr = &out, &out
	s, err := a.box.Start(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	status, err := s.Wait()
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return status.Code, out.String()
}

// work runs a script as the agent, then makes the bundle.
func (a *attempt) work(t *testing.T, script string) (code int, log string) {
	t.Helper()
	a.agent.Argv = []string{"/bin/sh", "-ec", script}
	if code, out := a.run(t, a.agent); code != 0 {
		t.Fatalf("the agent ended with code %d: %s", code, out)
	}
	return a.run(t, a.Bundle(a.agent, a.box))
}

func TestHandBack(t *testing.T) {
	for _, box := range boxes(t) {
		t.Run(box.Name(), func(t *testing.T) {
			repo := newRepo(t)
			a := newAttempt(t, box, repo)
			code, log := a.work(t, `echo done > work; git add -A; git commit -qm "work"; git log --format=%an -1 > ../author`)
			if code != 0 || !strings.Contains(log, "1 new commits") {
				t.Fatalf("got code %d: %s", code, log)
			}
			if got := read(t, filepath.Join(a.dir, "workspace", "author")); got != "coder\n" {
				t.Errorf("got author %q, want the agent", got)
			}
			f, _, err := sandbox.OpenArtifact(a.agent.Outputs, BundleName(a.Branch), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got, err := Fetch(t.Context(), f, target(repo))
			if err != nil || got.Commits != 1 || got.Base != a.Base {
				t.Errorf("got %+v, %v, want one commit on %s", got, err, a.Base)
			}
			if got := plainGit(t, repo, "diff", "--stat", "main", "hermes/t7/t7.1"); !strings.Contains(got, "work") || strings.Contains(got, "inputs") {
				t.Errorf("got changes %q, want work alone", got)
			}
		})
	}
}

// What an agent leaves behind may spoil its own hand-back, and nothing else.
func TestHandBackOdd(t *testing.T) {
	const work = `echo x > work; git add -A; git commit -qm work; `
	victim := filepath.Join(t.TempDir(), "victim")
	for _, box := range boxes(t) {
		for _, tt := range []struct {
			name, script string
			fails, none  bool
			says         string
		}{
			{name: "nothing done", script: `true`, none: true, says: "no new commits"},
			{name: "not committed", script: `echo x > work`, none: true, says: "no new commits"},
			{name: "on another branch", script: `git checkout -qb mine; ` + work, none: true, says: "HEAD is not on branch hermes/t7"},
			{name: "branch gone", script: `git checkout -q --detach; git branch -qD hermes/t7`, none: true, says: "no branch hermes/t7"},
			{name: "rewritten", script: `git checkout -q --orphan new; ` + work + `git branch -qf hermes/t7; git checkout -q hermes/t7`, says: "1 new commits"},
			{name: "no repository", script: `rm -rf .git`, none: true, says: "no branch"},
			{name: "link in the way", script: work + `ln -s ` + victim + ` "$OUT/hermes-t7.bundle"`, says: "1 new commits"},
			{name: "folder in the way", script: work + `mkdir -p "$OUT/hermes-t7.bundle/x"`, fails: true},
			{name: "configured", script: work + `printf '#!/bin/sh\ntouch "` + victim + `"\nexit 1\n' > ../c; chmod +x ../c
				for k in core.fsmonitor core.pager diff.external core.alternateRefsCommand; do git config $k "$PWD/../c"; done
				mkdir .git/hooks; for h in post-checkout reference-transaction; do cp ../c .git/hooks/$h; done`, says: "1 new commits"},
		} {
			t.Run(box.Name()+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				a := newAttempt(t, box, newRepo(t))
				a.agent.Env = append(a.agent.Env, "OUT="+box.Layout(a.agent).Outputs)
				code, log := a.work(t, tt.script)
				if (code != 0) != tt.fails || !strings.Contains(log, tt.says) {
					t.Errorf("got code %d: %s", code, log)
				}
				if strings.Contains(log, "swordfish") {
					t.Error("the agent's environment was handed on")
				}
				f, _, err := sandbox.OpenArtifact(a.agent.Outputs, BundleName(a.Branch), 1<<20)
				switch {
				case err == nil:
					f.Close()
					if tt.none || tt.fails {
						t.Error("there is a bundle")
					}
				case !tt.none && !tt.fails:
					t.Error(err)
				case tt.none && !errors.Is(err, fs.ErrNotExist):
					t.Errorf("got %v, want fs.ErrNotExist", err)
				}
				if _, err := os.Lstat(victim); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("something was written where a link led: %v", err)
				}
			})
		}
	}
}

func TestCheck(t *testing.T) {
	a := &agents.Agent{Name: "coder"}
	for _, box := range boxes(t) {
		if err := Check(t.Context(), a, "/usr/local/bin:/usr/bin:/bin", box); err != nil {
			t.Errorf("%s: %v", box.Name(), err)
		}
		for _, search := range []string{"/nonexistent", "", "relative"} {
			var p *agents.Problem
			if err := Check(t.Context(), a, search, box); !errors.As(err, &p) || p.Code != "runtime_missing" || p.Agent != "coder" {
				t.Errorf("%s with PATH %q: got %v, want runtime_missing", box.Name(), search, err)
			}
		}
	}
	t.Setenv("PATH", t.TempDir())
	var p *agents.Problem
	if err := Check(t.Context(), a, "/usr/bin", localbox.New()); !errors.As(err, &p) || p.Code != "runtime_missing" {
		t.Errorf("without git on the host: got %v, want runtime_missing", err)
	}
	_, err := Clone(t.Context(), t.TempDir(), source("/srv/x", ""), Limits{})
	wantCode(t, err, CodeNoGit)
}
