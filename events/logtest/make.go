package logtest

import (
	"encoding/binary"
	"fmt"

	"github.com/hermesboard/hermes/events"
)

// Start is when the made-up records begin: 2026-01-02 03:04:05 UTC.
const Start events.Time = 1_767_323_045_000_000

// Commit makes up a command with so many records, the first at position first.
// The same arguments give the same bytes. Records are canonical; they are about
// tasks t1 to t7 in turn, except each eighth, which is about none; each second
// one has a text.
func Commit(first uint64, records int) events.Commit {
	c := events.Commit{ID: CommandID(first), Check: events.Check(first16("check", first))}
	for i := range records {
		c.Records = append(c.Records, encoded(first+uint64(i), c.ID))
	}
	return c
}

// CommandID is the id of the made-up command whose first record is at first.
// Ids grow with first.
func CommandID(first uint64) events.CommandID {
	id := events.CommandID(first16("command", first))
	binary.BigEndian.PutUint64(id[:8], uint64(Start)/1000<<16+first)
	return id
}

// Task is the task that the made-up record at seq is about.
func Task(seq uint64) events.TaskID { return events.TaskID(seq % 8) }

func encoded(seq uint64, cmd events.CommandID) events.Encoded {
	r := events.Record{
		Seq:   seq,
		ID:    events.ULID(first16("record", seq)),
		Time:  Start + events.Time(seq)*1000,
		Task:  Task(seq),
		Actor: events.Actor{Kind: events.Human, Name: "kai", Via: "cli"},
		Cmd:   cmd,
		Cause: seq / 2,
		Data:  events.TaskCommented{},
	}
	var text []byte
	if seq%2 == 1 {
		text = must(events.EncodeText(events.Text{
			Salt:   events.Salt(first16("salt", seq)),
			Fields: events.Fields{Comment: fmt.Sprintf("This is what somebody had to say about %d.", seq)},
		}))
		r.Text = events.DigestOf(text)
	}
	return events.Encoded{Task: r.Task, Record: must(events.Encode(r)), Text: text}
}

func first16(what string, n uint64) [16]byte {
	d := events.DigestOf(fmt.Appendf(nil, "%s %d", what, n))
	return [16]byte(d[:])
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}
