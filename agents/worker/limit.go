package worker

import (
	"net"
	"sync"
	"time"
)

// bucket lets through so many calls a second, and as many at once.
type bucket struct {
	mu    sync.Mutex
	left  float64
	since time.Time
}

func (b *bucket) take(now time.Time, perSecond float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since.IsZero() {
		b.left = perSecond
	} else {
		b.left = min(perSecond, b.left+max(0, now.Sub(b.since).Seconds())*perSecond)
	}
	b.since = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// calls counts the calls under way. Unlike a WaitGroup none can begin once it
// is waited for.
type calls struct {
	mu     sync.RWMutex // read-locked during a call
	closed bool
}

func (c *calls) begin() bool {
	c.mu.RLock()
	if c.closed {
		c.mu.RUnlock()
		return false
	}
	return true
}

func (c *calls) end() { c.mu.RUnlock() }

func (c *calls) wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

// limit bounds the connections that are open at once; more wait.
func limit(l net.Listener, n int) net.Listener {
	return &limited{Listener: l, room: make(chan struct{}, n), done: make(chan struct{})}
}

type limited struct {
	net.Listener
	room chan struct{}
	once sync.Once
	done chan struct{} // closed by Close
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &limitedConn{Conn: c, leave: sync.OnceFunc(func() { <-l.room })}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	leave func()
}

func (c *limitedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
