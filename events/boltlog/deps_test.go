package boltlog_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/hermesboard/hermes"

// The log knows events and nothing else of this module, and nobody else knows bbolt.
func TestImports(t *testing.T) {
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != "..") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return nil // its own package will tell
		}
		here := filepath.Base(filepath.Dir(path)) == "boltlog"
		for _, i := range f.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if !here && strings.HasPrefix(name, "go.etcd.io/bbolt") {
				t.Errorf("%s imports bbolt; only events/boltlog may", path)
			}
			if here && strings.HasPrefix(name, module) && name != module+"/events" && !strings.HasSuffix(path, "_test.go") {
				t.Errorf("%s imports %s; the log may know only events", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
