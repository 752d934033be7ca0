//go:build unix

package digest

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

func TestFile(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	path := filepath.Join(t.TempDir(), "file")
	for _, content := range []string{"one", "another", ""} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(content))
		for range 2 { // the second time it is written down
			if got, err := File(path); err != nil || got != hex.EncodeToString(sum[:]) {
				t.Errorf("%q: got %s, %v; want %x", content, got, err, sum)
			}
		}
	}
	if _, err := File(filepath.Join(cache, "missing")); !os.IsNotExist(err) {
		t.Errorf("got %v, want that there is none", err)
	}
	if err := os.Mkdir(filepath.Join(cache, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := File(filepath.Join(cache, "folder")); err == nil {
		t.Error("a folder: got nil, want an error")
	}
}
