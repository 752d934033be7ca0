package agents

import (
	"crypto/rand"
	"errors"
	"os"

	"github.com/goccy/go-yaml"
)

// errMalformed is the error for YAML that the decoder itself trips over.
var errMalformed = errors.New("malformed YAML")

// Decode reads YAML. The decoder panics on some input; here that is an error
// like others.
func Decode(b []byte, v any, o ...yaml.DecodeOption) (err error) {
	defer func() {
		if recover() != nil {
			err = errMalformed
		}
	}()
	return yaml.UnmarshalWithOptions(b, v, o...)
}

// Replace writes a file of a folder, 0600, whole or not at all, and on disk
// when it returns. Several may do it at once: one of them is the last.
func Replace(root *os.Root, name string, b []byte) error {
	temp := name + "." + rand.Text()[:8] + ".new"
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		root.Remove(temp)
	}
	return err
}
