//go:build linux

package boltlog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/events/logtest"
)

// raw appends 512 bytes to a growing file and fdatasyncs it: the most a log
// could do on this disk with one writer and no batches. It returns how long n
// of that took.
func raw(b *testing.B, f *os.File, n int) time.Duration {
	b.Helper()
	buf := make([]byte, 512)
	start := time.Now()
	for range n {
		if _, err := f.Write(buf); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start)
}

// BenchmarkAppend appends one record for each command. x_raw is how many
// records are durable for each raw append, measured in turns; B/rec is the
// growth of the file beside the texts, with its records.
func BenchmarkAppend(b *testing.B) {
	for _, perTx := range []int{1, 64, 1000} {
		for _, longLived := range []bool{false, true} {
			b.Run(fmt.Sprintf("PerTx=%d/LongLived=%v", perTx, longLived), func(b *testing.B) { benchAppend(b, perTx, longLived) })
		}
	}
}

func benchAppend(b *testing.B, perTx int, longLived bool) {
	dir := b.TempDir()
	f, err := os.Create(filepath.Join(dir, "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	path := filepath.Join(dir, "board.db")
	l := create(b, path, &boltlog.Options{LongLived: longLived})
	const turn = 100 // transactions, and raw appends, in turns
	var rawTime, ours time.Duration
	var turns, records, texts int
	for b.Loop() {
		b.StopTimer()
		batches := make([][]events.Commit, turn)
		next := l.Head().Seq + 1
		for i := range batches {
			for range perTx {
				c := logtest.Commit(next, 1)
				batches[i] = append(batches[i], c)
				texts += len(c.Records[0].Text)
				next++
			}
		}
		rawTime += raw(b, f, turn)
		turns++
		b.StartTimer()
		start := time.Now()
		for _, batch := range batches {
			if _, err := l.Append(b.Context(), l.Head().Seq, batch); err != nil {
				b.Fatal(err)
			}
		}
		ours += time.Since(start)
		records += turn * perTx
	}
	u, err := l.Usage()
	if err != nil {
		b.Fatal(err)
	}
	l.Close()
	rawRate := float64(turns*turn) / rawTime.Seconds()
	rate := float64(records) / ours.Seconds()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(rawRate, "raw/s")
	b.ReportMetric(rate, "rec/s")
	b.ReportMetric(rate/rawRate, "x_raw")
	b.ReportMetric(float64(u.UsedBytes-int64(texts))/float64(records), "B/rec")
	if perTx > 1 { // one record a commit leaves half its pages to be used again
		b.ReportMetric(700, "goal_B/rec")
	}
}

func BenchmarkRead(b *testing.B) {
	l := create(b, newPath(b), nil)
	defer l.Close()
	for range 100 {
		fill(b, l, 1000)
	}
	for _, withText := range []bool{false, true} {
		b.Run(fmt.Sprintf("WithText=%v", withText), func(b *testing.B) {
			n, next := 0, uint64(1)
			for b.Loop() {
				got, err := l.Read(b.Context(), next, 0, withText)
				if err != nil {
					b.Fatal(err)
				}
				if next += uint64(len(got)); len(got) == 0 {
					next = 1
				}
				n += len(got)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rec/s")
		})
	}
}

// BenchmarkOpen opens and closes a board of 100,000 records, with and without
// its list of free pages on disk.
func BenchmarkOpen(b *testing.B) {
	path := newPath(b)
	l := create(b, path, &boltlog.Options{LongLived: true})
	for range 100 {
		fill(b, l, 1000)
	}
	crashed, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	l.Close()
	b.Run("Clean", func(b *testing.B) {
		for b.Loop() {
			open(b, path, nil).Close()
		}
	})
	b.Run("Crashed", func(b *testing.B) {
		path := newPath(b)
		for b.Loop() {
			b.StopTimer()
			if err := os.WriteFile(path, crashed, 0o600); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			l := open(b, path, nil)
			b.StopTimer()
			l.Close()
			b.StartTimer()
		}
	})
	b.Run("Verify", func(b *testing.B) {
		for b.Loop() {
			verify(b, path)
		}
		b.ReportMetric(100_000*float64(b.N)/b.Elapsed().Seconds(), "rec/s")
	})
}

// A record costs little beside itself.
func TestBytesPerRecord(t *testing.T) {
	l := create(t, newPath(t), &boltlog.Options{LongLived: true})
	defer l.Close()
	var records, texts int
	for range 100 {
		var batch []events.Commit
		next := l.Head().Seq + 1
		for i := range uint64(64) {
			c := logtest.Commit(next+i, 1)
			texts += len(c.Records[0].Text)
			batch = append(batch, c)
		}
		if _, err := l.Append(t.Context(), next-1, batch); err != nil {
			t.Fatal(err)
		}
		records += len(batch)
	}
	u, err := l.Usage()
	if err != nil {
		t.Fatal(err)
	}
	got := (u.UsedBytes - int64(texts)) / int64(records)
	t.Logf("%d bytes a record beside its text, of which %d are the record", got, len(logtest.Commit(1000, 1).Records[0].Record))
	if got > 700 {
		t.Errorf("got %d bytes a record beside its text, want at most 700", got)
	}
}
