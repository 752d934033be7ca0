package endpoint

import (
	"io"
	"sync"
)

// relayBytes is how much of an answer waits for an agent that is slower than
// its model.
const relayBytes = 128 << 10

// relay is the way of an answer from who reads it to who writes it. What comes
// while a piece is being written goes together in the next: a slow stream is
// passed on word by word, a fast one in large pieces.
type relay struct {
	mu      sync.Mutex
	changed sync.Cond // of all below
	waiting []byte    // guarded by mu
	ended   bool      // nothing more comes; guarded by mu
	failed  error     // why nothing more is taken; guarded by mu
}

var pieces = sync.Pool{New: func() any { b := make([]byte, 0, relayBytes); return &b }}

// copy passes on what is read, through look, until the end. Another goroutine
// writes it, which has ended when copy returns.
func (o *outlet) copy(from io.Reader, look func([]byte) []byte) (err error) {
	one, two := pieces.Get().(*[]byte), pieces.Get().(*[]byte)
	defer pieces.Put(one)
	defer pieces.Put(two)
	p := &relay{waiting: (*one)[:0]}
	p.changed.L = &p.mu
	var writing sync.WaitGroup
	writing.Go(func() { p.write(o, (*two)[:0]) })
	defer func() {
		p.end()
		writing.Wait()
		if p.failed != nil {
			err = p.failed
		}
	}()
	buf := chunks.Get().(*[chunkBytes]byte)
	defer chunks.Put(buf)
	for {
		n, err := from.Read(buf[:])
		if n > 0 && !p.put(look(buf[:n])) || err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// put leaves a piece to be taken, once there is room; false = it never will be.
func (p *relay) put(b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.waiting) > 0 && len(p.waiting)+len(b) > relayBytes && p.failed == nil {
		p.changed.Wait()
	}
	p.waiting = append(p.waiting, b...)
	p.changed.Broadcast()
	return p.failed == nil
}

// end says that nothing more comes.
func (p *relay) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.changed.Broadcast()
}

// take exchanges an empty piece for all that waits; none = it is over.
func (p *relay) take(empty []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.waiting) == 0 && !p.ended {
		p.changed.Wait()
	}
	b := p.waiting
	p.waiting = empty
	p.changed.Broadcast()
	return b
}

// write passes on what waits until it is over, or until it can be passed on no
// more: then the answer is given up.
func (p *relay) write(o *outlet, piece []byte) {
	for {
		piece = p.take(piece[:0])
		if len(piece) == 0 {
			return
		}
		if err := o.write(piece, false); err != nil {
			p.mu.Lock()
			p.failed = err
			p.changed.Broadcast()
			p.mu.Unlock()
			o.cancel(err)
			return
		}
	}
}
