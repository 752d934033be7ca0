package start

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/runtime"
	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// versionTime bounds how long a program may take to say its version: some
// unpack themselves the first time.
const versionTime = 60 * time.Second

// build is a program's file, and where it is asked.
type build struct {
	backend
	path     string
	dev, ino uint64
	size     int64
	changed  time.Time
}

// printed is what programs said when they were asked for their version. It is
// safe for concurrent use. What did not work is tried again after a while.
type printed struct {
	mu     sync.Mutex
	known  map[build]answer // guarded by mu
	asking map[build]bool   // guarded by mu; who is asked in the background
	asked  sync.WaitGroup
}

type answer struct {
	said string
	tried
}

// fresh reports whether an answer still counts.
func (a *answer) fresh() bool { return a.until.IsZero() || time.Now().Before(a.until) }

// errChecking is a version that is not known yet.
var errChecking = errors.New("checking")

// runs checks that the program of an agent's runtime is there, is seen inside
// its sandbox, and is the version that its adapter was tested with. While that
// is found out in the background the error matches errChecking.
func (r *Roster) runs(ctx context.Context, a *agents.Agent, box *sandbox.Sandbox) error {
	ad, err := runtime.For(a.Runtime.Kind)
	if err != nil {
		return err
	}
	real, err := runtime.Program(ad, a, searchPath(a))
	if err != nil || real == "" {
		return err
	}
	which := build{backend: backend{box.Name(), a.Terminal.Settings()}, path: real}
	info, err := os.Stat(real)
	if err != nil {
		return err
	}
	which.size, which.changed = info.Size(), info.ModTime()
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		which.dev, which.ino = uint64(st.Dev), st.Ino
	}
	got, ok := r.versions.find(ctx, which, r.Background, func(ctx context.Context) (string, error) {
		return ask(ctx, a, box, real, ad.Version().Args)
	})
	switch {
	case !ok:
		return fmt.Errorf("%w %s", errChecking, real)
	case got.err != nil:
		return fmt.Errorf("%s in sandbox %s: %w", real, box.Name(), got.err)
	}
	return ad.Version().Check(a, got.said)
}

// find returns what a program said. If that has to be asked, it waits for the
// answer, or with a background asks there and has none now; one that has only
// grown old serves meanwhile.
func (p *printed) find(ctx context.Context, which build, background context.Context, ask func(context.Context) (string, error)) (answer, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	got, ok := p.known[which]
	switch {
	case ok && got.fresh():
		return got, true
	case background == nil:
		said, err := ask(ctx)
		return p.keep(ctx, which, said, err), true
	case p.asking[which]:
		return got, ok
	}
	if p.asking == nil {
		p.asking = make(map[build]bool)
	}
	p.asking[which] = true
	p.asked.Go(func() {
		said, err := ask(background)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.asking, which)
		p.keep(background, which, said, err)
	})
	return got, ok
}

// keep remembers an answer; p.mu is held.
func (p *printed) keep(ctx context.Context, which build, said string, err error) answer {
	got := answer{said: said, tried: tried{err: err}}
	if err != nil {
		got.until = time.Now().Add(probeAgain)
	}
	if p.known == nil {
		p.known = make(map[build]answer)
	}
	if ctx.Err() == nil { // or it says nothing about the program
		p.known[which] = got
	}
	return got
}

// Wait returns when nothing is found out in the background any more.
func (r *Roster) Wait() { r.versions.asked.Wait() }

// ask runs a program in the sandbox of its agent, with a home of its own and
// no network where there can be none, and returns what it printed.
func ask(ctx context.Context, a *agents.Agent, box *sandbox.Sandbox, program string, args []string) (said string, err error) {
	dir, err := os.MkdirTemp("", "hermes-version-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	out := &head{most: 4 << 10}
	spec := &sandbox.Spec{Argv: append([]string{program}, args...), Workspace: dir, Stdout: out, Stderr: out}
	isolated := box.Capabilities().Has(driver.Files)
	if isolated {
		for _, m := range append(runtime.ProgramMounts(program), a.Terminal.Mounts...) {
			spec.Mounts = append(spec.Mounts, sandbox.Mount{Host: m, Inside: m})
		}
	} else {
		spec.Network = sandbox.FullNetwork
	}
	in := box.Layout(spec)
	spec.Env = []string{"HOME=" + in.Workspace, "PATH=" + searchPath(a), "LANG=C.UTF-8", "TMPDIR=/tmp"}
	if !isolated {
		return direct(ctx, spec, out)
	}
	s, err := box.Start(ctx, spec)
	if err != nil {
		return "", err
	}
	status, err := s.Wait()
	if err = errors.Join(err, s.Close()); err == nil && status != (sandbox.ExitStatus{}) {
		err = fmt.Errorf("%s ended with code %d: %s", strings.Join(append([]string{filepath.Base(program)}, args...), " "),
			status.Code, strings.TrimSpace(agents.Plain(out.String())))
	}
	return out.String(), err
}

// head keeps the beginning of an output.
type head struct {
	bytes.Buffer
	most int
}

func (h *head) Write(b []byte) (int, error) {
	h.Buffer.Write(b[:min(len(b), h.most-h.Len())])
	return len(b), nil
}

// direct runs a program without a sandbox: one that isolates nothing can be
// opened by supervisors alone, which this process is not.
func direct(ctx context.Context, spec *sandbox.Spec, out *head) (string, error) {
	cmd := exec.CommandContext(ctx, spec.Argv[0], spec.Argv[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = spec.Env, spec.Workspace, out, out, time.Second
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(agents.Plain(out.String())))
	}
	return out.String(), nil
}
