package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/events"
)

const lockFile = "lock"

// Waiting for a lock asks again after 1 ms, then less and less often.
const (
	firstPause = time.Millisecond
	lastPause  = 50 * time.Millisecond
	// graceTime is waited in any case for a holder that is no live process
	// with a name: it has only just got the lock, or only looks at it.
	graceTime = 50 * time.Millisecond
)

// Holder is the process that holds a board, as it wrote itself into the lock.
type Holder struct {
	PID       int         `json:"pid"`
	StartTime uint64      `json:"start_time"` // in clock ticks since boot, against reuse of the pid
	Boot      string      `json:"boot"`
	Version   string      `json:"version"`
	Socket    string      `json:"socket,omitzero"` // empty = it does not serve, or not yet
	Since     events.Time `json:"since"`
}

// holderBytes is what a Holder is padded to, so that writing it again covers
// what was there and a reader never finds an empty file in between.
const holderBytes = 512

// boardLock is the flock on a board's lock file, held.
type boardLock struct {
	boards  *os.Root
	name    string // the board's folder in boards
	file    *os.File
	left    bool // the former holder did not stop cleanly
	written bool // we have written ourselves into the file
}

// lock takes the lock of the board in folder name. It waits as [Home.Hold]
// says.
func (h *Home) lock(ctx context.Context, name string, wait time.Duration) (*boardLock, error) {
	began, pause := time.Now(), firstPause
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l, err := tryLock(h.boards, name)
		var held *HeldError
		if err == nil || !errors.As(err, &held) {
			return l, err
		}
		if wait >= 0 {
			limit := wait
			if !held.Holder.alive() {
				limit = max(limit, graceTime)
			}
			left := limit - time.Since(began)
			if left <= 0 {
				return nil, held
			}
			pause = min(pause, left)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// tryLock returns a *HeldError if the lock is taken, a *NoBoardError if there
// is no folder, and a flaw if the folder is not what it must be.
func tryLock(boards *os.Root, name string) (*boardLock, error) {
	f, err := openLock(boards, name)
	if err != nil {
		return nil, err
	}
	l := &boardLock{boards: boards, name: name, file: f}
	if err := l.win(); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

func openLock(boards *os.Root, name string) (*os.File, error) {
	info, err := boards.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &NoBoardError{name}
	}
	if err != nil {
		return nil, fmt.Errorf("lock board %s: %w", name, err)
	}
	if !info.IsDir() {
		return nil, flawf(NotRegular, "its place is taken by something that is not a folder")
	}
	if err := ours(info, 0); err != nil {
		return nil, flawf(WrongOwner, "its folder %v", err)
	}
	f, err := boards.OpenFile(name+"/"+lockFile, os.O_RDWR|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist) && exists(boards, name):
		return nil, flawf(LockMissing, "its lock file is gone")
	case errors.Is(err, fs.ErrNotExist):
		return nil, &NoBoardError{name}
	case err != nil:
		return nil, fmt.Errorf("lock board %s: %w", name, err)
	}
	return f, nil
}

func (l *boardLock) win() error {
	err := unix.Flock(int(l.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := l.read()
		return &HeldError{l.name, holder}
	}
	if err != nil {
		return fmt.Errorf("lock board %s: %w", l.name, err)
	}
	if err := l.moved(); err != nil {
		l.unlock()
		return &HeldError{Slug: l.name} // it went while we waited: look again
	}
	_, l.left = l.read()
	return nil
}

// moved returns ErrMoved if the board's folder has another lock file by now.
func (l *boardLock) moved() error {
	open, err := l.file.Stat()
	if err != nil {
		return fmt.Errorf("check lock of board %s: %w", l.name, err)
	}
	named, err := l.boards.Lstat(l.name + "/" + lockFile)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMoved, err)
	}
	if !os.SameFile(open, named) || !named.Mode().IsRegular() {
		return fmt.Errorf("%w: its lock file is another one", ErrMoved)
	}
	return nil
}

// read returns who wrote itself into the file, as far as it can be read, and
// whether there is anything in it.
func (l *boardLock) read() (h Holder, any bool) {
	b, err := io.ReadAll(io.NewSectionReader(l.file, 0, 4*holderBytes))
	b = bytes.TrimSpace(b)
	if err != nil || len(b) == 0 {
		return Holder{}, err != nil
	}
	if json.Unmarshal(b, &h) != nil {
		h = Holder{}
	}
	return h, true
}

// write puts h into the file in one piece.
func (l *boardLock) write(h Holder) error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	b = append(b, bytes.Repeat([]byte{' '}, max(0, holderBytes-1-len(b)))...)
	b = append(b, '\n')
	l.written = true
	if _, err := l.file.WriteAt(b, 0); err != nil {
		return fmt.Errorf("lock board %s: %w", l.name, err)
	}
	return nil
}

// release lets go. Clean says that the board was left in order, which the
// next holder sees from the blank file. It is not cut short: on a full disk
// the next holder could not write itself into it.
func (l *boardLock) release(clean bool) error {
	var err error
	if clean {
		err = l.blank()
	}
	l.unlock()
	return errors.Join(err, l.file.Close())
}

func (l *boardLock) blank() error {
	info, err := l.file.Stat()
	if err == nil {
		_, err = l.file.WriteAt(bytes.Repeat([]byte{' '}, int(max(info.Size(), holderBytes))), 0)
	}
	return err
}

// giveUp lets go without having changed anything.
func (l *boardLock) giveUp() { _ = l.release(l.written && !l.left) }

// unlock is explicit because a child that is between fork and exec has the
// file open too.
func (l *boardLock) unlock() { _ = unix.Flock(int(l.file.Fd()), unix.LOCK_UN) }

// self is this process as a holder.
func (h *Home) self() Holder {
	pid := os.Getpid()
	return Holder{
		PID:       pid,
		StartTime: startTime(pid),
		Boot:      bootID(),
		Version:   h.opts.Version,
		Since:     events.TimeOf(time.Now()),
	}
}
