//go:build linux && (amd64 || arm64)

package dockerbox

import (
	"context"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// selfTime is how long an engine may take to remove a container by itself.
const selfTime = 3 * time.Second

// discarded waits until the engine has removed a container whose processes
// have ended. It does so by itself; an order of ours that comes in between
// makes some versions leave it half removed.
func (e *engine) discarded(ctx context.Context, id string) error {
	wait, cancel := context.WithTimeout(ctx, selfTime)
	defer cancel()
	gone := e.ContainerWait(wait, id, client.ContainerWaitOptions{Condition: container.WaitConditionRemoved})
	select {
	case <-gone.Result:
		return nil
	case err := <-gone.Error:
		if errdefs.IsNotFound(err) {
			return nil
		}
	}
	return e.discard(ctx, id)
}

// discard kills and removes a container, and waits until it is gone.
func (e *engine) discard(ctx context.Context, id string) error {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		_, err := e.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		if errdefs.IsNotFound(err) {
			return nil
		}
		if client.IsErrConnectionFailed(err) {
			return err
		}
		select { // it may be removing itself, or be ending at this moment
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}
