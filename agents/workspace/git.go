package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/agents"
)

// Limits bound one clone or fetch. Zero means the default.
type Limits struct {
	Time  time.Duration // of the whole
	Bytes int64         // of the pack of objects, and of the files checked out
	Files int           // checked out
}

// The defaults of Limits.
const (
	DefaultTime  = 5 * time.Minute
	DefaultBytes = 4 << 30
	DefaultFiles = 1_000_000
)

func (l Limits) withDefaults() Limits {
	if l.Time <= 0 {
		l.Time = DefaultTime
	}
	if l.Bytes <= 0 {
		l.Bytes = DefaultBytes
	}
	if l.Files <= 0 {
		l.Files = DefaultFiles
	}
	return l
}

// quiet turns off whatever a repository's own configuration could start.
var quiet = []string{
	"core.hooksPath=/dev/null", "core.fsmonitor=false", "core.untrackedCache=false", "core.attributesFile=/dev/null",
	"core.excludesFile=/dev/null", "core.alternateRefsCommand=", "core.sshCommand=false", "core.askPass=", "core.pager=cat",
	"core.bigFileThreshold=32m", "core.packedGitWindowSize=64m", "core.packedGitLimit=512m", "pack.threads=1",
	"credential.helper=", "protocol.allow=never", "submodule.recurse=false", "gc.auto=0", "maintenance.auto=false",
}

// clean is all of git's environment. The host's own settings do not apply, so
// that a run does not depend on who started the gateway.
var clean = []string{
	"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/dev/null", "XDG_CONFIG_HOME=/dev/null", "LC_ALL=C",
	"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1",
	"GIT_ALLOW_PROTOCOL=", "GIT_PROTOCOL_FROM_USER=0", "GIT_NO_LAZY_FETCH=1", "GIT_NO_REPLACE_OBJECTS=1",
	"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "GIT_PAGER=cat", "GIT_EDITOR=false",
	"GIT_COMMITTER_NAME=hermes", "GIT_COMMITTER_EMAIL=hermes@localhost",
}

// maxAnswer bounds what is kept of a command's output.
const maxAnswer = 64 << 20

// git runs git for one clone or fetch.
type git struct {
	program string
	limits  Limits
	memory  int64 // of a process's address space; 0 = no limit
}

func newGit(l Limits) (*git, error) {
	program, err := exec.LookPath("git")
	if err != nil {
		return nil, &Error{CodeNoGit, "git is not installed on this host, and workspaces of kind repo need it", "install git, or choose scratch or dir"}
	}
	return &git{program: program, limits: l.withDefaults()}, nil
}

// where says what a command works on.
type where struct {
	gitDir     string
	workTree   string   // also the working directory; empty for none
	objects    string   // instead of those of gitDir; empty for its own
	alternates []string // further object folders to read from
}

