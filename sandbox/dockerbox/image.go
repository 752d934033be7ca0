//go:build linux && (amd64 || arm64)

package dockerbox

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// image is what a container starts from.
type image struct {
	id      string
	volumes []string // where it wants storage of its own
}

// image finds the image that the settings name. Archives and the default one
// are imported if they are missing; nothing is ever pulled.
func (e *engine) image(ctx context.Context, name string) (*image, error) {
	switch {
	case name == "":
		archive := emptyArchive()
		digest := sha256.Sum256(archive)
		return e.imported(ctx, "hermes/empty", digest[:], bytes.NewReader(archive))
	case filepath.IsAbs(name):
		return e.fromFile(ctx, name)
	}
	found, err := e.lookUp(ctx, name)
	if errdefs.IsNotFound(err) {
		return nil, &ImageError{Engine: e.kind, Image: name, Reason: "not on this host"}
	}
	return found, err
}

func (e *engine) lookUp(ctx context.Context, name string) (*image, error) {
	got, err := e.ImageInspect(ctx, name)
	if err != nil {
		return nil, err
	}
	found := &image{id: got.ID}
	if got.Config != nil {
		for path := range got.Config.Volumes {
			found.volumes = append(found.volumes, path)
		}
	}
	return found, nil
}

// fromFile imports an archive of a root under the hash of its content.
func (e *engine) fromFile(ctx context.Context, path string) (*image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return nil, fmt.Errorf("image %s: %w", path, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return e.imported(ctx, "hermes/imported", hash.Sum(nil), f)
}

// imported returns the image of an archive, which its name identifies.
func (e *engine) imported(ctx context.Context, repository string, digest []byte, archive io.Reader) (*image, error) {
	name := repository + ":" + hex.EncodeToString(digest)
	if e.kind == Podman {
		name = "localhost/" + name
	}
	found, err := e.lookUp(ctx, name)
	if !errdefs.IsNotFound(err) {
		return found, err
	}
	answer, err := e.ImageImport(ctx, client.ImageImportSource{Source: archive, SourceName: "-"}, name, client.ImageImportOptions{})
	if err != nil {
		return nil, fmt.Errorf("import image: %w", err)
	}
	defer answer.Close()
	if err := importFault(answer); err != nil {
		return nil, fmt.Errorf("import image: %w", err)
	}
	return e.lookUp(ctx, name)
}

// importFault reads the engine's report, where errors come after a success.
func importFault(report io.Reader) error {
	for decoder := json.NewDecoder(report); ; {
		var line struct {
			Error string `json:"error"`
		}
		err := decoder.Decode(&line)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case line.Error != "":
			return errors.New(strings.TrimSpace(line.Error))
		}
	}
}

// emptyArchive is a root with folders only, always of the same bytes. What a
// program needs is mounted into it.
func emptyArchive() []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, dir := range []string{"dev", "etc", "proc", "run", "sys", "tmp", "var", "var/tmp", "ws"} {
		// Writing to memory does not fail.
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR})
	}
	w.Close()
	return buf.Bytes()
}
