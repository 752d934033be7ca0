package dispatcher

import (
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Deciding is pure, so that a replay decides the same: it may import nothing
// that knows the time, the host or chance.
func TestDecidingIsPure(t *testing.T) {
	allowed := []string{"cmp", "fmt", "strings"}
	for _, file := range []string{"facts.go", "explain.go", "next.go", "why.go", "budget.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			path, _ := strconv.Unquote(i.Path.Value)
			if !slices.Contains(allowed, path) && !strings.HasSuffix(path, "/hermes/events") && !strings.HasSuffix(path, "/hermes/projections") && !strings.HasSuffix(path, "/hermes/boards") {
				t.Errorf("%s imports %s", file, path)
			}
		}
	}
}
