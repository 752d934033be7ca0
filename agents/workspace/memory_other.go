//go:build !linux

package workspace

// limitMemory does nothing: there is no way to limit another process.
func limitMemory(int, int64) error { return nil }
