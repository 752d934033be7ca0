//go:build !linux

package registry

import "os"

// renameNew renames a folder to a name that must not exist. A plain rename
// never replaces a folder that has something in it, and a board's folder
// always has.
func renameNew(root *os.Root, from, to string) error { return root.Rename(from, to) }
