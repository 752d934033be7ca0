package dispatcher

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Slots are the places that runs take on this host, over all boards and
// programs: files named 1, 2, 3 …, each locked by the supervisor that has it.
// The kernel frees a slot when its holder dies. Safe for concurrent use, also
// by several processes.
type Slots struct {
	dir string
	n   int
}

// SlotState is how the slots stand.
type SlotState struct {
	Total, Free int
	Held        []SlotHolder
}

// SlotHolder says who has a slot.
type SlotHolder struct {
	N   int    // from 1
	Who string // as given to Take
}

// OpenSlots returns n slots in a folder, which is made if it is missing.
func OpenSlots(dir string, n int) (*Slots, error) {
	if n < 1 {
		return nil, fmt.Errorf("%d slots: at least 1 is needed", n)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of slots: %w", err)
	}
	return &Slots{dir, n}, nil
}

// Take locks a free slot and notes who has it. It returns nil and no error if
// none is free. The slot is free again when the file and all copies of its
// descriptor are closed.
func (s *Slots) Take(who string) (*os.File, error) {
	for i := 1; i <= s.n; i++ {
		f, err := s.lock(i)
		if err != nil {
			return nil, err
		}
		if f == nil {
			continue
		}
		if err := mark(f, who); err != nil {
			f.Close()
			return nil, fmt.Errorf("slot %d: %w", i, err)
		}
		return f, nil
	}
	return nil, nil
}

func mark(f *os.File, who string) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(who), 0)
	return err
}

// lock opens a slot and locks it; nil if somebody else has it.
func (s *Slots) lock(i int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(s.dir, strconv.Itoa(i)), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("slot %d: %w", i, err)
	}
	switch err := flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		f.Close()
		return nil, nil
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("slot %d: lock: %w", i, err)
	}
	return f, nil
}

func flock(fd, how int) error {
	for {
		if err := syscall.Flock(fd, how); err != syscall.EINTR {
			return err
		}
	}
}

// Probe says how many slots are free and who has the others. It takes none: a
// shared lock, held for an instant, is enough to see.
func (s *Slots) Probe() (SlotState, error) {
	state := SlotState{Total: s.n}
	for i := 1; i <= s.n; i++ {
		free, err := s.free(i)
		if err != nil {
			return SlotState{}, err
		}
		if free {
			state.Free++
			continue
		}
		state.Held = append(state.Held, SlotHolder{i, s.holder(i)})
	}
	return state, nil
}

// free looks at one slot. It is asked at every tick, hence without a File.
func (s *Slots) free(i int) (bool, error) {
	fd, err := syscall.Open(filepath.Join(s.dir, strconv.Itoa(i)), syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return false, fmt.Errorf("slot %d: %w", i, err)
	}
	defer syscall.Close(fd)
	switch err := flock(fd, syscall.LOCK_SH|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("slot %d: lock: %w", i, err)
	}
	return true, nil
}

const holderBytes = 256 // of a slot file: more is not read

func (s *Slots) holder(i int) string {
	f, err := os.Open(filepath.Join(s.dir, strconv.Itoa(i)))
	if err != nil {
		return ""
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, holderBytes))
	return string(b)
}
