//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/agents/supervise"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/events"
)

// TestHostileWorker: what an agent may not is refused with a code and recorded
// in bounds, and harms no other run.
func TestHostileWorker(t *testing.T) {
	t.Parallel()
	p := newPlace(t, map[string]string{"quick": agentScripts["quick"]}, nil)
	program, err := exec.LookPath("hostile")
	if err != nil {
		t.Fatal(err)
	}
	p.agent("hostile", program)
	g := p.gateway()
	other := p.create("quick") // t1
	eventually(t, "the first ends", p.done(other))
	evil := p.create("hostile")
	var good []string
	for range 5 {
		good = append(good, p.create("quick"))
	}
	for _, id := range append(good, evil) {
		eventually(t, id+" ends", p.done(id))
	}
	p.endsAs(evil, "completed")
	if g.over() {
		t.Fatalf("the gateway ended: %s", g.log)
	}

	said := map[string]string{}
	log := p.must("kanban", "log", evil)
	for line := range strings.Lines(log) {
		what, answer, _ := strings.Cut(strings.TrimSpace(line), " ")
		said[what] = answer
	}
	for what, want := range map[string]string{
		"other-comment": "done", "no-task": "not_found", "list": "not_yours", "unblock": "not_yours", "approve": "wrong_status",
		"unknown-field": "bad_command", "unknown-tool": "unknown_tool", "foreign-file": "artifact_missing", "huge": "error", "half": "done", "complete": "done",
	} {
		if said[what] != want {
			t.Errorf("%s: got %q, want %q", what, said[what], want)
		}
	}
	for i := range 9 {
		if got := said[fmt.Sprint("name-", i)]; got != "bad_command" {
			t.Errorf("name %d: got %q, want it refused", i, got)
		}
	}
	var done, refused, failed int
	if fmt.Sscan(said["flood"], &done, &refused, &failed); done > 2*worker.MaxCallsPerSec+5 || refused == 0 || failed > 0 {
		t.Errorf("flood: %d calls went through, %d were refused, %d failed", done, refused, failed)
	}
	if strings.ContainsAny(log, "\x1b\x07\r\u202e") {
		t.Errorf("the log moves the terminal: %q", log)
	}
	if strings.Contains(p.must("kanban", "show", evil), "\x1b") {
		t.Error("show moves the terminal")
	}
	p.recordedInBounds(evil)
	p.tokenIsVoid(evil)
	t.Logf("flood: %d calls went through, %d were refused", done, refused)
}

// recordedInBounds: refused calls are on record once a code and minute, signs
// of life once a minute.
func (p *place) recordedInBounds(id string) {
	p.t.Helper()
	b := p.open()
	defer b.Close()
	task, err := events.ParseTaskID(id)
	if err != nil {
		p.t.Fatal(err)
	}
	refusals, beats := map[string]int{}, 0
	for _, data := range p.history(b, task) {
		switch e := data.(type) {
		case events.CallRefused:
			refusals[e.Code]++
		case events.RunHeartbeat:
			beats++
		}
	}
	for _, code := range []string{"too_fast", "not_yours", "bad_command"} {
		if n := refusals[code]; n < 1 || n > 2 {
			p.t.Errorf("refusals as %s are on record %d times, want once a minute", code, n)
		}
	}
	if beats > 2 {
		p.t.Errorf("%d heartbeats are on record, want one a minute", beats)
	}
}

// tokenIsVoid: with the credential of a run that has ended nothing can be done.
func (p *place) tokenIsVoid(id string) {
	p.t.Helper()
	spec, err := supervise.ReadSpec(filepath.Join(p.home.Paths("acme").Runs, id+".1"))
	if err != nil {
		p.t.Fatal(err)
	}
	socket, err := p.home.SocketPath(spec.Assignment.Board)
	if err != nil {
		p.t.Fatal(err)
	}
	for token, codes := range map[string][]string{spec.Token: {"forbidden", "stale_run", "already"}, strings.Repeat("0", len(spec.Token)): {"forbidden"}} {
		door := api.DialRun(socket, token, version())
		for _, c := range []boards.Command{
			boards.CompleteTask{Task: spec.Assignment.Run.Task}, boards.CompleteTask{Task: 1}, boards.CommentTask{Task: 1, Body: "x"},
			boards.EndRun{Run: spec.Assignment.Run, Outcome: events.OutcomeCrashed}, boards.CreateTasks{Tasks: []boards.NewTask{{Title: "x"}}},
		} {
			_, err := door.Do(p.t.Context(), owner.NewCommandID(), c)
			if code := explainError(err).Code; err == nil || !slices.Contains(codes, code) {
				p.t.Errorf("%s after the end: got %v (%s), want one of %v", c.CommandName(), err, code, codes)
			}
		}
		door.Close()
	}
}
