package owner

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

const (
	keepEvery        = time.Second // signing, offsets
	lookEvery        = 5           // of these: is the board still where it was
	snapshotEvery    = 20_000      // events
	snapshotShare    = 100         // of the time at most one part is spent on them: nobody gets on meanwhile
	snapshotAtClose  = 2_000       // events
	ballastPatience  = time.Minute // between attempts to set the ballast aside again
	usageGoodForTime = time.Second
)

// keep signs the head while it moves, saves offsets and snapshots, and looks
// whether the board has been moved away. It returns why the board is lost.
func (o *Owner) keep(ctx context.Context) error {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	var ballast, snapshots time.Time
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if o.Frozen() {
			continue
		}
		if err := o.sign(); err != nil && !o.Frozen() {
			if lost(err) {
				return err
			}
			o.warn(err)
		}
		if n%lookEvery == 0 {
			if err := o.store.Moved(); lost(err) {
				return err
			} else if err != nil {
				o.warn(err)
			}
		}
		if now := time.Now(); now.Sub(ballast) > ballastPatience && o.space.closed() == "" {
			ballast = now
			if err := o.store.MakeBallast(); err != nil && !o.Frozen() {
				o.warn(err)
			}
		}
		if len(o.offsets.waiting()) > 0 {
			o.errand(ctx, func(ctx context.Context, w *writer) error { return w.append(ctx, nil) })
		}
		if began := time.Now(); began.After(snapshots) && o.seq.Load() >= o.lastSaved()+snapshotEvery {
			o.snapshot(ctx)
			snapshots = began.Add(snapshotShare * time.Since(began))
		}
	}
}

// errand has the writer do something between two batches.
func (o *Owner) errand(ctx context.Context, f func(context.Context, *writer) error) {
	done := make(chan struct{})
	select {
	case o.errands <- func(ctx context.Context, w *writer) error {
		defer close(done)
		return f(ctx, w)
	}:
		<-done
	case <-ctx.Done():
	}
}

// sign has the committed head signed.
func (o *Owner) sign() error {
	o.mu.RLock()
	head := o.head
	o.mu.RUnlock()
	if head.Seq == 0 || head.Seq == o.store.Anchored().Seq {
		return nil
	}
	return o.store.Anchor(head)
}

func (o *Owner) lastSaved() uint64 {
	o.life.Lock()
	defer o.life.Unlock()
	return o.saved
}

// snapshot saves both folds. The writer stops for as long as it takes to
// encode the rule state, and commits for as long as the view takes.
func (o *Owner) snapshot(ctx context.Context) {
	var rules, view body
	o.errand(ctx, func(_ context.Context, w *writer) error {
		rules = body{w.head, w.rules.AppendSnapshot(nil)}
		return nil
	})
	o.View(func(v *projections.View) { view = body{o.head, v.AppendSnapshot(nil)} })
	if rules.bytes != nil {
		o.save(rules, view)
	}
}

// saveAtClose saves both folds if enough has happened. The writer has ended.
func (o *Owner) saveAtClose() {
	w := o.writer
	if o.head.Seq < o.lastSaved()+snapshotAtClose || w.stale || w.rules.Head() != w.head.Seq {
		return
	}
	rules, view := body{head: w.head}, body{head: o.head}
	var wait sync.WaitGroup
	wait.Go(func() { rules.bytes = w.rules.AppendSnapshot(nil) })
	wait.Go(func() { view.bytes = o.view.AppendSnapshot(nil) })
	wait.Wait()
	o.save(rules, view)
}

// body is an encoded fold and the head it stands at.
type body struct {
	head  events.Head
	bytes []byte
}

// save writes the snapshots. One that cannot be written is only a slower start.
func (o *Owner) save(rules, view body) {
	err := o.store.SaveSnapshot(rulesName, rulesVersion, rules.head, rules.bytes)
	if err == nil {
		err = o.store.SaveSnapshot(projections.SnapshotName, projections.SnapshotVersion, view.head, view.bytes)
	}
	if err != nil {
		o.warn(fmt.Errorf("save snapshots of %s: %w", o.store.Slug(), err))
	}
	o.life.Lock()
	defer o.life.Unlock()
	o.saved = min(rules.head.Seq, view.head.Seq) // also after an error: the next attempt has its time
}
