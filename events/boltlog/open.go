package boltlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/events"
)

// DefaultTimeout is how long Open waits for another process to let go of the file.
const DefaultTimeout = 2 * time.Second

// Options are how a file is opened. nil means all defaults.
type Options struct {
	MaxBytes  int64         // quota of the file, see [Usage]; 0 = none
	Timeout   time.Duration // how long to wait for the file's lock; less than DefaultTimeout means DefaultTimeout
	LongLived bool          // keep the list of free pages and the latest indexes in memory, and write them at Close
	ReadOnly  bool          // share the file with other readers; Append is refused
}

// Log is an open board file. It implements [events.Log]. Whoever created or
// opened it closes it.
type Log struct {
	path  string
	opts  Options
	meta  Meta
	db    *bbolt.DB
	quota atomic.Int64 // bytes; 0 = none
	file  *os.File     // bbolt's own; for looking at it, and to free its lock when bbolt cannot

	writing  sync.Mutex      // one writer at a time; taken before mu
	frontier events.Frontier // guarded by writing: the tree at head
	wedged   bool            // guarded by writing: bbolt panicked and may hold its locks
	rows     []byte          // guarded by writing: room for the rows of one commit
	filled   int64           // guarded by writing: up to here the file has no holes that matter

	mu      sync.RWMutex // guards all below
	head    events.Head
	offsets map[string]uint64
	tail    tail
	unused  gap   // between the ids in the index
	broken  error // set once: every call returns it
}

var _ events.Log = (*Log)(nil)

// Create makes a new file with an empty log and fsyncs it and its folder. It
// fails with fs.ErrExist if the path exists.
func Create(path string, m Meta, o *Options) (*Log, error) {
	if m.Needs == 0 {
		m.Needs = Format
	}
	value, err := encodeMeta(m)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	l, err := create(path, value, o)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	return l, nil
}

func create(path string, meta []byte, o *Options) (l *Log, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(path)
		}
	}()
	if err := f.Chmod(0o600); err != nil {
		return nil, err
	}
	l, err = mapFile(path, o, func(string, int, os.FileMode) (*os.File, error) { return f, nil })
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.db.Close()
		}
	}()
	if err := l.db.Update(func(tx *bbolt.Tx) error { return layOut(tx, meta) }); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return l, l.load()
}

func layOut(tx *bbolt.Tx, meta []byte) error {
	for _, name := range buckets {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	b := tx.Bucket(bucketMeta)
	return errors.Join(b.Put(keyBoard, meta), b.Put(keyOffsets, encodeOffset(keyOffsets, 0)), putIndexed(tx, 0))
}

// Open opens an existing file; it never creates one. Besides fs.ErrNotExist
// and [ErrLocked] it returns a [*RefusedError] or a [*NewerError]. It checks the
// outside of the file, its meta pages, its layout and the end of the log, but
// not every record: that is [Verify].
func Open(path string, o *Options) (*Log, error) {
	l, err := mapFile(path, o, func(path string, flag int, _ os.FileMode) (*os.File, error) {
		return openChecked(path, flag)
	})
	if err == nil {
		if err = l.load(); err != nil {
			l.abandon()
		}
	}
	var refused *RefusedError
	var newer *NewerError
	switch {
	case err == nil:
		return l, nil
	case errors.As(err, &refused), errors.As(err, &newer):
		return nil, err
	case errors.Is(err, events.ErrDamaged), errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum):
		return nil, &RefusedError{path, err.Error(), Damaged}
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("open %s: %w", path, ErrLocked)
	}
	return nil, fmt.Errorf("open %s: %w", path, err)
}

type openFunc func(path string, flag int, mode os.FileMode) (*os.File, error)

// mapFile locks and maps a file that open returns.
func mapFile(path string, o *Options, open openFunc) (_ *Log, err error) {
	l := &Log{path: path}
	if o != nil {
		l.opts = *o
		l.quota.Store(o.MaxBytes)
	}
	defer func() {
		if err != nil && l.file != nil {
			l.file.Close() // not all of bbolt's error paths do; twice does no harm
		}
	}()
	defer guard(&err)
	defer faultsPanic()()
	l.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:      max(l.opts.Timeout, DefaultTimeout),
		FreelistType: bbolt.FreelistMapType,
		PageSize:     pageSize,
		MaxSize:      int(l.quota.Load()),
		ReadOnly:     l.opts.ReadOnly,
		// Were this false, bbolt would commit once while opening a file
		// without a free list, which fails on a full disk.
		NoFreelistSync: true,
		OpenFile: func(path string, flag int, mode os.FileMode) (f *os.File, err error) {
			l.file, err = open(path, flag, mode)
			return l.file, err
		},
	})
	if err != nil {
		return nil, err
	}
	l.db.NoFreelistSync = l.opts.LongLived
	return l, nil
}

