package boltlog_test

import (
	"path/filepath"
	"testing"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/events/logtest"
)

func TestConformance(t *testing.T) {
	long := &boltlog.Options{LongLived: true}
	for name, openAs := range map[string]func(t testing.TB, path string) events.Log{
		"Short":     func(t testing.TB, path string) events.Log { return open(t, path, nil) },
		"LongLived": func(t testing.TB, path string) events.Log { return open(t, path, long) },
		"Faulty":    func(t testing.TB, path string) events.Log { return logtest.Faulty(open(t, path, nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			logtest.Run(t, func(t *testing.T) logtest.Harness {
				path := newPath(t)
				create(t, path, nil).Close()
				return logtest.Harness{
					Open:  func(t testing.TB) events.Log { return openAs(t, path) },
					Check: func(t testing.TB) { verify(t, path) },
				}
			})
		})
	}
}

var testMeta = boltlog.Meta{Board: events.BoardID{1, 2, 3}, Slug: "eng", Created: logtest.Start}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "board.db") }

func create(t testing.TB, path string, o *boltlog.Options) *boltlog.Log {
	t.Helper()
	l, err := boltlog.Create(path, testMeta, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func open(t testing.TB, path string, o *boltlog.Options) *boltlog.Log {
	t.Helper()
	l, err := boltlog.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// verify fails the test if the closed file has any problem.
func verify(t testing.TB, path string) {
	t.Helper()
	for p := range boltlog.Verify(t.Context(), path) {
		t.Errorf("verify %s: %s", path, p)
	}
}

// fill appends commands of the given numbers of records in one batch.
func fill(t testing.TB, l *boltlog.Log, sizes ...int) events.Head {
	t.Helper()
	head := l.Head()
	var batch []events.Commit
	next := head.Seq + 1
	for _, n := range sizes {
		batch = append(batch, logtest.Commit(next, n))
		next += uint64(n)
	}
	head, err := l.Append(t.Context(), head.Seq, batch)
	if err != nil {
		t.Fatal(err)
	}
	return head
}
