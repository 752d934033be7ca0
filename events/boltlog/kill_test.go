package boltlog_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/events/logtest"
)

// A process that appends is killed at random moments. What it had acknowledged
// in a ledger outside the board must be in the log, which must be whole.
// BOLTLOG_KILLS sets how often.
func TestKill(t *testing.T) {
	kills := 60
	if s := os.Getenv("BOLTLOG_KILLS"); s != "" {
		kills, _ = strconv.Atoi(s)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	var k *killer
	var acked uint64
	var more int
	for n := range kills {
		if n%50 == 0 { // a fresh board: the time to verify one grows with it
			k = newKiller(t, "honest")
		}
		before := k.acked
		lost, unacked := k.round(t, random)
		acked += k.acked - before
		if lost != 0 {
			t.Fatalf("%d acknowledged records are lost", lost)
		}
		if unacked != 0 {
			more++
		}
	}
	if acked == 0 {
		t.Error("nothing was acknowledged: the test shows nothing")
	}
	t.Logf("%d kills, %d records acknowledged, 0 lost; in %d rounds the log held more than was acknowledged", kills, acked, more)
}

// The same test must catch a process that acknowledges too early.
func TestKillSeesEarlyAck(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	k := newKiller(t, "early")
	for n := range 200 {
		if lost, _ := k.round(t, random); lost != 0 {
			t.Logf("caught after %d kills", n+1)
			return
		}
	}
	t.Error("200 kills did not catch a process that acknowledges before it commits")
}

type killer struct {
	board, ledger, mode string
	acked               uint64
}

func newKiller(t *testing.T, mode string) *killer {
	dir := t.TempDir()
	k := &killer{board: filepath.Join(dir, "board.db"), ledger: filepath.Join(dir, "ledger"), mode: mode}
	create(t, k.board, nil).Close()
	return k
}

// round lets a child append, kills it, and looks at what is left.
func (k *killer) round(t *testing.T, random *rand.Rand) (lost, unacked uint64) {
	t.Helper()
	cmd := child(t, nil, "append", k.board, k.ledger, k.mode)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.Read(make([]byte, 1)) // it has opened the board
	<-time.After(time.Duration(random.Int64N(int64(30 * time.Millisecond))))
	cmd.Process.Kill()
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != -1 {
		t.Fatalf("the child ended by itself with %d", code)
	}
	k.acked = max(k.acked, lastAck(t, k.ledger))
	verify(t, k.board)
	l := open(t, k.board, &boltlog.Options{ReadOnly: true})
	defer l.Close()
	head := l.Head().Seq
	if head < k.acked {
		return k.acked - head, 0
	}
	return 0, head - k.acked
}

// lastAck reads the last whole line of the ledger.
func lastAck(t *testing.T, path string) uint64 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	all := bytes.Split(b, []byte("\n"))
	if len(all) < 2 {
		return 0
	}
	n, err := strconv.ParseUint(string(all[len(all)-2]), 10, 64)
	if err != nil {
		t.Fatalf("ledger: %v", err)
	}
	return n
}

// childAppend appends commands of one to five records until it is killed, and
// writes each head to the ledger: after Append has returned, or before.
func childAppend(args []string) {
	board, path, mode := args[0], args[1], args[2]
	l, err := boltlog.Open(board, &boltlog.Options{LongLived: true})
	must(err)
	ledger, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	must(err)
	ack := func(seq uint64) {
		_, err := fmt.Fprintf(ledger, "%d\n", seq)
		must(err)
	}
	fmt.Print(".")
	for head := l.Head().Seq; ; {
		c := logtest.Commit(head+1, 1+int(head%5))
		if mode == "early" {
			ack(head + uint64(len(c.Records)))
		}
		h, err := l.Append(context.Background(), head, []events.Commit{c})
		must(err)
		if mode == "honest" {
			ack(h.Seq)
		}
		head = h.Seq
	}
}
