package projections

import (
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections/projectionstest"
)

// large is a board of 100,000 tasks after a million events.
var large = sync.OnceValue(func() []events.Record {
	g := projectionstest.New(1)
	g.Tasks = 100_000
	var log []events.Record
	for len(log) < 1_000_000 {
		log = append(log, g.Next()...)
	}
	return log
})

func BenchmarkApply(b *testing.B) {
	log := large()
	runtime.GC()
	busy := cpuTime(b)
	for b.Loop() {
		fold(NewView(), log)
	}
	b.ReportMetric(float64(b.N*len(log))/b.Elapsed().Seconds()/1e6, "Mrecords/s")
	b.ReportMetric(float64(b.N*len(log))/(cpuTime(b)-busy)/1e6, "Mrecords/cpu-s")
}

// cpuTime returns the seconds this process has computed: on a busy machine
// they say more than those on the clock.
func cpuTime(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func BenchmarkHeap(b *testing.B) {
	log := large()
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	var v *View
	for b.Loop() {
		v = fold(NewView(), log)
	}
	b.ReportMetric(float64(heap()-before)/1e6, "MB")
	runtime.KeepAlive(v)
	runtime.KeepAlive(log)
}

func BenchmarkSnapshot(b *testing.B) {
	snapshot := fold(NewView(), large()).AppendSnapshot(nil)
	b.Run("save", func(b *testing.B) {
		v, _ := LoadSnapshot(snapshot)
		for b.Loop() {
			v.AppendSnapshot(nil)
		}
		b.ReportMetric(float64(len(snapshot))/1e6, "MB")
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			if _, err := LoadSnapshot(snapshot); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// manyReady has 100,000 tasks that are ready, for 20 agents.
func manyReady() *View {
	v := NewView()
	for i := range 100_000 {
		v.Apply(&events.Record{
			Seq: uint64(i + 1), Time: projectionstest.Start, Task: events.TaskID(i + 1),
			Data: events.TaskCreated{Status: events.Ready, Assignee: fmt.Sprint("agent-", i%20), Priority: int32(i % 7)},
		})
	}
	return v
}

func BenchmarkList50(b *testing.B) {
	v := manyReady()
	for b.Loop() {
		v.List(ListQuery{Statuses: []events.Status{events.Ready}, Limit: 50}, nil)
	}
}

func BenchmarkStats(b *testing.B) {
	v := fold(NewView(), large())
	for b.Loop() {
		v.Stats(projectionstest.Start)
	}
}
