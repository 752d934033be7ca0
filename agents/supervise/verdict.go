package supervise

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
)

// verdictFile holds a verdict from before it is sent until the board's answer is known.
const verdictFile = "verdict.json"

// keeper sends verdicts, which are on disk before.
type keeper struct {
	dir   string
	fence uint64
	door  api.Door

	mu sync.Mutex // held while a verdict is on its way: a run has one at a time
}

type keptVerdict struct {
	Fence   uint64           `json:"fence"`
	ID      events.CommandID `json:"id"`
	Name    string           `json:"name"`
	Command jsontext.Value   `json:"command"`
}

// send puts a verdict on disk, then sends it. Where the board refuses it the
// run goes on and may give another; where it does not answer, the verdict is
// kept and goes before the end of the run.
func (k *keeper) send(ctx context.Context, id events.CommandID, c boards.Command) (res boards.Result, err error) {
	body, err := boards.EncodeCommand(c)
	if err != nil {
		return res, err
	}
	kept, err := json.Marshal(keptVerdict{Fence: k.fence, ID: id, Name: c.CommandName(), Command: body})
	if err != nil {
		return res, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := writeDurably(filepath.Join(k.dir, verdictFile), kept); err != nil {
		return res, fmt.Errorf("keep the verdict: %w", err)
	}
	err = insist(ctx, patience, final, func() error {
		res, err = k.door.Do(ctx, id, c)
		return err
	})
	if err == nil || final(err) {
		os.Remove(filepath.Join(k.dir, verdictFile))
	}
	return res, err
}

// redeliver sends the verdict that was kept and may not have arrived, if there
// is one. The same verdict twice is one.
func (k *keeper) redeliver(ctx context.Context, most time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	path := filepath.Join(k.dir, verdictFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	var kept keptVerdict
	if err := json.Unmarshal(b, &kept); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if kept.Fence != k.fence {
		return fmt.Errorf("%s: is of another claim (%d, not %d)", path, kept.Fence, k.fence)
	}
	c, err := boards.DecodeCommand(kept.Name, kept.Command)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	err = insist(ctx, most, final, func() error {
		_, err := k.door.Do(ctx, kept.ID, c)
		return err
	})
	if err == nil || final(err) {
		os.Remove(path)
	}
	return err
}

// Deliver sends the verdict that a dead supervisor left in a run's folder, if
// there is one. It is for whoever finds a run's processes gone, before they
// report it lost: an agent that gave its verdict has done its work. door is
// that run's. An error means that there is a verdict which did not get through.
func Deliver(ctx context.Context, dir string, door api.Door) error {
	if _, err := os.Lstat(filepath.Join(dir, verdictFile)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	spec, err := ReadSpec(dir)
	if err != nil {
		return err
	}
	k := keeper{dir: dir, fence: spec.Assignment.Fence, door: door}
	return k.redeliver(ctx, patience)
}

// writeDurably replaces a file so that it is whole or absent after a crash.
func writeDurably(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".kept-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
