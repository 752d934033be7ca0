package boltlog

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"

	"golang.org/x/sys/unix"
)

// openChecked opens a file for bbolt and refuses it before it is mapped if it
// is not a board file that can be trusted to stay what it is.
func openChecked(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag&^(os.O_CREATE|os.O_TRUNC)|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		if info, lerr := os.Lstat(path); lerr == nil && !info.Mode().IsRegular() {
			return nil, &RefusedError{path, "not a regular file", NotRegular}
		}
		return nil, err
	}
	if err := checkFile(f, path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func checkFile(f *os.File, path string) error {
	var st unix.Stat_t
	var fs unix.Statfs_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("stat %s: %w", path, err)
	}
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		return fmt.Errorf("statfs %s: %w", path, err)
	}
	refuse := func(code, format string, args ...any) error {
		return &RefusedError{path, fmt.Sprintf(format, args...), code}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return refuse(NotRegular, "not a regular file")
	}
	if st.Nlink != 1 {
		return refuse(Linked, "it has %d names, and a file under another name is not locked by ours", st.Nlink)
	}
	if int(st.Uid) != os.Geteuid() {
		return refuse(Owner, "it belongs to user %d, we are user %d", st.Uid, os.Geteuid())
	}
	if mode := st.Mode & 0o7777; mode != 0o600 {
		return refuse(Mode, "its mode is %#o, not 0600", mode)
	}
	if name := remote(&fs); name != "" {
		return refuse(FileSystem, "it lies on %s; locks and memory maps are only safe on a local file system", name)
	}
	if st.Size == 0 {
		return refuse(Empty, "it is empty")
	}
	pages, err := readMetaPages(f)
	if err != nil {
		return refuse(Short, "it has only %d bytes", st.Size)
	}
	best, ok := pages.best()
	if !ok {
		return refuse(Damaged, "neither of its two meta pages is valid")
	}
	if best.pageSize != pageSize {
		return refuse(BadFormat, "its pages have %d bytes, not %d", best.pageSize, pageSize)
	}
	if want := int64(best.pages) * pageSize; st.Size < want || best.pages > 1<<36 {
		return refuse(Short, "it has %d bytes, its meta page speaks of %d", st.Size, want)
	}
	return nil
}

// metaPages are the first bytes of bbolt's two meta pages, of which the valid
// one with the higher transaction number counts.
type metaPages [2][metaBytes]byte

// A meta page is a page header of 16 bytes and 64 bytes of meta.
const metaBytes = 16 + 64

const noFreelist = ^uint64(0)

// pageMeta is what we need of a meta page.
type pageMeta struct {
	pageSize uint32
	root     uint64 // page of the bucket that holds all others
	freelist uint64 // page of the free list, or noFreelist
	pages    uint64 // pages in use: the file is at least as long
	txid     uint64
}

func readMetaPages(f *os.File) (p metaPages, err error) {
	for i := range p {
		if _, err := f.ReadAt(p[i][:], int64(i)*pageSize); err != nil {
			return p, err
		}
	}
	return p, nil
}

// parse returns the meta of page i, if it is valid.
func (p *metaPages) parse(i int) (m pageMeta, ok bool) {
	b := p[i][16:]
	u32, u64 := binary.NativeEndian.Uint32, binary.NativeEndian.Uint64
	sum := fnv.New64a()
	sum.Write(b[:56])
	if u32(b) != 0xED0CDAED || u32(b[4:]) != 2 || u64(b[56:]) != sum.Sum64() {
		return m, false
	}
	return pageMeta{pageSize: u32(b[8:]), root: u64(b[16:]), freelist: u64(b[32:]), pages: u64(b[40:]), txid: u64(b[48:])}, true
}

func (p *metaPages) best() (m pageMeta, ok bool) {
	a, okA := p.parse(0)
	b, okB := p.parse(1)
	if okB && (!okA || b.txid > a.txid) {
		return b, true
	}
	return a, okA
}
