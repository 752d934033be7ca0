package main

import (
	"bytes"
	stdflag "flag"
	"os"
	"path/filepath"
	"testing"
)

var update = stdflag.Bool("update", false, "rewrite golden files and the embedded documents")

// TestDocumentsAreThoseOfTheRoot keeps the embedded copies equal to the originals.
func TestDocumentsAreThoseOfTheRoot(t *testing.T) {
	roots, err := filepath.Glob(filepath.Join("..", "..", "*.md"))
	if err != nil || len(roots) < 6 {
		t.Fatalf("got %d root documents (%v), want at least 6", len(roots), err)
	}
	for _, path := range roots {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join("documents", filepath.Base(path))
		if *update {
			if err := os.WriteFile(copied, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(copied)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not a copy of %s (%v); run: go test ./cmd/hermes -run Documents -update", copied, path, err)
		}
	}
}
