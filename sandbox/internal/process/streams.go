//go:build unix

package process

import "os"

// Pipes are Streams for a program that another process starts: the ends that
// are the program's are handed over there. They are closed by the one who
// opened them.
type Pipes struct{ p *pipes }

// OpenPipes makes the pipes. Nothing is copied yet.
func OpenPipes(streams Streams) (*Pipes, error) {
	p, err := openPipes(streams)
	if err != nil {
		return nil, err
	}
	return &Pipes{p}, nil
}

// Child returns the program's ends, which are valid until Copy or Abandon.
// Where the stream is nil it is the null device; output and error may be one.
func (s *Pipes) Child() [3]*os.File { return s.p.child }

// Copy closes the program's ends, which were handed over, and starts passing
// data on.
func (s *Pipes) Copy() {
	s.p.closeChild()
	s.p.copy()
}

// Abandon closes everything where no program was started, instead of Copy.
func (s *Pipes) Abandon() {
	s.p.closeChild()
	s.p.abandon()
}

// Wait blocks until all output was passed on, or a descendant of the program
// kept the pipes open for two seconds longer.
func (s *Pipes) Wait() { s.p.wait(drainTime) }

// Close takes what is still in the pipes and ends the copying. The tree must
// be gone.
func (s *Pipes) Close() { s.p.close() }
