package projections

import (
	"iter"
	"slices"

	"github.com/hermesboard/hermes/events"
)

// item is a task with the key it is ordered by. Equal keys are ordered by task.
type item struct {
	key  uint64
	task events.TaskID
}

func (a item) less(b item) bool { return a.key < b.key || a.key == b.key && a.task < b.task }

// byPriority orders higher priorities first; ids, which are given out in order
// of creation, then put older tasks first.
func byPriority(t events.TaskID, priority int32) item {
	return item{uint64(int64(1)<<31 - 1 - int64(priority)), t}
}

// inQueue orders as the policy says: ids alone put older tasks first.
func inQueue(t events.TaskID, priority int32, order events.Order) item {
	if order == events.ByAge {
		return item{0, t}
	}
	return byPriority(t, priority)
}

// byTime orders earlier instants first.
func byTime(t events.TaskID, at events.Time) item { return item{timeKey(at), t} }

func timeKey(at events.Time) uint64 { return uint64(at) ^ 1<<63 }

// index is an ordered set of items in chunks of bounded length, so that a
// change moves little memory and a walk from the start costs nothing. The zero
// value is empty. No chunk is empty.
type index struct {
	chunks [][]item
	n      int
}

const chunkLen = 128

func (x *index) len() int { return x.n }

// find returns the first chunk whose last item is not below it; len(chunks) if none.
func (x *index) find(it item) int {
	lo, hi := 0, len(x.chunks)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if c := x.chunks[mid]; c[len(c)-1].less(it) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// position returns where in a chunk the item is or belongs.
func position(chunk []item, it item) int {
	lo, hi := 0, len(chunk)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if chunk[mid].less(it) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// insert adds an item that is not in the set.
func (x *index) insert(it item) {
	x.n++
	c := x.find(it)
	if c == len(x.chunks) { // behind everything
		if c == 0 || len(x.chunks[c-1]) >= chunkLen {
			x.chunks = append(x.chunks, []item{it})
			return
		}
		x.chunks[c-1] = append(x.chunks[c-1], it)
		return
	}
	if chunk := x.chunks[c]; len(chunk) >= chunkLen {
		half := len(chunk) / 2
		x.chunks = slices.Insert(x.chunks, c+1, append(make([]item, 0, chunkLen), chunk[half:]...))
		x.chunks[c] = chunk[:half]
		if chunk[half-1].less(it) {
			c++
		}
	}
	x.chunks[c] = slices.Insert(x.chunks[c], position(x.chunks[c], it), it)
}

// remove takes an item out; one that is not in the set is ignored.
func (x *index) remove(it item) {
	c := x.find(it)
	if c == len(x.chunks) {
		return
	}
	i := position(x.chunks[c], it)
	if x.chunks[c][i] != it {
		return
	}
	x.n--
	if len(x.chunks[c]) == 1 {
		x.chunks = slices.Delete(x.chunks, c, c+1)
		return
	}
	x.chunks[c] = slices.Delete(x.chunks[c], i, i+1)
}

// first returns the lowest item.
func (x *index) first() (item, bool) {
	if x.n == 0 {
		return item{}, false
	}
	return x.chunks[0][0], true
}

// after returns the lowest item with a key above key.
func (x *index) after(key uint64) (item, bool) {
	it := item{key + 1, 0}
	if key+1 == 0 {
		return item{}, false
	}
	c := x.find(it)
	if c == len(x.chunks) {
		return item{}, false
	}
	return x.chunks[c][position(x.chunks[c], it)], true
}

// all walks the tasks in order. The set must not change meanwhile.
func (x *index) all() iter.Seq[events.TaskID] {
	return func(yield func(events.TaskID) bool) {
		for _, chunk := range x.chunks {
			for _, it := range chunk {
				if !yield(it.task) {
					return
				}
			}
		}
	}
}

// fill makes the set from items in any order, each once.
func (x *index) fill(items []item) {
	slices.SortFunc(items, func(a, b item) int {
		switch {
		case a.less(b):
			return -1
		case b.less(a):
			return 1
		}
		return 0
	})
	x.n, x.chunks = len(items), nil
	for chunk := range slices.Chunk(items, chunkLen) {
		x.chunks = append(x.chunks, chunk)
	}
}

// cursor is a place in an index.
type cursor struct {
	x        *index
	chunk, i int
}

func (c *cursor) get() item { return c.x.chunks[c.chunk][c.i] }

// next moves on and reports whether there is an item.
func (c *cursor) next() bool {
	if c.i++; c.i >= len(c.x.chunks[c.chunk]) {
		c.chunk, c.i = c.chunk+1, 0
	}
	return c.chunk < len(c.x.chunks)
}

// merge walks several indexes as if they were one. It is a heap of cursors.
type merge []cursor

// add takes in an index unless it is empty.
func (m *merge) add(x *index) {
	if x.n > 0 {
		*m = append(*m, cursor{x: x})
	}
}

// start orders the cursors once all are added.
func (m merge) start() {
	for i := len(m)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
}

func (m merge) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(m); child++ {
			if m[child].get().less(m[least].get()) {
				least = child
			}
		}
		if least == i {
			return
		}
		m[i], m[least] = m[least], m[i]
		i = least
	}
}

// advance moves behind the lowest item.
func (m *merge) advance() {
	if !(*m)[0].next() {
		m.drop()
		return
	}
	m.down(0)
}

// drop leaves out the index that has the lowest item.
func (m *merge) drop() {
	last := len(*m) - 1
	(*m)[0] = (*m)[last]
	*m = (*m)[:last]
	m.down(0)
}
