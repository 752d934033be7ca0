package registry

import (
	"errors"
	"io/fs"
	"os"
	"path"
)

// replaceFile gives a file new contents, all or nothing also after a power
// cut. The former file, if any, stays until the new one is on disk. Only one
// caller at a time may replace the same file.
func replaceFile(root *os.Root, name string, contents []byte) error {
	temp := path.Join(path.Dir(name), "."+path.Base(name)+".tmp")
	if err := writeNew(root, temp, contents, os.O_TRUNC); err != nil {
		return err
	}
	if err := root.Rename(temp, name); err != nil {
		return err
	}
	return syncDir(root, path.Dir(name))
}

// createFile makes a file that must not exist. The folder is not synced.
func createFile(root *os.Root, name string, contents []byte) error {
	return writeNew(root, name, contents, os.O_EXCL)
}

func writeNew(root *os.Root, name string, contents []byte, flag int) (err error) {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|flag, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(contents); err != nil {
		return err
	}
	return f.Sync()
}

// removeFile removes a file for good; it may be gone already.
func removeFile(root *os.Root, name string) error {
	err := root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(root, path.Dir(name))
}

// syncDir makes the entries of a folder durable.
func syncDir(root *os.Root, name string) error {
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// exists reports whether there is something of that name. What cannot be
// looked at counts as there.
func exists(root *os.Root, name string) bool {
	_, err := root.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}
