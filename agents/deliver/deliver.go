// Package deliver copies the results of passed tasks to a folder of the
// operator's choice, as the board's policy says.
//
// It follows the log with a durable offset that moves after the copy, so that
// a result is delivered at least once, and twice only with the same content
// under the same name: DIR/<task>/<name>.
package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hermesboard/hermes/events"
)

// Subscriber is the name under which the offset is kept.
const Subscriber = "deliver"

// Board is what a Deliverer follows.
type Board interface {
	Offset(ctx context.Context, subscriber string) (uint64, error)
	SaveOffset(ctx context.Context, subscriber string, seq uint64) error
	Follow(ctx context.Context, from uint64, yield func(events.Entry) error) error
	Policy(ctx context.Context) (events.Policy, uint64, error)
}

// Deliverer delivers the results of one board. Open returns a stored file; Warn
// is told what could not be copied, which is tried again three times and then
// left out.
type Deliverer struct {
	Board Board
	Open  func(events.Digest) (io.ReadCloser, error)
	Warn  func(error)

	at atomic.Uint64
}

// At is the position up to which everything is delivered. It is safe for
// concurrent use.
func (d *Deliverer) At() uint64 { return d.at.Load() }

// saveEvery is after how many entries without a result the offset is saved all
// the same, so that a restart does not read them again.
const saveEvery = 256

// tries is how often a copy is attempted before the offset moves on.
const tries = 3

// Run delivers until ctx ends.
func (d *Deliverer) Run(ctx context.Context) error {
	from, err := d.Board.Offset(ctx, Subscriber)
	if err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
	d.at.Store(from)
	err = d.Board.Follow(ctx, from+1, func(e events.Entry) error {
		delivered, err := d.entry(ctx, e)
		if err != nil {
			return err
		}
		if delivered || e.Seq%saveEvery == 0 {
			if err := d.Board.SaveOffset(ctx, Subscriber, e.Seq); err != nil {
				return err
			}
		}
		d.at.Store(e.Seq)
		return nil
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// entry delivers what an entry names, if anything.
func (d *Deliverer) entry(ctx context.Context, e events.Entry) (delivered bool, err error) {
	r, err := events.Decode(e.Record)
	if err != nil {
		return false, err
	}
	done, ok := r.Data.(events.TaskCompleted)
	if !ok || done.Verdict != events.Pass || len(done.Artifacts) == 0 || e.Text == nil {
		return false, nil
	}
	policy, _, err := d.Board.Policy(ctx)
	if err != nil || policy.Deliver == "" {
		return false, err
	}
	text, err := events.DecodeText(e.Text)
	if err != nil {
		return false, err
	}
	for i, a := range done.Artifacts {
		if i >= len(text.Fields.Names) {
			break
		}
		if err := d.insist(ctx, filepath.Join(policy.Deliver, r.Task.String()), text.Fields.Names[i], a); err != nil {
			return false, err
		}
	}
	return true, nil
}

// insist copies one file. It gives up on the file, not on the board.
func (d *Deliverer) insist(ctx context.Context, dir, name string, a events.Artifact) error {
	for try := 1; ; try++ {
		err := d.copy(dir, name, a)
		if err == nil {
			return nil
		}
		d.Warn(fmt.Errorf("deliver %q to %s, attempt %d: %w", name, dir, try, err))
		if try == tries {
			return nil
		}
		select {
		case <-time.After(time.Duration(try) * time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// copy writes a file whole or not at all. The name is an agent's word: it
// cannot lead out of the folder, nor through a link.
func (d *Deliverer) copy(dir, name string, a events.Artifact) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	src, err := d.Open(a.SHA256)
	if err != nil {
		return err
	}
	defer src.Close()
	name = filepath.FromSlash(name)
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	temp := filepath.Join(filepath.Dir(name), ".delivering-"+a.SHA256.String()[:12])
	dst, err := root.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err = errors.Join(err, dst.Sync(), dst.Close()); err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		root.Remove(temp)
	}
	return err
}
