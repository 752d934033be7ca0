package endpoint

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
)

// loan is memory for a request's body. It is used again when all who have it
// are done: the handler, and the transport, which may go on reading for a while
// after it has an answer.
type loan struct {
	bytes.Buffer
	users atomic.Int32
}

// maxKept is the largest that is kept for later.
const maxKept = 4 << 20

var loans = sync.Pool{New: func() any { return new(loan) }}

// borrow returns empty memory with one user.
func borrow() *loan {
	l := loans.Get().(*loan)
	l.users.Store(1)
	return l
}

// done is called once by each user.
func (l *loan) done() {
	if l.users.Add(-1) > 0 || l.Cap() > maxKept {
		return
	}
	l.Reset()
	loans.Put(l)
}

// reader reads b, which lies in the loan, and is another user until it is closed.
func (l *loan) reader(b []byte) io.ReadCloser {
	l.users.Add(1)
	return &lent{Reader: bytes.NewReader(b), done: sync.OnceFunc(l.done)}
}

type lent struct {
	*bytes.Reader
	done func()
}

func (r *lent) Close() error { r.done(); return nil }
