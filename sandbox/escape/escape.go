package escape

import (
	"errors"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// Outcome is what became of an attempt.
type Outcome string

// An attempt is contained, open, or says nothing on this host.
const (
	Contained   Outcome = "contained"
	Open        Outcome = "open"
	NotTestable Outcome = "not testable here"
)

// Result is the outcome of one attempt.
type Result struct {
	ID      string  `json:"id"`    // F1, N16, …
	Theme   string  `json:"theme"` // what the letter stands for
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	// Detail is what got out, or why nothing could be told.
	Detail string `json:"detail,omitzero"`
	// Needs names the capability that promises containment. Empty: every
	// backend owes it, or the supervisor does.
	Needs string `json:"needs,omitzero"`
	// Claimed reports whether the backend declares that capability.
	Claimed bool `json:"claimed"`
}

// Broken reports whether the attempt succeeded where the backend says that it
// cannot.
func (r Result) Broken() bool { return r.Outcome == Open && r.Claimed }

// Options change how Run works. Nil means defaults.
type Options struct {
	// Program is the static binary that runs inside; empty is this one.
	Program string
	// Args make it call Inside with the arguments that follow.
	Args []string
	// Only are the ids of the attempts to make; nil is all.
	Only []string
	// Display makes a name or a line that came from inside fit for a terminal;
	// nil quotes it.
	Display func(string) string
	// Each is told every result as it comes; nil for none.
	Each func(Result)
	// Controls keeps what came of attempts on the control, which are then made
	// once for all calls that share it; nil makes them each time.
	Controls *Controls
}

// Controls are the outcomes of attempts without a sandbox, of one program. The
// zero value has none. It is not safe for concurrent use.
type Controls struct{ known map[string]control }

// control is what came of an attempt without a sandbox.
type control struct {
	open bool
	err  error
}

// ErrUnsupported is returned by Run where attempts were not written for.
var ErrUnsupported = errors.New("escape attempts need Linux on amd64 or arm64")

// themes are what the letters of ids stand for.
var themes = map[byte]string{
	'F': "files", 'P': "processes", 'N': "sockets and network", 'K': "kernel", 'R': "resources", 'H': "hand-back", 'M': "more",
}

func result(id, name string, needs driver.Capabilities, box *sandbox.Sandbox) Result {
	r := Result{ID: id, Theme: themes[id[0]], Name: name, Claimed: box.Capabilities().Has(needs)}
	if needs != 0 {
		r.Needs = needs.String()
	}
	return r
}
