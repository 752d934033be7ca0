package api

import (
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/hermesboard/hermes/boards"
)

// BenchmarkDo is a command over the socket and back, without a board that does
// anything; both ends are in this process.
func BenchmarkDo(b *testing.B) {
	s := serve(b)
	c := s.dial(b)
	command := boards.CreateTasks{Tasks: []boards.NewTask{{Title: "A task with a title of ordinary length", Assignee: "writer"}}}
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Do(b.Context(), kai, ulid.Make(), command); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkParseRequest is the head of such a command.
func BenchmarkParseRequest(b *testing.B) {
	head := []byte("POST /v1/do HTTP/1.1\r\nHost: hermes\r\nHermes-Version: v1.2.3\r\nContent-Length: 187\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := parseRequest(head); !ok {
			b.Fatal("got a head that is not plain, want one that is")
		}
	}
}