// command prepares git: arguments only, no shell, a process group of its own
// that ends with ctx.
func (g *git) command(ctx context.Context, w where, args ...string) *exec.Cmd {
	argv := []string{"--no-pager"}
	for _, setting := range quiet {
		argv = append(argv, "-c", setting)
	}
	cmd := exec.CommandContext(ctx, g.program)
	cmd.Dir, cmd.Env = "/", clean[:len(clean):len(clean)]
	if w.gitDir != "" {
		argv = append(argv, "--git-dir="+w.gitDir)
	}
	if w.workTree != "" {
		argv, cmd.Dir = append(argv, "--work-tree="+w.workTree), w.workTree
	}
	if w.objects != "" {
		cmd.Env = append(cmd.Env, "GIT_OBJECT_DIRECTORY="+w.objects)
	}
	if len(w.alternates) > 0 {
		var list []string
		for _, dir := range w.alternates { // quoted, since a path may hold a colon
			list = append(list, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(dir)+`"`)
		}
		cmd.Env = append(cmd.Env, "GIT_ALTERNATE_OBJECT_DIRECTORIES="+strings.Join(list, ":"))
	}
	cmd.Args = append(append([]string{g.program}, argv...), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// output runs git and returns what it prints, at most maxAnswer bytes.
func (g *git) output(ctx context.Context, w where, stdin io.Reader, args ...string) (string, error) {
	cmd := g.command(ctx, w, args...)
	out, complaints := &bounded{most: maxAnswer}, &bounded{most: 4 << 10, drop: true}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, out, complaints
	err := cmd.Start()
	if err == nil {
		err = errors.Join(limitMemory(cmd.Process.Pid, g.memory), cmd.Wait())
	}
	if err != nil {
		return "", g.failed(ctx, args[0], err, complaints)
	}
	return out.String(), nil
}

// line is output without the line's end.
func (g *git) line(ctx context.Context, w where, args ...string) (string, error) {
	s, err := g.output(ctx, w, nil, args...)
	return strings.TrimSuffix(s, "\n"), err
}

// failed says why a command failed, in git's words.
func (g *git) failed(ctx context.Context, verb string, err error, complaints *bounded) error {
	words := strings.Join(strings.Fields(agents.Plain(complaints.String())), " ")
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return problem(CodeTimedOut, "git %s: not done within %s", verb, g.limits.Time)
	case ctx.Err() != nil:
		return ctx.Err()
	case strings.Contains(words, "exceeds maximum allowed size"):
		return problem(CodeTooLarge, "git %s: more than %d bytes of objects", verb, g.limits.Bytes)
	case words == "":
		words = err.Error()
	}
	return problem(CodeGit, "git %s: %s", verb, words)
}

// deadline is ctx with the time limit.
func (g *git) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, g.limits.Time)
}

// init makes an empty repository without hooks or templates.
func (g *git) init(ctx context.Context, dir, format, branch string, bare bool) error {
	args := []string{"init", "--quiet", "--template=", "--object-format=" + format, "--initial-branch=" + branch}
	if bare {
		args = append(args, "--bare")
	}
	_, err := g.output(ctx, where{}, nil, append(args, "--", dir)...)
	return err
}

// copy packs what is reachable from tip but not from have, as seen from one
// place, and stores it in another.
func (g *git) copy(ctx context.Context, from, to where, tip string, have []string) error {
	var want strings.Builder
	want.WriteString(tip + "\n")
	for _, id := range have {
		want.WriteString("^" + id + "\n")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	pack := g.command(ctx, from, "pack-objects", "--revs", "--stdout", "--delta-base-offset", "--quiet")
	index := g.command(ctx, to, "index-pack", "--stdin", "--threads=1", fmt.Sprintf("--max-input-size=%d", g.limits.Bytes))
	packSays, indexSays := &bounded{most: 4 << 10, drop: true}, &bounded{most: 4 << 10, drop: true}
	pack.Stdin, pack.Stdout, pack.Stderr = strings.NewReader(want.String()), w, packSays
	index.Stdin, index.Stderr = r, indexSays
	packErr, indexErr := pack.Start(), index.Start()
	err = errors.Join(r.Close(), w.Close())
	if packErr == nil {
		packErr = errors.Join(limitMemory(pack.Process.Pid, g.memory), pack.Wait())
	}
	if indexErr == nil {
		indexErr = errors.Join(limitMemory(index.Process.Pid, g.memory), index.Wait())
	}
	switch {
	case packErr != nil && !brokenPipe(packErr):
		return g.failed(ctx, "pack-objects", packErr, packSays)
	case indexErr != nil:
		return g.failed(ctx, "index-pack", indexErr, indexSays)
	case packErr != nil:
		return g.failed(ctx, "pack-objects", packErr, packSays)
	}
	return err
}

// brokenPipe reports whether a process ended because nobody read on.
func brokenPipe(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && (status.Signaled() && status.Signal() == syscall.SIGPIPE || status.ExitStatus() == 128+int(syscall.SIGPIPE))
}

// bounded keeps the beginning of what is written.
type bounded struct {
	bytes.Buffer
	most int
	drop bool // what is too much; otherwise it is an error
}

var errTooMuch = errors.New("too much output")

func (b *bounded) Write(p []byte) (int, error) {
	if room := b.most - b.Len(); len(p) > room {
		if !b.drop {
			return 0, errTooMuch
		}
		b.Buffer.Write(p[:room])
		return len(p), nil
	}
	return b.Buffer.Write(p)
}
