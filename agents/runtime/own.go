package runtime

import (
	"encoding/json"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// plain is what the runtimes have in common that write for people.
type plain struct{}

func (plain) Version() Version                     { return Version{} }
func (plain) Kept(fs.FS, string) bool              { return false }
func (plain) read([]byte, *Summary) (string, bool) { return "", false }

// builtin is the agents that need no model.
type builtin struct{ plain }

func (builtin) Kind() string { return "builtin" }

func (builtin) Plan(f *Facts) (*Plan, error) {
	return &Plan{Argv: []string{f.Places.Hermes, "worker", "builtin", f.Agent.Runtime.Name}}, nil
}

// command is any program of the operator's.
type command struct{ plain }

func (command) Kind() string { return "command" }

func (command) Plan(f *Facts) (*Plan, error) {
	replace := strings.NewReplacer("{workspace}", f.Places.Workspace, "{inputs}", f.Places.Inputs, "{outputs}", f.Places.Outputs,
		"{task}", f.Task, "{run}", f.Run, "{board}", f.Board, "{socket}", f.Places.Socket, "{hermes}", f.Places.Hermes)
	p := &Plan{}
	for _, arg := range f.Agent.Runtime.Command {
		p.Argv = append(p.Argv, replace.Replace(arg))
	}
	if f.Agent.Endpoint != nil {
		p.Env = map[string]string{"HERMES_MODEL_URL": f.BaseURL, "HERMES_MODEL_TOKEN": f.Token}
	}
	return p, nil
}

// model is the agent of our own: a loop over a model's API. Its settings are a
// file, its output is that of a stream of objects.
type model struct{ plain }

func (model) Kind() string { return "model" }

// ModelConfig is what the agent of our own reads from the file that its
// --config names.
type ModelConfig struct {
	API          string   `json:"api"` // a kind of [agents.Endpoint]
	BaseURL      string   `json:"base_url"`
	Model        string   `json:"model"`
	Tools        []string `json:"tools"`        // of read, write, list and shell
	Instructions string   `json:"instructions"` // besides the prompt, which is its standard input
	MaxTurns     int      `json:"max_turns"`    // 0 = its own limit
	Transcript   string   `json:"transcript"`   // the conversation: appended to, read first if resume is set
	Resume       bool     `json:"resume"`
	Reads        []string `json:"reads"` // folders that may be read besides the run's own
}

func (model) Plan(f *Facts) (*Plan, error) {
	id := f.conversation()
	b, err := json.MarshalIndent(ModelConfig{
		API: f.Agent.Endpoint.Kind, BaseURL: f.BaseURL, Model: f.model(), Tools: f.Agent.Runtime.Tools,
		Instructions: f.told(), MaxTurns: f.turns(), Transcript: path.Join(f.Places.State, modelDir, id+".jsonl"), Resume: f.Resume != "",
		Reads: f.reads(),
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	return &Plan{
		Argv:  []string{f.Places.Hermes, "worker", "model", "--socket", f.Places.Socket, "--config", path.Join(f.Places.Config, "model.json")},
		Env:   map[string]string{tokenVariable: f.Token},
		Files: map[string]string{"model.json": string(b)},
		Home:  modelDir, Conversation: id,
		Stdin: f.Prompt,
	}, nil
}

// modelDir holds the transcripts of our own agent in the state folder.
const modelDir = "model"

func (model) Kept(state fs.FS, id string) bool {
	return isFile(state, path.Join(modelDir, id+".jsonl"))
}

// tokenVariable has the token of the attempt for programs that let us choose.
const tokenVariable = "HERMES_MODEL_TOKEN"

// dollars is an amount as programs want it on their command line.
func dollars(micro int64) string {
	return strconv.FormatFloat(float64(micro)/1e6, 'f', -1, 64)
}
