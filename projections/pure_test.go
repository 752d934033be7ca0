package projections

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Folding is pure: the same log gives the same View anywhere and at any time.
func TestFoldingIsPure(t *testing.T) {
	allowed := []string{"cmp", "fmt", "iter", "maps", "slices", "strconv", "strings", "time", "unicode", "github.com/go-json-experiment/json", "github.com/go-json-experiment/json/jsontext"}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			path, _ := strconv.Unquote(i.Path.Value)
			if !slices.Contains(allowed, path) && !strings.Contains(path, "/hermes/events") {
				t.Errorf("%s imports %s", name, path)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && !slices.Contains([]string{"Duration", "Second", "Minute", "Hour", "Millisecond", "Date", "Month", "UTC"}, s.Sel.Name) {
					t.Errorf("%s uses time.%s", name, s.Sel.Name)
				}
			}
			return true
		})
	}
}
