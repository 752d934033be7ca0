package events

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/hermesboard/hermes/events/audit"
)

// Two readings of FORMAT.md: whatever the writer writes, the verifier that
// shares no code with it finds sound, and both come to the same root.
func TestVerifierAgrees(t *testing.T) {
	catalog := Catalog()
	rapid.Check(t, func(t *rapid.T) {
		first := fixedRecord(catalog[0], true)
		first.Seq = 1
		second := drawRecord(t, rapid.SampledFrom(catalog).Draw(t, "kind"))
		second.Seq, second.Cause = 2, second.Cause%2
		text, err := EncodeText(Text{Salt{1}, Fields{Body: rapid.String().Draw(t, "body")}})
		if err != nil {
			t.Fatal(err)
		}
		second.Text = DigestOf(text)

		var tree Frontier
		report := audit.Check(func(yield func(record, text []byte) bool) {
			for i, r := range []Record{first, second} {
				b, err := Encode(r)
				if err != nil {
					t.Fatal(err)
				}
				tree.Append(LeafHash(b), nil)
				if !yield(b, [][]byte{nil, text}[i]) {
					return
				}
			}
		})
		if len(report.Problems) > 0 || Digest(report.Root) != tree.Root() {
			t.Fatalf("got %v, root %x, want no problems and %v", report.Problems, report.Root, tree.Root())
		}
	})
}
