package events_test

import (
	"fmt"

	"github.com/hermesboard/hermes/events"
)

// A record is written once; what counts from then on are its bytes.
func Example() {
	text, err := events.EncodeText(events.Text{
		Salt:   events.Salt{1, 2, 3}, // 128 random bits
		Fields: events.Fields{Title: "Compare three heat pumps"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	record, err := events.Encode(events.Record{
		Seq:   3,
		ID:    events.ULID{1},
		Time:  1_700_000_000_000_000,
		Task:  1,
		Actor: events.Actor{Kind: events.Human, Name: "ann", Via: "cli"},
		Cmd:   events.CommandID{2},
		Data:  events.TaskCreated{Status: events.Ready, Assignee: "researcher"},
		Text:  events.DigestOf(text),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	read, err := events.Decode(record)
	if err != nil {
		fmt.Println(err)
		return
	}
	created := read.Data.(events.TaskCreated)
	fmt.Println(read.Task, created.Status, "for", created.Assignee, "by", read.Actor)

	var tree events.Frontier
	tree.Append(events.LeafHash(record), nil)
	fmt.Println(tree.Size(), "record, root", tree.Root().String()[:8])
	// Output:
	// t1 ready for researcher by ann via cli
	// 1 record, root 89669f2c
}
