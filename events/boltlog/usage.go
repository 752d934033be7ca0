package boltlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"go.etcd.io/bbolt"

	"github.com/hermesboard/hermes/events"
)

// Usage says how full a board and its disk are, in bytes.
type Usage struct {
	FileBytes int64 // size of the file
	UsedBytes int64 // of it in use; freed pages are not
	MaxBytes  int64 // what UsedBytes can reach under the quota; 0 = no quota
	DiskFree  int64 // for us, not for root
	DiskTotal int64
}

// StopIntake says why nothing new should be taken on: 90 % of the quota are
// used, or less than 5 % of the disk is free. It returns "" if neither is so.
// What is left is for ending what has begun.
func (u Usage) StopIntake() string {
	if u.MaxBytes > 0 && u.UsedBytes >= u.MaxBytes/10*9 {
		return fmt.Sprintf("the board uses %d MiB of the %d MiB it may (%d %%)", u.UsedBytes>>20, u.MaxBytes>>20, u.UsedBytes*100/u.MaxBytes)
	}
	if u.DiskTotal > 0 && u.DiskFree < u.DiskTotal/20 {
		return fmt.Sprintf("the disk has %d MiB of %d MiB free (%d %%)", u.DiskFree>>20, u.DiskTotal>>20, u.DiskFree*100/u.DiskTotal)
	}
	return ""
}

// SetQuota changes the quota of the file; 0 = none. The file grows in steps of
// 16 MiB, and a quota below its size only keeps it from growing.
func (l *Log) SetQuota(maxBytes int64) {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.quota.Store(maxBytes)
	if l.db != nil {
		l.db.MaxSize = int(maxBytes)
	}
}

// Usage looks at the file and its disk.
func (l *Log) Usage() (u Usage, err error) {
	info, err := os.Stat(l.path)
	if err != nil {
		return u, fmt.Errorf("usage: %w", err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(l.path, &st); err != nil {
		return u, fmt.Errorf("usage: statfs %s: %w", l.path, err)
	}
	u.FileBytes = info.Size()
	u.MaxBytes = usable(l.quota.Load())
	u.DiskFree = int64(st.Bavail) * int64(st.Bsize)
	u.DiskTotal = int64(st.Blocks) * int64(st.Bsize)
	err = l.view(func(tx *bbolt.Tx) error {
		stats := l.db.Stats()
		u.UsedBytes = tx.Size() - int64(stats.FreePageN+stats.PendingPageN)*pageSize
		return nil
	})
	return u, err
}

// bbolt doubles a file up to allocStep and then grows it in steps of as much,
// refusing a step that would end beyond the quota.
const allocStep = 16 << 20

// usable is how much of a quota can be filled.
func usable(quota int64) int64 {
	switch {
	case quota <= 0:
		return 0
	case quota >= 2*allocStep:
		return quota - allocStep
	}
	size := int64(allocStep)
	for size > quota {
		size /= 2
	}
	return size
}

// The ballast is a file beside the board that takes up room, to be given up
// when the disk is full: appending needs new pages even for the few records
// that end what has begun.
const (
	BallastName  = "ballast"
	BallastBytes = 2 << 20
)

func (l *Log) ballast() string { return filepath.Join(filepath.Dir(l.path), BallastName) }

// MakeBallast sets the ballast aside unless it is there. It returns
// events.ErrFull if there is no room.
func (l *Log) MakeBallast() error {
	path := l.ballast()
	if whole(path) {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("ballast: %w", err)
	}
	defer f.Close()
	err = reserve(f, BallastBytes)
	if errors.Is(err, unix.EOPNOTSUPP) {
		_, err = f.WriteAt(make([]byte, BallastBytes), 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		return nil
	}
	err = errors.Join(err, os.Remove(path))
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("ballast: %w: %w", events.ErrFull, err)
	}
	return fmt.Errorf("ballast: %w", err)
}

// whole reports whether the ballast is there with all its blocks.
func whole(path string) bool {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	return err == nil && st.Size >= BallastBytes && st.Blocks*512 >= BallastBytes
}

// DropBallast gives the ballast up and reports whether there was any.
func (l *Log) DropBallast() (bool, error) {
	err := os.Remove(l.ballast())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = syncFolder(filepath.Dir(l.path))
	}
	if err != nil {
		return false, fmt.Errorf("ballast: %w", err)
	}
	return true, nil
}
