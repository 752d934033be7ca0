//go:build unix

package sshbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// The helper serves HTTP on a socket in the session's folder.
const (
	pushPath   = "POST /push/{dir}" // a tar archive
	pullPath   = "GET /pull/{dir}"  // another one
	startPath  = "POST /start"      // an order
	waitPath   = "GET /wait"        // an outcome, when the program has ended
	signalPath = "POST /signal/{number}"
	treePath   = "GET /tree" // 204 if there is none
	killPath   = "POST /kill"
	leavePath  = "POST /leave" // 204 if others have the workspace, too
	holdPath   = "POST /hold"  // bytes, as long as somebody is there
)

// Below the folder of a session, or of its workspace.
const (
	workspaceDir = "ws"
	inputsDir    = "ws/inputs"
	outputsDir   = "ws/outputs"
	socketDir    = "sock"
	programPath  = "bin/hermes"
	lockName     = "lock"
	wholeName    = "whole"
)

// controlName is the socket of a session's helper, and ownName a file that the
// helper keeps locked.
func controlName(id string) string { return "c" + id }
func ownName(id string) string     { return "l" + id }

// verb is the first argument of the helper; reapVerb that of one that looks
// after a helper whose connection was lost.
const (
	verb     = "hermes-ssh-helper"
	reapVerb = "hermes-ssh-reap"
)

// One of the greetings is the line that the helper prints when it serves: to a
// session that fills the workspace, or one that joins another.
const (
	greeting = verb + " ready"
	joining  = verb + " ready to join"
)

// The helper waits for somebody to hold the session for holdTime. Who holds it
// says so at every beat, and the helper takes silence for the end.
const (
	holdTime = 10 * time.Second
	beat     = 15 * time.Second
	silence  = 60 * time.Second
)

// order is what the program is. Everything it names is on the other machine.
type order struct {
	Argv, Env []string
	Dir, Mark string
	Mounts    []string // must exist
	Outputs   bool
	Program   string // linked to where Layout says
	Stdin     bool
	Joined    bool // output and error are one stream
	OpenFiles int
	FileBytes int64
}

// outcome is how the program ended, and how much it wrote.
type outcome struct {
	Status         driver.ExitStatus
	Error          string
	Stdout, Stderr int64
}

// RemoteError is what the other machine could not do.
type RemoteError struct {
	Message string
	// Errno is the cause there, 0 if it is none of the system's.
	Errno syscall.Errno
	// Alive are processes there that could not be ended.
	Alive []int
}

// Error is the message.
func (e *RemoteError) Error() string { return "on the other machine: " + e.Message }

// Unwrap returns the cause, so that errors.Is finds a full disk.
func (e *RemoteError) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// refuse answers a request with an error.
func refuse(w http.ResponseWriter, err error) {
	answer := RemoteError{Message: err.Error()}
	errors.As(err, &answer.Errno)
	var alive *driver.TreeAliveError
	if errors.As(err, &alive) {
		answer.Alive = alive.PIDs
	}
	w.WriteHeader(http.StatusUnprocessableEntity)
	json.NewEncoder(w).Encode(answer) // who asked may be gone
}

// refusal reads such an answer.
func refusal(r *http.Response) error {
	if r.StatusCode < 300 {
		return nil
	}
	var err RemoteError
	if json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20)).Decode(&err) != nil || err.Message == "" {
		return fmt.Errorf("the helper answers %s", r.Status)
	}
	return &err
}
