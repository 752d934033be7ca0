package main

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"
)

// follow starts a verb that goes on until it is cancelled, and returns its
// lines and a way to end it.
func (d *desk) follow(line string) (next func() string, end func() int) {
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, d.env(w, io.Discard, append([]string{"kanban"}, split(line)...)...))
		w.Close()
	}()
	lines := bufio.NewScanner(r)
	next = func() string {
		d.t.Helper()
		if !lines.Scan() {
			d.t.Fatalf("%s ended: %v", line, lines.Err())
		}
		return lines.Text()
	}
	return next, func() int {
		cancel()
		go io.Copy(io.Discard, r)
		return <-code
	}
}

// TestTailAndWatch: events are printed while others work on the board, also
// where no gateway holds it.
func TestTailAndWatch(t *testing.T) {
	d := newDesk(t)
	d.does("create", "first")
	d.does("create", "second", "-a", "res")
	tail, endTail := d.follow("tail t1 --interval 0.05")
	if got := tail(); !matches(`^\d\d:\d\d:\d\d  3  kai.*created t1`, got) {
		t.Errorf("tail: got %q", got)
	}
	d.does("comment", "t2", "not for tail")
	d.does("comment", "t1", "for tail")
	if got := tail(); !strings.Contains(got, "for tail") || strings.Contains(got, "not") {
		t.Errorf("tail: got %q", got)
	}
	if code := endTail(); code != exitInterrupted {
		t.Errorf("tail: got exit %d, want %d", code, exitInterrupted)
	}

	watch, endWatch := d.follow(`watch --kinds completed,blocked --assignee res --tenant "" --interval 50ms --json`)
	woken := make(chan string)
	go func() { woken <- watch() }()
	d.does("block", "t1") // another assignee
	d.does("comment", "t2", "another type")
	d.does("complete", "t2", "--summary", "it is done")
	for {
		select {
		case got := <-woken:
			if event := reads[struct {
				Record object `json:"record"`
			}](t, got); event.Record["type"] != "task.completed" {
				t.Errorf("watch: got %s", got)
			}
			endWatch()
			return
		default: // the watch may have begun after that event: make another one
			d.does("reopen", "t2")
			d.does("complete", "t2")
		}
	}
}
