// Package executable writes programs that a test starts at once.
package executable

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// Write puts an executable file at path, or ends the test.
//
// No other goroutine starts a process meanwhile: its child would hold the file
// open for writing until it has become a program of its own, and starting the
// file until then fails with "text file busy".
func Write(t testing.TB, path string, content []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, content, 0o700)
	syscall.ForkLock.RUnlock()
	if err := errors.Join(err, os.Chmod(path, 0o755)); err != nil {
		t.Fatal(err)
	}
}

// Copy is Write with what the file named from holds.
func Copy(t testing.TB, from, path string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	Write(t, path, content)
}

// CopySelf is Copy of the test program itself.
func CopySelf(t testing.TB, path string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	Copy(t, self, path)
}
