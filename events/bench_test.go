package events

import (
	"testing"

	"github.com/oklog/ulid/v2"
)

// benchRecords is the life of one task, in the proportions of a working board.
func benchRecords() []Record {
	base := Record{
		ID:     ulid.MustParseStrict("01JABCDEFGHJKMNPQRSTVWXYZ0"),
		Time:   TimeOf(sampleTime),
		Task:   4711,
		Tenant: "acme",
		Actor:  Actor{Kind: Dispatcher, Name: "gateway", Via: "local"},
		Cmd:    ulid.MustParseStrict("01JABCDEFGHJKMNPQRSTVWXYZ1"),
	}
	exit := int32(0)
	life := []Payload{
		TaskCreated{Status: Todo, Assignee: "researcher", Parents: []Edge{{4710, NeedsPass}}, Workspace: Workspace{Kind: Scratch}, Recipe: "research/researcher"},
		TaskPromoted{To: Ready},
		RunClaimed{Phase: Ready, Agent: "researcher", Role: RoleWorker, Token: DigestOf([]byte("t")), Policy: 2, Facts: Facts{HostSlots: 3}, Backend: "native", Runtime: "claude", Model: "sonnet"},
		RunStarted{Boot: "6d1a4c1e-8f5f-4d0b-9a7e-2f6d7a1b9c33", PID: 12345, StartTime: 9876543, PIDNS: 4026531836, Cgroup: "/hermes/t4711.1"},
		TaskCompleted{Verdict: Pass, Artifacts: []Artifact{{DigestOf([]byte("a")), 4096}}},
		RunEnded{Outcome: OutcomeCompleted, Exit: &exit, RanMS: 61234, Usage: Usage{Model: "sonnet", TokensIn: 12000, TokensOut: 3400, CostMicros: 87000, Currency: "USD", Source: "endpoint"}},
	}
	records := make([]Record, len(life))
	for i, p := range life {
		r := base
		r.Seq, r.Cause, r.Data = uint64(1000001+i), uint64(1000000+i), p
		if i >= 2 {
			r.Run = RunID{4711, 1}
		}
		if i == 0 || i == 4 {
			r.Text = DigestOf([]byte("x"))
		}
		records[i] = r
	}
	return records
}

func encodeAll(tb testing.TB, records []Record) (encoded [][]byte, mean int) {
	total := 0
	for _, r := range records {
		b, err := Encode(r)
		if err != nil {
			tb.Fatal(err)
		}
		encoded = append(encoded, b)
		total += len(b)
	}
	return encoded, total / len(records)
}

func BenchmarkDecode(b *testing.B) {
	encoded, mean := encodeAll(b, benchRecords())
	var d Decoder
	b.SetBytes(int64(mean))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := d.Decode(encoded[i%len(encoded)]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkDecodeParallel is what a fold with a decoder per core can reach.
func BenchmarkDecodeParallel(b *testing.B) {
	encoded, mean := encodeAll(b, benchRecords())
	b.SetBytes(int64(mean))
	b.RunParallel(func(pb *testing.PB) {
		var d Decoder
		for i := 0; pb.Next(); i++ {
			if _, err := d.Decode(encoded[i%len(encoded)]); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkCheckCanonical is what verifying costs beyond hashing.
func BenchmarkCheckCanonical(b *testing.B) {
	encoded, mean := encodeAll(b, benchRecords())
	b.SetBytes(int64(mean))
	for i := 0; b.Loop(); i++ {
		if err := CheckCanonical(encoded[i%len(encoded)]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkDecodeAny is the road that is taken when the fast one gives up.
func BenchmarkDecodeAny(b *testing.B) {
	encoded, mean := encodeAll(b, benchRecords())
	b.SetBytes(int64(mean))
	for i := 0; b.Loop(); i++ {
		if _, err := decodeAny(encoded[i%len(encoded)]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkEncode(b *testing.B) {
	records := benchRecords()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := Encode(records[i%len(records)]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
