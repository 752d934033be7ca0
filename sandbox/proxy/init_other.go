//go:build !linux

package proxy

import "errors"

// Init works on Linux only.
func Init(string, string, []string) (int, error) {
	return 126, errors.New("a sandbox with a proxy needs Linux")
}
