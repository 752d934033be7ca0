package builtin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"
	"unicode/utf8"
)

// Defaults of Limits.
const (
	DefaultFileBytes  = 1 << 20
	DefaultTotalBytes = 64 << 20
	DefaultFiles      = 2000
	DefaultEntries    = 100_000
)

// languageBytes is how much of a document is looked at to tell its language.
const languageBytes = 8 << 10

// Limits bounds what Load reads. Zero fields mean the defaults.
type Limits struct {
	FileBytes  int64 // a larger document is skipped
	TotalBytes int64 // more than this in all is a *LimitError
	Files      int   // more documents than this is a *LimitError
	Entries    int   // more files and folders of any kind than this is a *LimitError
}

func (l *Limits) orDefault() Limits {
	var out Limits
	if l != nil {
		out = *l
	}
	if out.FileBytes <= 0 {
		out.FileBytes = DefaultFileBytes
	}
	if out.TotalBytes <= 0 {
		out.TotalBytes = DefaultTotalBytes
	}
	if out.Files <= 0 {
		out.Files = DefaultFiles
	}
	if out.Entries <= 0 {
		out.Entries = DefaultEntries
	}
	return out
}

// LimitError says that a folder holds more than Load may read.
type LimitError struct {
	What  string // "files", "bytes" or "entries"
	Limit int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("folder holds more than %d %s; choose a smaller one", e.Limit, e.What)
}

// Skip names a document that was left out, and why: too_large, binary, not_utf8, script, symlink,
// not_regular, bad_name or unreadable.
type Skip struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

// Corpus is the set of documents of a folder. It is read-only once loaded.
type Corpus struct {
	Skipped []Skip // sorted by path

	docs []*document // sorted by path
}

// document is one file's text. It is cut into lines only while it is read: many empty lines take far more room
// than their text.
type document struct {
	path string
	text string
	lang language
}

// Load reads the documents below fsys: .md .markdown .txt .rst .org .adoc and names without extension (but
// for Makefile and the like), in UTF-8. Hidden files and folders and node_modules are passed over, symbolic links are not followed. A folder
// beyond the limits is a *LimitError. The root being unreadable is an error; a single file being so is a Skip.
func Load(fsys fs.FS, limits *Limits) (*Corpus, error) {
	lim := limits.orDefault()
	c := &Corpus{}
	var entries int
	var total int64
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if p == "." {
			return err
		}
		if entries++; entries > lim.Entries {
			return &LimitError{"entries", int64(lim.Entries)}
		}
		if d.IsDir() {
			if err != nil {
				c.skip(p, "unreadable")
				return fs.SkipDir
			}
			if hiddenName(d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !documentName(d.Name()) {
			return nil
		}
		if !fs.ValidPath(p) {
			c.skip(strings.ToValidUTF8(p, "\uFFFD"), "bad_name")
			return nil
		}
		if why := notRegular(d.Type()); why != "" {
			c.skip(p, why)
			return nil
		}
		text, why := readText(fsys, p, lim.FileBytes)
		if why != "" {
			c.skip(p, why)
			return nil
		}
		if len(c.docs) == lim.Files {
			return &LimitError{"files", int64(lim.Files)}
		}
		if total += int64(len(text)); total > lim.TotalBytes {
			return &LimitError{"bytes", lim.TotalBytes}
		}
		c.docs = append(c.docs, &document{path: p, text: text, lang: languageOf(text[:min(len(text), languageBytes)])})
		return nil
	})
	if err != nil {
		if limit := (*LimitError)(nil); errors.As(err, &limit) {
			return nil, limit
		}
		return nil, fmt.Errorf("read documents: %w", err)
	}
	sort.Slice(c.docs, func(i, j int) bool { return c.docs[i].path < c.docs[j].path })
	sort.Slice(c.Skipped, func(i, j int) bool { return c.Skipped[i].Path < c.Skipped[j].Path })
	return c, nil
}

// Files returns the paths of the documents, sorted.
func (c *Corpus) Files() []string {
	out := make([]string, len(c.docs))
	for i, d := range c.docs {
		out[i] = d.path
	}
	return out
}

// Bytes returns the size of all documents together.
func (c *Corpus) Bytes() int64 {
	var n int64
	for _, d := range c.docs {
		n += int64(len(d.text))
	}
	return n
}

func (c *Corpus) skip(p, why string) { c.Skipped = append(c.Skipped, Skip{p, why}) }

func (c *Corpus) find(p string) *document {
	i := sort.Search(len(c.docs), func(i int) bool { return c.docs[i].path >= p })
	if i < len(c.docs) && c.docs[i].path == p {
		return c.docs[i]
	}
	return nil
}

func hiddenName(name string) bool {
	return strings.HasPrefix(name, ".") || name == "node_modules"
}

// codeNames are files without extension that hold code or lists.
var codeNames = set("makefile gnumakefile dockerfile containerfile vagrantfile jenkinsfile gemfile rakefile procfile " +
	"brewfile justfile kconfig owners codeowners")

func documentName(name string) bool {
	if hiddenName(name) {
		return false
	}
	switch strings.ToLower(path.Ext(name)) {
	case "":
		return !codeNames()[strings.ToLower(name)]
	case ".md", ".markdown", ".txt", ".rst", ".org", ".adoc":
		return true
	}
	return false
}

func notRegular(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "symlink"
	case !m.IsRegular():
		return "not_regular"
	}
	return ""
}

// readText reads a text file of at most limit bytes, or says why not.
func readText(fsys fs.FS, p string, limit int64) (text, why string) {
	f, err := fsys.Open(p)
	if err != nil {
		return "", "unreadable"
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return "", "unreadable"
	case int64(len(data)) > limit:
		return "", "too_large"
	case bytes.IndexByte(data, 0) >= 0:
		return "", "binary"
	case !utf8.Valid(data):
		return "", "not_utf8"
	case bytes.HasPrefix(data, []byte("#!")):
		return "", "script"
	}
	return string(data), ""
}
