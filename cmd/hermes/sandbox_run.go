package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"unicode/utf8"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/proxy"
)

// sandboxRun runs a program the way a run's agent is, and ends with its code.
func sandboxRun(ctx context.Context, x *call) error {
	a, err := x.args(2, -1, "a backend and a program")
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := sandbox.Supervise(); err != nil {
		return err
	}
	boxes, err := sandboxes()
	if err != nil {
		return err
	}
	box, err := boxes.Open(a[0], sandbox.Settings{Image: x.str("image")})
	if err != nil {
		return err
	}
	if w := warning(a[0]); w != "" {
		x.say("%s", w)
	}
	dir, err := os.MkdirTemp(shortTemp(), "hermes-run-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	spec, err := x.trySpec(box, dir, a[1:])
	if err != nil {
		return err
	}
	if spec.Network == sandbox.ProxyNetwork {
		finish, err := x.serveProxy(ctx, filepath.Join(spec.SocketDir, proxy.Socket))
		if err != nil {
			return err
		}
		defer finish()
	}
	session, err := box.Start(ctx, spec)
	if err != nil {
		return err
	}
	status, err := session.Wait()
	if err := errors.Join(err, session.Close()); err != nil {
		return err
	}
	return exitError(status.Code)
}

// shortTemp is a folder for temporary files whose name leaves room for a
// socket's, which has 107 bytes.
func shortTemp() string {
	if dir := os.TempDir(); len(dir) <= 60 {
		return dir
	}
	return "/tmp"
}

// trySpec is what a program is given to try a backend. dir is for what is
// removed afterwards.
func (x *call) trySpec(box *sandbox.Sandbox, dir string, argv []string) (*sandbox.Spec, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	spec := &sandbox.Spec{Argv: argv, Workspace: x.str("workspace"), Program: self, Stdin: x.Stdin, Stdout: x.Stdout, Stderr: x.Stderr}
	if x.Terminal {
		spec.Stdout, spec.Stderr = &safeWriter{to: x.Stdout}, &safeWriter{to: x.Stderr}
	}
	switch n := x.str("network"); n {
	case "", "none":
	case "proxy", "full":
		spec.Network = sandbox.Network(n)
	default:
		return nil, usagef("--network is none, proxy or full, not %q", n)
	}
	if len(x.list("allow")) > 0 && spec.Network != sandbox.ProxyNetwork {
		return nil, &usageError{msg: "--allow is for --network proxy"}
	}
	if box.Capabilities().Has(driver.Socket) {
		spec.SocketDir = filepath.Join(dir, "sock")
		if err := os.Mkdir(spec.SocketDir, 0o755); err != nil {
			return nil, err
		}
	}
	if spec.Workspace == "" {
		spec.Workspace = filepath.Join(dir, "ws")
		if err := os.Mkdir(spec.Workspace, 0o755); err != nil {
			return nil, err
		}
	} else if !filepath.IsAbs(spec.Workspace) {
		spec.Workspace = filepath.Join(x.Dir, spec.Workspace)
	}
	spec.Workspace = filepath.Clean(spec.Workspace)
	spec.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "TMPDIR=/tmp", "HOME=" + box.Layout(spec).Workspace}
	return spec, nil
}

// serveProxy serves the hosts of --allow on a socket until finish is called,
// which says what was asked for.
func (x *call) serveProxy(ctx context.Context, socket string) (finish func(), err error) {
	p, err := proxy.New(proxy.Options{Allow: x.list("allow"), Log: func(d proxy.Decision) {
		if d.Reason != "" {
			host := d.Host
			if host == "" {
				host = "a request"
			}
			x.say("proxy: %s %s: %s", line(d.Method), line(host), d.Reason)
		}
	}})
	if err != nil {
		return nil, &usageError{msg: err.Error(), hint: "a host is name, name:port or *.domain"}
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(socket, 0o666); err != nil { // the folder is the guard, whoever is inside
		l.Close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, l) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			x.say("proxy: %v", err)
		}
		for _, h := range p.Totals() {
			x.say("proxy: %s: %d requests, %d refused, %d bytes out, %d in", line(h.Host), h.Requests, h.Refused, h.BytesOut, h.BytesIn)
		}
	}, nil
}

// safeWriter takes from a stream what a terminal would obey.
type safeWriter struct {
	to   io.Writer
	rest []byte // the beginning of a rune
}

func (w *safeWriter) Write(p []byte) (int, error) {
	b := append(w.rest, p...)
	whole := len(b)
	for cut := 1; cut < utf8.UTFMax && cut <= len(b); cut++ {
		if tail := b[len(b)-cut:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				whole = len(b) - cut
			}
			break
		}
	}
	w.rest = append([]byte(nil), b[whole:]...)
	if _, err := fmt.Fprint(w.to, printable(string(b[:whole]))); err != nil {
		return 0, err
	}
	return len(p), nil
}
