package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func replayVerb(env Env) *cli.Command {
	return verb(env, "replay", "[BOARD]", "tell the history of a board", `
Examples:
  hermes board replay acme --since 22:00
  hermes board replay acme --task t7
  hermes board replay acme --from 812 --to 861 --json
  hermes board replay acme --at 812          the board as it stood
  hermes board replay acme --speed 10        ten times as fast as it was

--since and --until take times (8h, 22:00, 2026-11-17), --from and --to take
positions. With --json each line is {"record": as stored, "text": …}.`,
		[]cli.Flag{
			str("since", "", "from this time on"), str("until", "", "up to this time"),
			num("from", "", "from this position on"), num("to", "", "up to this position"),
			str("task", "", "only this task"), str("run", "", "only this run (t7.2)"), str("tenant", "", "only this tenant"),
			str("actor", "", "only what this person, agent or kind of actor did"), list("type", "", "only these event types (task.blocked, or task for all about tasks)"),
			num("limit", "n", "at most so many events"),
			num("at", "", "print the board as it stood at this position"),
			flag("verify", "", "also check the whole log"),
			str("speed", "", "wait between events as it was, divided by this"),
		}, runReplay)
}

func runReplay(ctx context.Context, x *call) error {
	if err := x.named(0); err != nil {
		return err
	}
	p, err := x.replayPlan(time.Now())
	if err != nil {
		return err
	}
	b, err := x.board(ctx)
	if err != nil {
		return err
	}
	info, err := b.Info(ctx)
	if err == nil && x.isSet("at") {
		err = x.replayAt(ctx, b, info, p)
	} else if err == nil {
		err = x.replay(ctx, b, info, p)
	}
	if closeErr := b.Close(); err == nil {
		err = closeErr
	}
	if err != nil || !x.flag("verify") {
		return err
	}
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	report, err := verifyBoard(ctx, x.Env, home, info.Slug)
	if err != nil {
		return err
	}
	return x.printVerified(report)
}

// replay tells the events of a plan, one slice of the log after another.
func (x *call) replay(ctx context.Context, b api.Board, info api.Info, p *replayPlan) error {
	out := &timeline{x: x, board: info.Slug, wide: len(strconv.FormatUint(info.Head.Seq, 10)), where: p.where}
	if !x.json() {
		if err := x.replayHead(info, p); err != nil {
			return err
		}
	}
	last := min(p.to, info.Head.Seq)
	var before events.Time
	shown := 0
	err := p.read(ctx, b, last, func(e events.Entry) error {
		r, err := events.Decode(e.Record)
		if err != nil {
			return err
		}
		if !p.wants(&r) {
			return nil
		}
		if err := p.pace(ctx, before, r.Time); err != nil {
			return err
		}
		before = r.Time
		if x.json() {
			err = x.printRecord(e)
		} else {
			err = out.tell(e, r)
		}
		if shown++; err == nil && p.limit > 0 && shown == p.limit {
			return errEnough
		}
		return err
	})
	if err != nil && err != errEnough {
		return err
	}
	if !x.json() {
		out.sum(!x.flag("verify"))
	}
	return nil
}

// replayHead says which part of which log follows, and in which zone times are.
func (x *call) replayHead(info api.Info, p *replayPlan) error {
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	part := plural(int(info.Head.Seq), "event", "events")
	if p.from > 1 || p.to < info.Head.Seq {
		part = fmt.Sprintf("events %d to %d of %d", p.from, min(p.to, info.Head.Seq), info.Head.Seq)
	}
	signed := "not signed yet"
	if c, ok := lastCheckpoint(home, info.Board); ok {
		signed = fmt.Sprintf("checkpoint %d %s, signed %s", c.Head.Seq, brief(c.Head.Root), p.clock(c.Time))
	}
	_, err = fmt.Fprintf(x.Stdout, "%s   %s   times %s   %s\n\n", info.Slug, part, p.zone, signed)
	return err
}

// printRecord prints an entry as a line of JSON: the record as it is stored,
// and its text, null where there is none or it was erased.
func (x *call) printRecord(e events.Entry) error {
	text := []byte("null")
	if e.Text != nil {
		t, err := events.DecodeText(e.Text)
		if err != nil {
			return err
		}
		if text, err = json.Marshal(t.Fields); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(x.Stdout, "{\"record\":%s,\"text\":%s}\n", e.Record, text)
	return err
}

// replayAt prints the board as it stood at a position.
func (x *call) replayAt(ctx context.Context, b api.Board, info api.Info, p *replayPlan) error {
	at := uint64(x.num("at"))
	if at > info.Head.Seq {
		return &usageError{msg: fmt.Sprintf("board %s has %s, there is no position %d", info.Slug, plural(int(info.Head.Seq), "event", "events"), at)}
	}
	v := projections.NewView()
	var then events.Time
	err := foldAll(ctx, readerOf(b), at,
		func(r *events.Record) { v.Apply(r); then = r.Time })
	if err != nil {
		return err
	}
	q := projections.ListQuery{Archived: true}
	if x.isSet("tenant") {
		tenant := x.str("tenant")
		q.Tenant = &tenant
	}
	cards := v.List(q, nil)
	texts := projections.Texts{}
	for _, seq := range projections.CardTexts(cards) {
		if texts[seq], err = readText(ctx, b, seq); err != nil {
			return err
		}
	}
	cards = projections.FillCards(cards, q, texts)
	if x.json() {
		return x.emit(cards)
	}
	stats := v.Stats(then)
	fmt.Fprintf(x.Stdout, "%s as it stood at %d of %d, %s %s   %d tasks, %s, %s spent\n\n", info.Slug, at, info.Head.Seq,
		p.day(then), p.clock(then), stats.Tasks, plural(stats.OpenRuns, "open run", "open runs"), money(stats.CostMicros, stats.Currency))
	x.printCards(cards, then.Time())
	return nil
}

// printCards prints cards as the list does, as of some time.
func (x *call) printCards(cards []projections.Card, now time.Time) {
	rows := [][]string{{"ID", "STATUS", "PRI", "WHO", "FOR", "TITLE", "NOW"}}
	for _, c := range cards {
		rows = append(rows, []string{c.ID.String(), c.Status.String(), fmt.Sprint(c.Priority), dash(line(c.Assignee)),
			ago(now, c.Since), cut(line(c.Title), 40), nowWords(c, now)})
	}
	table(x.Stdout, x.Width, rows)
}

func readText(ctx context.Context, b api.Board, seq uint64) (*events.Fields, error) {
	entries, err := b.Read(ctx, seq, 1)
	if err != nil || len(entries) == 0 || entries[0].Seq != seq || entries[0].Text == nil {
		return nil, err
	}
	t, err := events.DecodeText(entries[0].Text)
	return &t.Fields, err
}
