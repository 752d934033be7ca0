package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/profile"
)

// maxCredential bounds a file that holds a key and nothing else.
const maxCredential = 64 << 10

// Credential finds the key that an agent's model is paid with, in the profile
// that the agent belongs to. It is zero if the agent needs none. Errors name
// where it was looked for, and never what was found.
func Credential(a *agents.Agent) (profile.Secret, error) {
	var none profile.Secret
	if a.Endpoint == nil {
		return none, nil
	}
	dir := filepath.Dir(filepath.Dir(a.Dir)) // <profile>/agents/<name>
	switch c := a.Endpoint.Credential; {
	case c.Env != "":
		secrets, err := profile.LoadSecrets(dir)
		if err != nil {
			return none, err
		}
		s, ok := secrets.Get(c.Env)
		if !ok || s.IsZero() {
			return none, fmt.Errorf("the secret %s is not in %s", c.Env, filepath.Join(dir, profile.SecretsFile))
		}
		return s, nil
	case c.File != "":
		file := c.File
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		b, err := readKey(file)
		if err != nil {
			return none, fmt.Errorf("model_endpoint.credential: %s: %w", file, err)
		}
		return profile.NewSecret(string(b)), nil
	}
	return none, nil
}

// readKey reads a file of one line. A named pipe must not block.
func readKey(file string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case info.Mode().Perm()&0o077 != 0:
		return nil, errors.New("others may read it: chmod 600")
	}
	b, err := io.ReadAll(io.LimitReader(f, maxCredential+1))
	b = bytes.TrimSpace(b)
	switch {
	case err != nil:
		return nil, err
	case len(b) == 0 || len(b) > maxCredential || bytes.ContainsAny(b, "\r\n\x00"):
		return nil, errors.New("not one line with a key")
	}
	return b, nil
}
