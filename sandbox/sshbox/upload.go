//go:build unix

package sshbox

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/hermesboard/hermes/sandbox/internal/digest"
)

// binary is what is copied: a file of this host and its name there.
type binary struct{ file, sum, there string }

func (b box) binary(file string) (binary, error) {
	if file == "" {
		var err error
		if file, err = os.Executable(); err != nil {
			return binary{}, err
		}
	}
	sum, err := digest.File(file)
	if err != nil {
		return binary{}, err
	}
	cache := b.opts.Cache
	if cache == "" {
		cache = ".cache/hermes"
	}
	return binary{file, sum, path.Join(cache, sum)}, nil
}

// SFTPError says that nothing can be copied, because the server there offers no
// SFTP.
type SFTPError struct{ Err error }

// Error names the option of the server that is needed.
func (e *SFTPError) Error() string {
	return fmt.Sprintf("the server there offers no SFTP, by which the program is copied (sshd_config: Subsystem sftp internal-sftp): %v", e.Err)
}

// Unwrap returns the cause.
func (e *SFTPError) Unwrap() error { return e.Err }

// upload copies a binary that is not there, or not whole. It gets its name when
// it was read back as it should be.
func upload(client *ssh.Client, b binary) error {
	remote, err := sftp.NewClient(client)
	if err != nil {
		return &SFTPError{Err: err}
	}
	defer remote.Close()
	here, err := os.Stat(b.file)
	if err != nil {
		return err
	}
	if there, err := remote.Stat(b.there); err == nil && there.Mode().IsRegular() && there.Size() == here.Size() && there.Mode()&0o100 != 0 {
		return nil
	}
	if err := remote.MkdirAll(path.Dir(b.there)); err != nil {
		return fmt.Errorf("make %s: %w", path.Dir(b.there), err)
	}
	tmp := b.there + "." + rand.Text()
	err = copyChecked(remote, b, tmp)
	if err == nil {
		err = remote.PosixRename(tmp, b.there)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("copy %s to %s: %w", b.file, b.there, err), ignoreMissing(remote.Remove(tmp)))
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func copyChecked(remote *sftp.Client, b binary, tmp string) error {
	from, err := os.Open(b.file)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := remote.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	defer to.Close()
	if _, err := to.ReadFrom(from); err != nil {
		return err
	}
	if err := to.Chmod(0o700); err != nil {
		return err
	}
	if _, err := to.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := to.WriteTo(h); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != b.sum {
		return fmt.Errorf("what arrived has the SHA-256 %s, not %s", got, b.sum)
	}
	return to.Close()
}
