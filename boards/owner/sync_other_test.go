//go:build !linux

package owner

import "os"

func fdatasync(f *os.File) error { return f.Sync() }
