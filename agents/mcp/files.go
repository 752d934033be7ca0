package mcp

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
)

// maxContent bounds a file that comes as text of a call.
const maxContent = 256 << 10

// source is a file that is there and can be handed over.
type source struct{ path, name string }

// find looks at a file that a call names.
func (r *run) find(path string) (source, error) {
	full := path
	base := r.Outputs
	if base == "" {
		base = r.Dir
	}
	if !filepath.IsAbs(full) {
		full = filepath.Join(base, full)
	}
	s := source{path: filepath.Clean(full), name: filepath.Base(full)}
	if rel, err := filepath.Rel(base, full); err == nil && filepath.IsLocal(rel) {
		s.name = filepath.ToSlash(rel)
	}
	info, err := os.Stat(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, missing(path, "is not there", full)
	case err != nil:
		return s, missing(path, "cannot be read", full)
	case info.IsDir():
		return s, missing(path, "is a folder: name the files in it", full)
	case !info.Mode().IsRegular():
		return s, missing(path, "is not a file", full)
	case info.Size() > worker.MaxArtifactBytes:
		return s, &worker.Error{Code: "too_large", Message: fmt.Sprintf("%.300q is too large: at most %d bytes a file", path, int64(worker.MaxArtifactBytes))}
	}
	return s, nil
}

func missing(path, what, full string) *worker.Error {
	return &worker.Error{Code: string(boards.CodeNoArtifact), Message: fmt.Sprintf("%.300q %s (looked at %.600s)", path, what, full),
		Hint: "the task goes on; write the file and call again, or leave it out"}
}

// putAll hands files over. All are looked at before the first is sent.
func (r *run) putAll(ctx context.Context, paths []string) ([]worker.Artifact, error) {
	found := make([]source, len(paths))
	names := map[string]string{}
	for i, p := range paths {
		s, err := r.find(p)
		if err != nil {
			return nil, err
		}
		if other, ok := names[s.name]; ok {
			return nil, badCall("give one of them another name", "%.300q and %.300q would both be called %.300q", other, p, s.name)
		}
		found[i], names[s.name] = s, p
	}
	out := make([]worker.Artifact, 0, len(paths))
	for _, s := range found {
		a, err := r.put(ctx, s)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func (r *run) put(ctx context.Context, s source) (worker.Artifact, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return worker.Artifact{}, missing(s.path, "cannot be read", s.path)
	}
	defer f.Close()
	return r.Client.Put(ctx, s.name, struct{ io.Reader }{f}) // which the client cannot close
}

// putOne hands over the file of an attach call.
func (r *run) putOne(ctx context.Context, a arguments) (worker.Artifact, error) {
	if (a.Path == "") == (a.FileContent == nil) {
		return worker.Artifact{}, badCall("path for a file that is there; filename and content_base64 otherwise", "kanban_attach wants either path or content_base64")
	}
	if a.FileContent == nil {
		s, err := r.find(a.Path)
		if err != nil {
			return worker.Artifact{}, err
		}
		if a.FileName != "" {
			s.name = a.FileName
		}
		return r.put(ctx, s)
	}
	if a.FileName == "" {
		return worker.Artifact{}, badCall("filename: what to call it", "content_base64 wants a filename")
	}
	b, err := decode(*a.FileContent)
	switch {
	case err != nil:
		return worker.Artifact{}, badCall("standard base64, without a data: prefix", "content_base64 is not base64")
	case len(b) > maxContent:
		return worker.Artifact{}, &worker.Error{Code: "too_large", Message: fmt.Sprintf("content_base64 has at most %d bytes, not %d", maxContent, len(b)),
			Hint: "write it to a file and give its path"}
	}
	return r.Client.Put(ctx, a.FileName, bytes.NewReader(b))
}

// decode reads base64 with or without padding.
func decode(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}
