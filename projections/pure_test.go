package projections

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Folding is pure: the same log gives the same View anywhere and at any time.
func TestFoldingIsPure(t *testing.T) {
	allowed := []string{"cmp", "fmt", "iter", "maps", "slices", "strconv", "strings", "time", "unicode", "github.com/go-json-experiment/json/jsontext"}
	own := func(fi fs.FileInfo) bool { return !strings.HasSuffix(fi.Name(), "_test.go") }
	packages, err := parser.ParseDir(token.NewFileSet(), ".", own, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range packages["projections"].Files {
		for _, i := range file.Imports {
			path, _ := strconv.Unquote(i.Path.Value)
			if !slices.Contains(allowed, path) && !strings.Contains(path, "/hermes/events") {
				t.Errorf("%s imports %s", name, path)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && !slices.Contains([]string{"Duration", "Second", "Minute", "Hour", "Millisecond"}, s.Sel.Name) {
					t.Errorf("%s uses time.%s", name, s.Sel.Name)
				}
			}
			return true
		})
	}
}
