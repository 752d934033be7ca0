package boltlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
)

// pageWalk follows every page of a file by reading it, not by mapping it.
// bbolt's own check trusts lengths it finds: one flipped bit can make it run
// out of memory, or end the process.
type pageWalk struct {
	f     *os.File
	end   uint64 // pages in use lie below
	seen  []pageUse
	found []string
}

type pageUse uint8

const (
	unseen pageUse = iota
	used
	free
)

// Flags of bbolt pages and elements.
const (
	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketValue  = 0x01

	headerBytes  = 16
	elementBytes = 16
	bucketBytes  = 16
	maxDepth     = 32
)

// walkPages returns what is wrong with the page structure of a file that
// passed checkFile.
func walkPages(f *os.File) (found []string, err error) {
	metas, err := readMetaPages(f)
	if err != nil {
		return nil, err
	}
	a, okA := metas.parse(0)
	b, okB := metas.parse(1)
	m, _ := metas.best()
	w := &pageWalk{f: f, end: m.pages, seen: make([]pageUse, m.pages)}
	switch {
	case !okA || !okB:
		// bbolt silently goes back one commit then.
		w.report("one of the two meta pages is damaged: the last commit may be missing")
	case a.txid != b.txid+1 && b.txid != a.txid+1:
		w.report("the meta pages are of transactions %d and %d, which do not follow each other", a.txid, b.txid)
	}
	w.tree(m.root, true, 0, nil, nil)
	if m.freelist != noFreelist {
		w.freelist(m.freelist)
		for id := uint64(2); id < w.end; id++ {
			if w.seen[id] == unseen {
				w.report("page %d is neither in use nor free", id)
			}
		}
	}
	return w.found, nil
}

func (w *pageWalk) report(format string, args ...any) {
	if len(w.found) < maxProblems {
		w.found = append(w.found, fmt.Sprintf(format, args...))
	}
}

// page reads a page with what overflows from it, and marks it used. It
// returns nil after a report.
func (w *pageWalk) page(id uint64) []byte {
	var header [headerBytes]byte
	if id < 2 || id >= w.end {
		w.report("page %d is out of bounds", id)
		return nil
	}
	if _, err := w.f.ReadAt(header[:], int64(id)*pageSize); err != nil {
		w.report("page %d: %v", id, err)
		return nil
	}
	overflow := uint64(binary.NativeEndian.Uint32(header[12:]))
	if self := binary.NativeEndian.Uint64(header[:]); self != id || overflow >= w.end-id {
		w.report("page %d says it is page %d and has %d more", id, self, overflow)
		return nil
	}
	for i := id; i <= id+overflow; i++ {
		if w.seen[i] != unseen {
			w.report("page %d is in use twice", i)
			return nil
		}
		w.seen[i] = used
	}
	b := make([]byte, (overflow+1)*pageSize)
	if _, err := w.f.ReadAt(b, int64(id)*pageSize); err != nil {
		w.report("page %d: %v", id, err)
		return nil
	}
	return b
}

// tree walks the pages of a bucket whose keys must be in [low, high); nil is
// no bound. Only the root bucket, which holds the others, has buckets in it.
func (w *pageWalk) tree(id uint64, root bool, depth int, low, high []byte) {
	b := w.page(id)
	if b == nil {
		return
	}
	flags := binary.NativeEndian.Uint16(b[8:])
	if depth > maxDepth || flags != branchPage && flags != leafPage {
		w.report("page %d has type %#x at depth %d", id, flags, depth)
		return
	}
	elements := w.elements(fmt.Sprintf("page %d", id), b, low, high)
	for i, e := range elements {
		switch {
		case flags == branchPage:
			next := high
			if i+1 < len(elements) {
				next = elements[i+1].key
			}
			w.tree(e.page, root, depth+1, e.key, next)
		case e.flags == bucketValue && root:
			w.bucket(e)
		case e.flags != 0:
			w.report("page %d: element %d has flags %#x", id, i, e.flags)
		}
	}
}

// bucket walks a bucket from its entry in the root bucket.
func (w *pageWalk) bucket(e element) {
	if len(e.value) < bucketBytes {
		w.report("bucket %q has a header of %d bytes", e.key, len(e.value))
		return
	}
	if id := binary.NativeEndian.Uint64(e.value); id != 0 {
		w.tree(id, false, 0, nil, nil)
		return
	}
	b := e.value[bucketBytes:] // a small bucket is one leaf page inside its entry
	if len(b) < headerBytes || binary.NativeEndian.Uint16(b[8:]) != leafPage {
		w.report("bucket %q holds no page", e.key)
		return
	}
	for i, x := range w.elements(fmt.Sprintf("bucket %q", e.key), b, nil, nil) {
		if x.flags != 0 {
			w.report("bucket %q: element %d has flags %#x", e.key, i, x.flags)
		}
	}
}

type element struct {
	flags      uint64
	page       uint64 // of a branch
	key, value []byte // no value in a branch
}

// elements parses a branch or leaf page. It returns nil after a report.
func (w *pageWalk) elements(what string, b, low, high []byte) []element {
	branch := binary.NativeEndian.Uint16(b[8:]) == branchPage
	count := int(binary.NativeEndian.Uint16(b[10:]))
	if headerBytes+count*elementBytes > len(b) || branch && count == 0 {
		w.report("%s has %d elements", what, count)
		return nil
	}
	out := make([]element, count)
	u32 := func(b []byte) uint64 { return uint64(binary.NativeEndian.Uint32(b)) }
	for i := range out {
		e := b[headerBytes+i*elementBytes:] // positions count from here
		pos, keyLen, valueLen := u32(e), u32(e[4:]), uint64(0)
		if branch {
			out[i].page = binary.NativeEndian.Uint64(e[8:])
		} else {
			out[i].flags, pos, keyLen, valueLen = u32(e), u32(e[4:]), u32(e[8:]), u32(e[12:])
		}
		if pos < elementBytes || pos+keyLen+valueLen > uint64(len(e)) {
			w.report("%s: element %d does not lie in its page", what, i)
			return nil
		}
		out[i].key, out[i].value = e[pos:pos+keyLen], e[pos+keyLen:pos+keyLen+valueLen]
		if i > 0 && bytes.Compare(out[i-1].key, out[i].key) >= 0 ||
			i == 0 && low != nil && bytes.Compare(out[i].key, low) < 0 ||
			high != nil && bytes.Compare(out[i].key, high) >= 0 {
			w.report("%s: key %d is out of order", what, i)
			return nil
		}
	}
	return out
}

// freelist checks that free pages are free.
func (w *pageWalk) freelist(id uint64) {
	b := w.page(id)
	if b == nil {
		return
	}
	count, ids := uint64(binary.NativeEndian.Uint16(b[10:])), b[headerBytes:]
	if count == 0xffff { // too many for the field: the first entry is the count
		count, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if binary.NativeEndian.Uint16(b[8:]) != freelistPage || count > uint64(len(ids)/8) {
		w.report("page %d is not a list of %d free pages", id, count)
		return
	}
	for i := range count {
		p := binary.NativeEndian.Uint64(ids[8*i:])
		if p < 2 || p >= w.end || w.seen[p] != unseen {
			w.report("page %d is in the list of free pages, but out of bounds, in use or twice in it", p)
			continue
		}
		w.seen[p] = free
	}
}
