package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"strings"

	"github.com/hermesboard/hermes/agents/workspace"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// gotBranch is the answer of get --branch.
type gotBranch struct {
	Task events.TaskID `json:"task"`
	Run  events.RunID  `json:"run"`
	Repo string        `json:"repo"`
	workspace.Fetched
}

// getBranch fetches the commits that the last run to hand some back made for a
// task into the repository at into; empty is the current folder. Nothing is
// checked out there and none of its hooks run.
func getBranch(ctx context.Context, x *call, d projections.Detail, store *registry.Artifacts, into string) error {
	if d.Workspace.Kind != events.Repo {
		return &boards.Rejection{Code: "no_branch", Task: d.ID, Detail: fmt.Sprintf("%s has no branch: its workspace is not a repository", d.ID),
			Hint: "hermes kanban get " + d.ID.String() + " copies its files"}
	}
	branch := workspace.Branch(d.Workspace, d.ID)
	row, run := handedBack(d, workspace.BundleName(branch))
	if run.N == 0 {
		return &boards.Rejection{Code: boards.CodeNotFound, Task: d.ID, Detail: fmt.Sprintf("no run of %s has handed back commits on branch %s", d.ID, branch),
			Hint: "hermes kanban runs " + d.ID.String()}
	}
	if !filepath.IsAbs(into) {
		into = filepath.Join(x.Dir, into)
	}
	f, err := store.Open(row.SHA256)
	if err != nil {
		return err
	}
	defer f.Close()
	got, err := workspace.Fetch(ctx, &checked{r: f, sum: sha256.New(), want: row.SHA256},
		workspace.Target{Repo: filepath.Clean(into), Branch: branch, Run: run, Force: x.flag("force")})
	var refused *workspace.Error
	if errors.As(err, &refused) {
		return &boards.Rejection{Code: boards.Code(refused.Code), Task: d.ID, Detail: refused.Detail, Hint: refused.Hint}
	} else if err != nil {
		return err
	}
	if x.json() {
		return x.emit(gotBranch{Task: d.ID, Run: run, Repo: filepath.Clean(into), Fetched: got})
	}
	short := strings.TrimPrefix(got.Ref, "refs/heads/")
	fmt.Fprintln(x.Stdout, short)
	if !x.flag("quiet") {
		x.say("%s of %s in %s, not checked out; look at it there: git log -p %s", plural(got.Commits, "new commit", "new commits"), run, line(filepath.Clean(into)), onTop(got, short))
	}
	return nil
}

// onTop spells the range of commits that a branch added.
func onTop(got workspace.Fetched, branch string) string {
	if got.Base == "" {
		return branch
	}
	return got.Base[:12] + ".." + branch
}

// handedBack is the newest file of a name among a task's, and the run it came
// from: the last one claimed before. It is zero if there is none.
func handedBack(d projections.Detail, name string) (row projections.ArtifactRow, from events.RunID) {
	for _, a := range d.Artifacts {
		if a.Name == name && a.Seq > row.Seq {
			row = a
		}
	}
	var last uint64
	for _, r := range d.Runs {
		if r.Fence > last && r.Fence < row.Seq {
			last, from = r.Fence, r.Run
		}
	}
	return row, from
}

// checked is a stored file that ends with an error if it is not what its name says.
type checked struct {
	r    io.Reader
	sum  hash.Hash
	want events.Digest
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.sum.Write(p[:n])
	if err == io.EOF && events.Digest(c.sum.Sum(nil)) != c.want {
		err = fmt.Errorf("what is stored is not %s", c.want)
	}
	return n, err
}
