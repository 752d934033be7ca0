package supervise

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// SpecFile is the name of the spec in a run's folder.
const SpecFile = "spec.json"

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

// Write makes the run's folder and puts the spec into it. What an earlier board
// had under the same name, before it was restored to an older state, is moved
// aside: nothing of it belongs to this run.
func (s Spec) Write() error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("run %s: %w", s.Assignment.Run, err)
	}
	dir := s.Dir()
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	err = os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		if err := os.Rename(dir, dir+"-before-"+strconv.FormatUint(s.Assignment.Fence, 10)+"-"+rand.Text()[:6]); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, SpecFile), b, 0o600)
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
