package supervise

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/workspace"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// Files in a run's folder.
const (
	SpecFile  = "spec.json"
	RunnerLog = "runner.log" // what went wrong with the supervisor itself
	LogFile   = "log"        // the agent's output, to be read
	RawLog    = "log.raw"    // the output as it came, of programs that write JSON
)

// Logs are the files in a run's folder that only tell what happened. The end
// of a log is in the file without a number.
var Logs = []string{RunnerLog, LogFile, LogFile + older, RawLog, RawLog + older}

// Spec is all a supervisor is told. It holds the run's token in plain text, so
// its file is 0600 and never mounted.
type Spec struct {
	Assignment boards.Assignment `json:"assignment"`
	Agent      agents.Agent      `json:"agent"`
	Token      string            `json:"token"`
	Home       string            `json:"home"`
	BoardDir   string            `json:"board_dir"`     // boards/<slug>
	SocketDir  string            `json:"socket_dir"`    // for the worker socket; short, 0700
	Program    string            `json:"program"`       // the hermes binary
	Mark       string            `json:"mark"`          // marks the processes of this run
	Keep       bool              `json:"keep,omitzero"` // keep the folders of a run that passed, to be looked at
	Env        []string          `json:"env"`           // the host's variables the agent may see, KEY=value
}

// Dir is the run's folder.
func (s Spec) Dir() string { return RunDir(s.BoardDir, s.Assignment.Run) }

// RunDir is the folder of a run.
func RunDir(boardDir string, run events.RunID) string {
	return filepath.Join(boardDir, "runs", run.String())
}

// Names among the folders of runs: one that waits for its run, and one that is
// not whole yet.
const (
	next    = ".next"
	growing = ".growing"
)

// PrepareFolder makes the folder of the next run of a board in advance, as far
// as that can be done without knowing it. One that waits already stays. One
// call at a time for a board.
func PrepareFolder(boardDir string) error {
	runs := filepath.Join(boardDir, "runs")
	if _, err := os.Lstat(filepath.Join(runs, next)); err == nil {
		return nil
	}
	dir := filepath.Join(runs, growing)
	for _, part := range workspace.Parts {
		if err := os.MkdirAll(filepath.Join(dir, part), 0o700); err != nil {
			return err
		}
	}
	for _, name := range []string{SpecFile, RunnerLog, LogFile} {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return os.Rename(dir, filepath.Join(runs, next))
}

// Write makes the run's folder and puts the spec into it. What an earlier board
// had under the same name, before it was restored to an older state, is moved
// aside: nothing of it belongs to this run.
func (s Spec) Write() error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("run %s: %w", s.Assignment.Run, err)
	}
	dir := s.Dir()
	err = s.makeDir(dir)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) {
		if err := workspace.SetAside(filepath.Dir(dir), s.Assignment.Run, s.Assignment.Fence); err != nil {
			return err
		}
		err = s.makeDir(dir)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, SpecFile), b, 0o600)
}

// inherits reports whether the run's folders come from somewhere else: from an
// earlier attempt or a repository.
func (s Spec) inherits() bool {
	return s.Assignment.Run.N > 1 || s.Assignment.Workspace.Kind == events.Repo
}

// makeDir makes the run's folder of the one that waits, if that will do.
func (s Spec) makeDir(dir string) error {
	if !s.inherits() && s.Assignment.Workspace.Kind != events.Dir {
		if err := os.Rename(filepath.Join(filepath.Dir(dir), next), dir); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o700)
}

// ReadSpec reads the spec in a run's folder.
func ReadSpec(dir string) (Spec, error) {
	var s Spec
	b, err := os.ReadFile(filepath.Join(dir, SpecFile))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("%s: %w", filepath.Join(dir, SpecFile), err)
	}
	return s, nil
}
