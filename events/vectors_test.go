package events

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var update = flag.Bool("update", false, "write the golden vectors and the tables of FORMAT.md anew")

// recordVector is testdata/vectors/TYPE.vN.json: records as strings, exactly
// as they are stored, and their leaf hashes.
type recordVector struct {
	Full        string `json:"full"` // every member present
	FullLeaf    string `json:"full_leaf"`
	Minimal     string `json:"minimal"` // only the required ones
	MinimalLeaf string `json:"minimal_leaf"`
}

type textVector struct {
	Text   string `json:"text"`
	Digest string `json:"digest"`
}

type checkpointVector struct {
	Verifier string   `json:"verifier"` // public key as of package note
	Records  []string `json:"records"`
	Note     string   `json:"note"` // signed checkpoint over the records
}

const vectorDir = "testdata/vectors"

// golden reads a vector, or writes want first.
func golden[V any](t *testing.T, name string, want V) (got V) {
	t.Helper()
	path := filepath.Join(vectorDir, name)
	if *update {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(want); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(vectorDir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return got
}

func vectorName(k Kind) string { return fmt.Sprintf("%s.v%d.json", k.Type, k.Version) }

func TestRecordVectors(t *testing.T) {
	for _, k := range Catalog() {
		t.Run(string(k.Type), func(t *testing.T) {
			full, minimal := fixedRecord(k, false), fixedRecord(k, true)
			encoded, _ := encodeAll(t, []Record{full, minimal})
			v := golden(t, vectorName(k), recordVector{
				string(encoded[0]), Digest(LeafHash(encoded[0])).String(),
				string(encoded[1]), Digest(LeafHash(encoded[1])).String(),
			})
			checkRecordVector(t, full, encoded[0], v.Full, v.FullLeaf)
			checkRecordVector(t, minimal, encoded[1], v.Minimal, v.MinimalLeaf)
		})
	}
}

// checkRecordVector tests a vector four ways: decoding, encoding, leaf hash,
// and decoding what was encoded.
func checkRecordVector(t *testing.T, want Record, encoded []byte, vector, leaf string) {
	t.Helper()
	got, err := Decode([]byte(vector))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decode: %s", diff)
	}
	if string(encoded) != vector {
		t.Errorf("encode: got %s, want %s", encoded, vector)
	}
	if got := Digest(LeafHash([]byte(vector))).String(); got != leaf {
		t.Errorf("leaf: got %s, want %s", got, leaf)
	}
	if err := CheckCanonical([]byte(vector)); err != nil {
		t.Errorf("decode and encode: %v", err)
	}
}

// Vectors are for ever: those of versions that are no longer written stay and
// go on being read.
func TestAllVectorsDecode(t *testing.T) {
	for _, b := range vectorRecords(t) {
		if _, err := Decode([]byte(b)); err != nil {
			t.Errorf("%s: %v", b, err)
		}
		if err := CheckCanonical([]byte(b)); err != nil {
			t.Error(err)
		}
	}
}

func vectorRecords(t testing.TB) (records []string) {
	paths, err := filepath.Glob(vectorDir + "/*.v*.json")
	if err != nil || len(paths) < len(Catalog()) {
		t.Fatalf("got %d vectors, %v, want one for each of %d types", len(paths), err, len(Catalog()))
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var v recordVector
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		records = append(records, v.Full, v.Minimal)
	}
	return records
}

func TestTextVector(t *testing.T) {
	b := fixedTextBytes()
	v := golden(t, "text.json", textVector{string(b), DigestOf(b).String()})
	got, err := DecodeText([]byte(v.Text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fixedText(), got); diff != "" {
		t.Errorf("decode: %s", diff)
	}
	if string(b) != v.Text {
		t.Errorf("encode: got %s, want %s", b, v.Text)
	}
	if got := DigestOf([]byte(v.Text)).String(); got != v.Digest {
		t.Errorf("digest: got %s, want %s", got, v.Digest)
	}
	if err := CheckCanonicalText([]byte(v.Text)); err != nil {
		t.Errorf("decode and encode: %v", err)
	}
}

func TestCheckpointVector(t *testing.T) {
	board := ULID{0: 1, 15: 9}
	skey, vkey, err := NewCheckpointKey(strings.NewReader("thirty-two bytes of no randomness"), board)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	created := benchRecords()[0]
	created.Task, created.Tenant, created.Data = 0, "", BoardCreated{Board: board, Slug: "demo"}
	life := append([]Record{created}, benchRecords()...)
	for i := range life {
		life[i].Seq, life[i].Cause = uint64(i+1), uint64(i)
	}
	encoded, _ := encodeAll(t, life)
	var f Frontier
	var stored []tlog.Hash
	var records []string
	for _, b := range encoded {
		stored = f.Append(LeafHash(b), stored)
		records = append(records, string(b))
	}
	want := Checkpoint{Origin(board), f.Head()}
	signed, err := SignCheckpoint(want, signer)
	if err != nil {
		t.Fatal(err)
	}

	v := golden(t, "checkpoint.json", checkpointVector{vkey, records, string(signed)})
	verifier, err := note.NewVerifier(v.Verifier)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenCheckpoint([]byte(v.Note), verifier)
	if err != nil || got != want {
		t.Errorf("decode: got %+v, %v, want %+v", got, err, want)
	}
	if string(signed) != v.Note {
		t.Errorf("encode: got %s, want %s", signed, v.Note)
	}
	if root, err := RootAt(uint64(len(v.Records)), memory(stored)); err != nil || root != got.Head.Root {
		t.Errorf("root: got %v, %v, want %v", root, err, got.Head.Root)
	}
	if again, err := SignCheckpoint(got, signer); err != nil || string(again) != v.Note {
		t.Errorf("decode and encode: got %s, %v, want %s", again, err, v.Note)
	}
}
