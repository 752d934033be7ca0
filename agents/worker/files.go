package worker

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
)

// files are what a run has handed over.
type files struct {
	putting sync.Mutex // held during a put: one at a time, so that limits hold

	mu    sync.Mutex
	bytes int64                   // guarded by mu
	count int                     // guarded by mu
	sizes map[events.Digest]int64 // guarded by mu
}

// put stores a file. What it is called is checked again when it is named.
func (s *Server) put(ctx context.Context, w http.ResponseWriter, r *http.Request) (*Answer, error) {
	name := r.URL.Query().Get("name")
	if err := checkName(name); err != nil {
		return nil, err
	}
	s.files.putting.Lock()
	defer s.files.putting.Unlock()
	room, err := s.files.room()
	if err != nil {
		return nil, err
	}
	tooLarge := &Error{Code: "too_large", Message: fmt.Sprintf("%q is too large: at most %d bytes a file and %d of one run", name, int64(MaxArtifactBytes), int64(MaxRunBytes))}
	if r.ContentLength > room {
		w.Header().Set("Connection", "close")
		return nil, tooLarge
	}
	body := &fileBody{r: http.MaxBytesReader(w, r.Body, room+1), rc: http.NewResponseController(w)}
	a, err := s.Store.Put(ctx, body, room)
	if body.err == nil { // otherwise the rest is not waited for either
		body.rc.SetReadDeadline(time.Time{})
	}
	switch {
	case body.n > room:
		return nil, tooLarge
	case body.err != nil:
		w.Header().Set("Connection", "close")
		return nil, badCall("%q was cut off and is not stored", name)
	case err != nil:
		return nil, &Error{Code: api.CodeInternal, Message: fmt.Sprintf("%q could not be stored", name), Retry: true, fault: true, cause: err}
	}
	s.files.add(a)
	return &Answer{Put: &Artifact{Name: name, SHA256: a.SHA256, Size: a.Size}}, nil
}

// fileBody reads a file from a peer that may be slow, but not silent.
type fileBody struct {
	r   io.Reader
	rc  *http.ResponseController
	n   int64
	err error // other than the end of the file
}

func (b *fileBody) Read(p []byte) (int, error) {
	b.rc.SetReadDeadline(time.Now().Add(bodyTime))
	n, err := b.r.Read(p)
	b.n += int64(n)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// room returns how large the next file may be.
func (f *files) room() (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count >= MaxRunFiles {
		return 0, &Error{Code: "too_many", Message: fmt.Sprintf("a run hands over at most %d files", MaxRunFiles)}
	}
	return min(MaxArtifactBytes, MaxRunBytes-f.bytes), nil
}

func (f *files) add(a events.Artifact) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sizes == nil {
		f.sizes = make(map[events.Digest]int64)
	}
	f.sizes[a.SHA256] = a.Size
	f.bytes += a.Size
	f.count++
}

// named refuses files that this run has not put: naming another's content by
// its digest would be a way to read it.
func (f *files) named(list []Artifact) (stored []events.Artifact, names []string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range list {
		if err := checkName(a.Name); err != nil {
			return nil, nil, err
		}
		if size, ok := f.sizes[a.SHA256]; !ok || size != a.Size {
			return nil, nil, &Error{Code: string(boards.CodeNoArtifact), Message: fmt.Sprintf("%q was not handed over by this run", a.Name),
				Hint: "the task goes on; hand the file over and complete again"}
		}
		stored, names = append(stored, events.Artifact{SHA256: a.SHA256, Size: a.Size}), append(names, a.Name)
	}
	return stored, names, nil
}

func checkName(name string) error {
	bad := name == "" || name == "." || len(name) > boards.MaxFileName || !utf8.ValidString(name) || path.IsAbs(name) || path.Clean(name) != name ||
		name == ".." || strings.HasPrefix(name, "../") || strings.Contains(name, `\`) || strings.ContainsFunc(name, unicode.IsControl)
	if bad {
		return badCall("%.300q is not a name for a file (relative, clean, at most %d bytes)", name, boards.MaxFileName)
	}
	return nil
}
