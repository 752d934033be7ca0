package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
)

// replayPlan says what a replay tells, and how fast.
type replayPlan struct {
	from, to     uint64
	since, until events.Time // 0 = open
	task         events.TaskID
	run          events.RunID
	tenant       *string
	actor        string
	types        []string
	limit        int
	speed        float64 // 0 = at once

	where *time.Location
	zone  string // its name
}

func (x *call) replayPlan(now time.Time) (*replayPlan, error) {
	p := &replayPlan{from: 1, to: math.MaxUint64, actor: x.str("actor"), limit: x.num("limit")}
	p.where, p.zone = x.zone()
	for _, name := range []string{"from", "to", "at", "limit"} {
		if x.isSet(name) && x.num(name) < 1 {
			return nil, usagef("--%s wants a number from 1 on", name)
		}
	}
	if x.isSet("from") {
		p.from = uint64(x.num("from"))
	}
	if x.isSet("to") {
		p.to = uint64(x.num("to"))
	}
	if x.isSet("tenant") {
		tenant := x.str("tenant")
		p.tenant = &tenant
	}
	err := errors.Join(x.planTimes(p, now.In(p.where)), x.planSubject(p), x.planTypes(p), x.planSpeed(p))
	if err == nil && x.isSet("at") {
		for _, name := range []string{"since", "until", "from", "to", "task", "run", "actor", "type", "speed", "limit"} {
			if x.isSet(name) {
				return nil, usagef("--at prints the whole board; --%s does not go with it", name)
			}
		}
	}
	return p, err
}

func (x *call) planTimes(p *replayPlan, now time.Time) (err error) {
	if s := x.str("since"); s != "" {
		if p.since, err = parseWhen(s, now, -1); err != nil {
			return err
		}
	}
	if s := x.str("until"); s != "" {
		if p.until, err = parseWhen(s, now, -1); err != nil {
			return err
		}
	}
	return nil
}

func (x *call) planSubject(p *replayPlan) (err error) {
	if s := x.str("task"); s != "" {
		ids, err := x.taskIDs([]string{s})
		if err != nil {
			return err
		}
		p.task = ids[0]
	}
	if s := x.str("run"); s != "" {
		if slug, id, ok := strings.Cut(s, "/"); ok {
			x.slug, s = slug, id
		}
		if p.run, err = events.ParseRunID(s); err != nil {
			return usagef("%v", err)
		}
		if p.task != 0 && p.task != p.run.Task {
			return usagef("run %s is not of task %s", p.run, p.task)
		}
		p.task = p.run.Task
	}
	return nil
}

// planTypes checks the names of event types, which may stop at the dot.
func (x *call) planTypes(p *replayPlan) error {
	var known []string
	for _, k := range events.Catalog() {
		noun, _, _ := strings.Cut(string(k.Type), ".")
		known = append(known, string(k.Type), noun)
	}
	for _, words := range x.list("type") {
		for _, w := range strings.Split(words, ",") {
			w = strings.TrimSuffix(w, ".")
			if !slices.Contains(known, w) {
				hint := suggest(w, known, "--type ")
				if hint == "" {
					hint = "there are for example task.created, task.blocked, run.ended, policy.changed"
				}
				return &usageError{msg: fmt.Sprintf("--type %q is unknown", w), hint: hint}
			}
			p.types = append(p.types, w)
		}
	}
	return nil
}

func (x *call) planSpeed(p *replayPlan) (err error) {
	if !x.isSet("speed") {
		return nil
	}
	p.speed, err = strconv.ParseFloat(x.str("speed"), 64)
	if err != nil || !(p.speed > 0) || math.IsInf(p.speed, 0) {
		return usagef("--speed %q is not a number above 0", x.str("speed"))
	}
	return nil
}

// wants reports whether the plan tells of a record.
func (p *replayPlan) wants(r *events.Record) bool {
	t := string(r.Data.Type())
	noun, _, _ := strings.Cut(t, ".")
	switch {
	case p.since != 0 && r.Time < p.since, p.until != 0 && r.Time > p.until,
		p.run != events.RunID{} && r.Run != p.run,
		p.tenant != nil && r.Tenant != *p.tenant,
		p.actor != "" && r.Actor.Name != p.actor && r.Actor.Kind.String() != p.actor && r.Actor.String() != p.actor,
		len(p.types) > 0 && !slices.Contains(p.types, t) && !slices.Contains(p.types, noun):
		return false
	}
	return true
}

// errEnough ends reading; it is not an error.
var errEnough = errors.New("enough")

// read calls yield for the entries up to last that may be wanted.
func (p *replayPlan) read(ctx context.Context, b api.Board, last uint64, yield func(events.Entry) error) error {
	read := readerOf(b)
	if p.task != 0 {
		read = func(ctx context.Context, from uint64) ([]events.Entry, error) {
			return b.ReadTask(ctx, p.task, from, 0)
		}
	}
	return readAll(ctx, read, p.from, last, yield)
}

// maxGap is the longest pause of a replay with --speed.
const maxGap = 3 * time.Second

// pace waits as long as passed between two events, divided by the speed.
func (p *replayPlan) pace(ctx context.Context, before, now events.Time) error {
	if p.speed == 0 || before == 0 || now <= before {
		return nil
	}
	wait := min(now.Sub(before).Seconds()/p.speed, maxGap.Seconds())
	select {
	case <-time.After(time.Duration(wait * float64(time.Second))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *replayPlan) day(t events.Time) string {
	return t.Time().In(p.where).Format("Monday 2 January 2006")
}

// clock says the time of day, with the day where that is not today.
func (p *replayPlan) clock(t events.Time) string {
	at := t.Time().In(p.where)
	if at.Format(time.DateOnly) == time.Now().In(p.where).Format(time.DateOnly) {
		return at.Format(time.TimeOnly)
	}
	return at.Format(time.DateTime)
}

// zone returns the local time zone with the name it is known by.
func (x *call) zone() (*time.Location, string) {
	if name, ok := strings.CutPrefix(x.Getenv("TZ"), ":"); ok || name != "" {
		if loc, err := time.LoadLocation(name); err == nil {
			return loc, loc.String()
		}
	}
	if name, err := os.Readlink("/etc/localtime"); err == nil {
		if _, name, ok := strings.Cut(name, "zoneinfo/"); ok {
			return time.Local, name
		}
	}
	name, _ := time.Now().Zone()
	return time.Local, name
}
