package boltlog

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/logtest"
)

// Whatever ids come, early, late or from anywhere, a command is found if and
// only if it was committed; and ids in the order of time are not looked for.
func TestCommandGap(t *testing.T) {
	for _, longLived := range []bool{false, true} {
		t.Run(fmt.Sprintf("LongLived=%v", longLived), func(t *testing.T) { testCommandGap(t, longLived) })
	}
}

func testCommandGap(t *testing.T, longLived bool) {
	l, err := Create(filepath.Join(t.TempDir(), "board.db"), Meta{Slug: "eng"}, &Options{LongLived: longLived})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed))
	clock := uint64(1_700_000_000_000)
	next := func() (id events.CommandID) {
		binary.BigEndian.PutUint64(id[8:], random.Uint64())
		binary.BigEndian.PutUint64(id[:], random.Uint64())
		switch random.IntN(8) {
		case 0: // a hash
			return id
		case 1: // late
			_ = id.SetTime(clock - random.Uint64N(20_000))
			return id
		}
		clock += random.Uint64N(3)
		_ = id.SetTime(clock)
		return id
	}
	committed := map[events.CommandID]bool{}
	var ids []events.CommandID
	check := func(id events.CommandID) {
		t.Helper()
		if _, found, err := l.Command(id); found != committed[id] || err != nil {
			t.Fatalf("command %s: got %v, %v, want %v (seed %d)", id, found, err, committed[id], seed)
		}
	}
	spared := 0
	for range 500 {
		var batch []events.Commit
		for range 1 + random.IntN(8) {
			id := next()
			if l.unused.has(id) {
				spared++
			}
			check(id)
			c := logtest.Commit(l.Head().Seq+uint64(len(batch))+1, 1)
			c.ID = id
			if random.IntN(4) > 0 {
				batch = append(batch, c)
			}
			ids = append(ids, id)
		}
		if _, err := l.Append(t.Context(), l.Head().Seq, batch); err != nil {
			t.Fatal(err)
		}
		for _, c := range batch {
			committed[c.ID] = true
		}
		for range 20 {
			check(ids[random.IntN(len(ids))])
		}
	}
	if spared < len(ids)/4 {
		t.Errorf("%d of %d new ids were not looked for, want most", spared, len(ids))
	}
	t.Logf("%d of %d new ids were not looked for", spared, len(ids))
}
