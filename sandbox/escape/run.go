//go:build linux && (amd64 || arm64)

package escape

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// attempt is one way to try to get out.
type attempt struct {
	id, name string
	// needs promises that it fails; none: every backend, or the supervisor, does.
	needs driver.Capabilities

	// stage makes on the host what the attempt is after, and returns who looks
	// afterwards whether it was got.
	stage func(*scene) (judge, error)
	// try runs inside. Nil leaves everything to the judge.
	try func(in inside)
	// bare has the control started by a careless supervisor and not by the
	// control backend, because every backend refuses it.
	bare bool
	// fatal: to be killed is one way to be contained.
	fatal bool
}

// judge reports whether an attempt succeeded, and how.
type judge func() (open bool, detail string)

var attempts = slices.Concat(fileAttempts, processAttempts, networkAttempts[:10], proxyAttempts, networkAttempts[10:], kernelAttempts, resourceAttempts, handBackAttempts, moreAttempts)

// IDs are the ids of all attempts, in the order in which they are made.
func IDs() []string {
	var ids []string
	for _, a := range attempts {
		ids = append(ids, a.id)
	}
	return ids
}

// Run makes the attempts on box, each of them also on control, a backend that
// isolates nothing. It needs a process that supervises (sandbox.Supervise) and
// that starts nothing else meanwhile; it is not for concurrent use. The error
// is about the suite itself or the end of ctx; what was tried is returned with
// it.
func Run(ctx context.Context, box, control *sandbox.Sandbox, opts *Options) ([]Result, error) {
	var own Options
	if opts != nil {
		own = *opts
	}
	if own.Program == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		own.Program = self
	}
	if own.Display == nil {
		own.Display = strconv.Quote
	}
	if own.Controls == nil {
		own.Controls = new(Controls)
	}
	var results []Result
	for _, a := range attempts {
		if own.Only != nil && !slices.Contains(own.Only, a.id) {
			continue
		}
		r, err := both(ctx, a, box, control, own)
		if err != nil {
			return results, fmt.Errorf("attempt %s (%s): %w", a.id, a.name, err)
		}
		results = append(results, r)
		if own.Each != nil {
			own.Each(r)
		}
	}
	return results, nil
}

// both makes the attempt without the sandbox and, if it succeeded, within.
func both(ctx context.Context, a attempt, box, without *sandbox.Sandbox, opts Options) (Result, error) {
	r := result(a.id, a.name, a.needs, box)
	untestable := func(format string, args ...any) (Result, error) {
		r.Outcome, r.Detail = NotTestable, fmt.Sprintf(format, args...)
		return r, context.Cause(ctx)
	}
	if a.needs == driver.NetworkProxy && !r.Claimed {
		return untestable("the backend gives no proxy")
	}
	bare, known := opts.Controls.known[a.id]
	if !known {
		bare.open, _, bare.err = once(ctx, a, without, opts, true)
		opts.Controls.keep(a.id, bare)
	}
	if bare.err != nil {
		return untestable("without a sandbox: %v", bare.err)
	}
	if !bare.open {
		return untestable("it fails without a sandbox, too")
	}
	open, detail, err := once(ctx, a, box, opts, false)
	switch {
	case err != nil:
		return untestable("%v", err)
	case open:
		r.Outcome, r.Detail = Open, detail
	default:
		r.Outcome = Contained
	}
	return r, context.Cause(ctx)
}

func (c *Controls) keep(id string, outcome control) {
	if c.known == nil {
		c.known = make(map[string]control)
	}
	c.known[id] = outcome
}

// once stages, tries and judges.
func once(ctx context.Context, a attempt, box *sandbox.Sandbox, opts Options, careless bool) (open bool, detail string, err error) {
	s, err := newScene(box, opts, careless)
	if err != nil {
		return false, "", err
	}
	defer s.close()
	look, err := a.stage(s)
	if err != nil {
		return false, "", err
	}
	var status sandbox.ExitStatus
	switch {
	case a.try == nil:
	case careless && a.bare:
		status, err = s.playBare(ctx, a)
	default:
		status, err = s.play(ctx, a)
	}
	if err != nil {
		return false, "", err
	}
	if open, detail = look(); open {
		return true, detail, nil
	}
	if a.try != nil && !s.out.has(tried) && !a.fatal && status.Signal != syscall.SIGSYS {
		return false, "", fmt.Errorf("the attempt did not run to its end (%v): %s", status, s.out.tail())
	}
	return false, "", nil
}
