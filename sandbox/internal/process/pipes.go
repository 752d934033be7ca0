//go:build unix

package process

import (
	"io"
	"os"
	"reflect"
	"sync"
	"time"
)

// Streams are a program's standard input, output and error; nil is the null
// device.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// pipes joins a program's three descriptors to Streams.
type pipes struct {
	child [3]*os.File // the program's ends, closed after the fork
	in    *os.File    // our end of its input, nil if there is none
	outs  []outPipe
	stdin io.Reader
	done  chan struct{} // closed when every output pipe has ended
}

type outPipe struct {
	from *os.File
	to   io.Writer
}

func openPipes(streams Streams) (_ *pipes, err error) {
	p := &pipes{stdin: streams.Stdin, done: make(chan struct{})}
	defer func() {
		if err != nil {
			p.closeChild()
			p.abandon()
		}
	}()
	if streams.Stdin == nil {
		if p.child[0], err = os.Open(os.DevNull); err != nil {
			return nil, err
		}
	} else if p.child[0], p.in, err = os.Pipe(); err != nil {
		return nil, err
	}
	for i, w := range []io.Writer{streams.Stdout, streams.Stderr} {
		switch {
		case w == nil:
			p.child[1+i], err = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		case i == 1 && SameWriter(streams.Stdout, streams.Stderr):
			p.child[2] = p.child[1]
		default:
			var from *os.File
			if from, p.child[1+i], err = os.Pipe(); err == nil {
				p.outs = append(p.outs, outPipe{from, w})
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// SameWriter reports whether a and b are one writer, which then gets one pipe.
func SameWriter(a, b io.Writer) bool {
	return a != nil && b != nil && reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}

func (p *pipes) closeChild() {
	for _, f := range p.child {
		if f != nil {
			f.Close() // closing twice, where output and error are one, is harmless
		}
	}
}

// abandon closes our ends when nothing was started.
func (p *pipes) abandon() {
	if p.in != nil {
		p.in.Close()
	}
	for _, out := range p.outs {
		out.from.Close()
	}
}

// copy starts passing data on.
func (p *pipes) copy() {
	if p.in != nil {
		go func() { // ends with the reader, or at its next read after close
			io.Copy(p.in, p.stdin)
			p.in.Close()
		}()
	}
	var group sync.WaitGroup
	for _, out := range p.outs {
		group.Go(func() {
			// Only Write is called, whatever else the writer's type can do. One
			// that fails does not stop the program: the rest is dropped.
			if _, err := io.Copy(struct{ io.Writer }{out.to}, struct{ io.Reader }{out.from}); err != nil {
				io.Copy(io.Discard, out.from)
			}
		})
	}
	go func() { // ends when the pipes end, which close makes sure of
		group.Wait()
		close(p.done)
	}()
}

// wait blocks until all output was passed on, at most for limit.
func (p *pipes) wait(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	}
}

// close takes what is still in the pipes, then closes them.
func (p *pipes) close() {
	p.wait(drainTime)
	p.abandon()
	<-p.done
}