// load reads what is kept in memory and checks the end of the log.
func (l *Log) load() error {
	return l.view(func(tx *bbolt.Tx) (err error) {
		if l.meta, err = loadMeta(tx); err != nil {
			return err
		}
		if l.meta.Needs > Format {
			return &NewerError{l.path, l.meta.Needs, Format}
		}
		for _, name := range buckets {
			if tx.Bucket(name) == nil {
				return damaged("bucket %s is missing", name)
			}
		}
		if l.frontier, err = loadFrontier(tx); err != nil {
			return err
		}
		l.head = l.frontier.Head()
		if l.tail, err = loadTail(tx, l.head.Seq); err != nil {
			return err
		}
		l.offsets, err = loadOffsets(tx)
		return err
	})
}

func loadOffsets(tx *bbolt.Tx) (map[string]uint64, error) {
	offsets := map[string]uint64{}
	err := tx.Bucket(bucketOffset).ForEach(func(k, v []byte) error {
		seq, ok := decodeOffset(k, v)
		if !ok {
			return damaged("the offset of %q does not match its checksum", k)
		}
		offsets[string(k)] = seq
		return nil
	})
	if err != nil {
		return nil, err
	}
	if n, ok := decodeOffset(keyOffsets, tx.Bucket(bucketMeta).Get(keyOffsets)); !ok || n != uint64(len(offsets)) {
		return nil, damaged("there are offsets of %d subscribers, meta speaks of %d", len(offsets), n)
	}
	return offsets, nil
}

func loadMeta(tx *bbolt.Tx) (Meta, error) {
	b := tx.Bucket(bucketMeta)
	if b == nil {
		return Meta{}, damaged("bucket meta is missing")
	}
	return decodeMeta(b.Get(keyBoard))
}

// Meta returns what was fixed when the board was created.
func (l *Log) Meta() Meta { return l.meta }

// Path returns the path the file was opened by.
func (l *Log) Path() string { return l.path }

// Head returns the last position whose commit succeeded, also of a handle
// that is broken or closed.
func (l *Log) Head() events.Head {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.head
}

// Close writes the list of free pages and the indexes if they were kept in
// memory, frees the lock and waits for running reads. It is safe to call again.
func (l *Log) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	broken := l.alive()
	if broken == events.ErrClosed {
		return nil
	}
	var err error
	if broken == nil { // otherwise the log is left as it is, and whoever broke it was told
		err = l.settle()
	}
	l.mu.Lock()
	l.broken = events.ErrClosed
	l.mu.Unlock()
	return errors.Join(err, l.abandon())
}

// abandon closes the file as it is.
func (l *Log) abandon() error {
	if l.wedged {
		// bbolt's own locks may be held for ever, so its Close might not come
		// back. The map stays until the process ends.
		return errors.Join(unix.Flock(int(l.file.Fd()), unix.LOCK_UN), l.file.Close())
	}
	return l.db.Close()
}

// settle makes the next Open fast: without a list of free pages on disk it has
// to scan the file, and it reads the records that are not indexed. A file too
// full for that stays without.
func (l *Log) settle() error {
	if l.opts.ReadOnly {
		return nil
	}
	pages, err := readMetaPages(l.file)
	if err != nil {
		return fmt.Errorf("close %s: %w", l.path, err)
	}
	if m, ok := pages.best(); ok && m.freelist != noFreelist && l.tail.after == l.head.Seq {
		return nil
	}
	l.db.NoFreelistSync = false
	err = l.commit(func(tx *bbolt.Tx) error { return errors.Join(l.tail.put(tx), putIndexed(tx, l.head.Seq)) })
	if err != nil && !errors.Is(err, events.ErrFull) {
		return fmt.Errorf("close %s: %w", l.path, err)
	}
	return nil
}

// CheckFile reports whether the path still names the open file. If not, what
// is appended goes to a file nobody will find: stop and close.
func (l *Log) CheckFile() error {
	if err := l.alive(); err != nil {
		return err
	}
	open, err := l.file.Stat()
	if err != nil {
		return fmt.Errorf("check %s: %w", l.path, err)
	}
	named, err := os.Lstat(l.path)
	if err != nil {
		return fmt.Errorf("check %s: %w", l.path, err)
	}
	if !os.SameFile(open, named) {
		return &RefusedError{l.path, "another file has taken its place", NotRegular}
	}
	return nil
}

// alive returns why no further work is taken.
func (l *Log) alive() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.broken
}

// view runs fn in a short read transaction. Panics and memory faults on a
// damaged file become events.ErrDamaged.
func (l *Log) view(fn func(*bbolt.Tx) error) (err error) {
	if err := l.alive(); err != nil {
		return err
	}
	defer guard(&err)
	defer faultsPanic()()
	err = l.db.View(fn)
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return events.ErrClosed
	}
	return err
}

// guard is deferred around reading a mapped file. It must be the deferred
// function itself.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = damaged("reading it went wrong: %v", p)
	}
}

// faultsPanic makes memory faults of this goroutine panics; call what it
// returns to undo it.
func faultsPanic() func() {
	old := debug.SetPanicOnFault(true)
	return func() { debug.SetPanicOnFault(old) }
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
