//go:build linux

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hermesboard/hermes/events"
)

// census watches from outside which runs have processes, for as long as it runs.
type census struct {
	p    *place
	stop chan struct{}
	done chan struct{}

	mu    sync.Mutex
	looks int
	most  int                  // runs with processes at one moment
	two   []string             // tasks that had two at once
	last  map[string]time.Time // when a process of a run was last seen
}

func (p *place) census() *census {
	c := &census{p: p, stop: make(chan struct{}), done: make(chan struct{}), last: make(map[string]time.Time)}
	go c.run()
	return c
}

func (c *census) run() {
	defer close(c.done)
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-tick.C:
			c.look()
		}
	}
}

func (c *census) look() {
	byTask := make(map[string]map[string]proc)
	now := time.Now()
	for _, s := range c.p.processes() {
		task, run := s.get("HERMES_TASK"), s.get("HERMES_RUN")
		if run == "" {
			continue
		}
		if byTask[task] == nil {
			byTask[task] = make(map[string]proc)
		}
		byTask[task][run] = s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, runs := range byTask {
		for run := range runs {
			c.last[run] = now
		}
	}
	c.looks++
	c.most = max(c.most, len(byTask))
	for task, runs := range byTask {
		if len(runs) < 2 {
			continue
		}
		// They were seen one after the other: they overlap if all still live.
		if alive := slices.DeleteFunc(slices.Collect(maps.Values(runs)), func(s proc) bool { return !s.alive() }); len(alive) > 1 {
			c.two = append(c.two, fmt.Sprintf("%s has processes of %v", task, slices.Sorted(maps.Keys(runs))))
		}
	}
}

// saw reports whether there was a process of a run at some moment.
func (c *census) saw() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most > 0
}

func (c *census) end() (looks, most int, two []string) {
	close(c.stop)
	<-c.done
	return c.looks, c.most, c.two
}

// outlived compares what was seen with what the log says: no process of a run
// may be there once its end is on record. Call it after end.
func (c *census) outlived(log []events.Record) (wrong []string) {
	for _, r := range log {
		_, ended := r.Data.(events.RunEnded)
		if last := c.last[r.Run.String()]; ended && last.After(r.Time.Time()) {
			wrong = append(wrong, fmt.Sprintf("%v had processes %s after its end", r.Run, last.Sub(r.Time.Time())))
		}
	}
	return wrong
}

// TestCensusSeesTwoTrees has a second supervisor start a task that runs.
func TestCensusSeesTwoTrees(t *testing.T) {
	t.Parallel()
	p := newPlace(t, agentScripts, nil)
	g := p.gateway()
	task := p.create("long")
	first := p.agentOf(task)
	c := p.census()
	second := p.command(t.Context(), "version")
	second.Path, second.Args = "/bin/sleep", []string{"sleep", "30"}
	second.Env = append(slices.Clone(first.env), "")
	for i, e := range second.Env {
		if strings.HasPrefix(e, "HERMES_RUN=") {
			second.Env[i] = "HERMES_RUN=" + task + ".2"
		}
	}
	second.Env = slices.DeleteFunc(second.Env, func(e string) bool { return e == "" || strings.HasPrefix(e, "HERMES_MARK=") })
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the census reports it", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.two) > 0
	})
	c.end()
	second.Process.Kill()
	second.Wait()
	g.signal(stopRuns)
	g.ends(stopWithin)
}
