package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/hermesboard/hermes"

// arrows says which packages of this module each package may import. A
// package not listed falls under its nearest listed parent. Tests may import
// more; what is listed under a name ending in "test" is imported by tests only.
var arrows = map[string][]string{
	"events":          {"events/pack"},
	"events/pack":     {},
	"events/boltlog":  {"events"},
	"events/logtest":  {"events"},
	"events/bus":      {"events"},
	"events/audit":    {}, // the second verifier shares nothing with the writer
	"projections":     {"events", "events/pack"},
	"boards":          {"events", "events/pack"},
	"boards/recipe":   {"boards", "events"},
	"boards/registry": {"boards", "events", "events/boltlog"},
	"boards/owner":    {"boards", "boards/api", "boards/registry", "projections", "events", "events/boltlog"},
	"boards/api":      {"boards", "projections", "events"},
	"dispatcher":      {"boards", "boards/api", "projections", "events", "events/pack"},
	"sandbox":         {"sandbox"},
	"agents":          {"agents", "boards", "boards/api", "boards/recipe", "projections", "events", "events/bus", "sandbox"},
	"agents/builtin":  {"agents/builtin", "agents/worker", "boards", "boards/recipe", "projections", "events"},
	"cmd":             {""},
}

// pure lists the packages, and single files, that decide and fold: they may
// not reach for the clock, chance, the outside world or another goroutine.
var pure = []string{"events", "events/pack", "boards", "projections", "dispatcher/explain.go", "dispatcher/next.go"}

var impureImports = []string{"os", "io/fs", "net", "net/http", "context", "math/rand", "math/rand/v2", "crypto/rand",
	"os/exec", "sync", "sync/atomic", "log", "log/slog", "syscall", "path/filepath", "github.com/rs/zerolog", "go.etcd.io/bbolt"}

// pureExceptions names what a pure package may import after all, and why.
var pureExceptions = map[string]string{
	"events/log.go context": "the Log interface is declared here; nothing here calls it",
}

func walkGo(t *testing.T, visit func(dir, path string, file *ast.File)) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		visit(filepath.ToSlash(filepath.Dir(rel)), filepath.ToSlash(rel), file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestArrows(t *testing.T) {
	walkGo(t, func(dir, path string, file *ast.File) {
		if strings.HasSuffix(path, "_test.go") || strings.HasSuffix(dir, "test") && dir != "events/logtest" {
			return
		}
		for _, imp := range file.Imports {
			name, _ := strconv.Unquote(imp.Path.Value)
			if strings.HasSuffix(name, "test") && strings.HasPrefix(name, module) {
				t.Errorf("%s imports %s: that is for tests only", path, name)
			}
			if target, ok := strings.CutPrefix(name, module+"/"); ok && !allowed(dir, target) {
				t.Errorf("%s imports %s: the arrows do not allow that", path, target)
			}
			if name == "go.etcd.io/bbolt" && dir != "events/boltlog" {
				t.Errorf("%s imports bbolt: only events/boltlog may", path)
			}
		}
	})
}

func allowed(dir, target string) bool {
	for d := dir; d != "."; d = filepath.ToSlash(filepath.Dir(d)) {
		if may, ok := arrows[d]; ok {
			return slices.ContainsFunc(may, func(m string) bool {
				return m == "" || target == m || (m == "sandbox" || m == "agents" || m == "agents/builtin") && strings.HasPrefix(target, m+"/")
			})
		}
	}
	return false
}

func TestPurePackages(t *testing.T) {
	seen := map[string]bool{}
	walkGo(t, func(dir, path string, file *ast.File) {
		if strings.HasSuffix(path, "_test.go") || !slices.Contains(pure, dir) && !slices.Contains(pure, path) {
			return
		}
		seen[dir], seen[path] = true, true
		for _, imp := range file.Imports {
			name, _ := strconv.Unquote(imp.Path.Value)
			if slices.Contains(impureImports, name) && pureExceptions[path+" "+name] == "" {
				t.Errorf("%s imports %s: it must stay pure", path, name)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine: it must stay pure", path)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "NewTimer", "NewTicker", "Tick"}, n.Sel.Name) {
					t.Errorf("%s uses time.%s: it must stay pure", path, n.Sel.Name)
				}
			}
			return true
		})
	})
	for _, p := range pure {
		if !seen[p] {
			t.Errorf("%s is listed as pure but is not there", p)
		}
	}
}

func TestOnePackageComment(t *testing.T) {
	docs := map[string][]string{}
	dirs := map[string]bool{}
	walkGo(t, func(dir, path string, file *ast.File) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		dirs[dir] = true
		if file.Doc != nil {
			docs[dir] = append(docs[dir], path)
		}
	})
	for dir := range dirs {
		if n := len(docs[dir]); n != 1 {
			t.Errorf("%s has %d package comments %v, want exactly one", dir, n, docs[dir])
		}
	}
}

// TestTopLevel keeps the fixed layout.
func TestTopLevel(t *testing.T) {
	want := []string{"cmd", "events", "projections", "boards", "dispatcher", "agents", "sandbox", "go.mod", "go.sum", "README.md",
		"Makefile", "ARCHITECTURE.md", "FORMAT.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"}
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && e.Name() != "bin" && !slices.Contains(want, e.Name()) {
			t.Errorf("%s stands at the top; the layout there is fixed", e.Name())
		}
	}
}

// TestDependenciesHaveReasons wants every direct dependency named in CONTRIBUTING.md.
func TestDependenciesHaveReasons(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	reasons, err := os.ReadFile(filepath.Join("..", "..", "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range strings.Split(string(mod), "\n") {
		fields := strings.Fields(line)
		if len(fields) != 2 || !strings.HasPrefix(line, "\t") || !strings.HasPrefix(fields[1], "v") {
			continue // not a direct requirement
		}
		n++
		if !strings.Contains(string(reasons), fields[0]) {
			t.Errorf("CONTRIBUTING.md does not say why there is %s", fields[0])
		}
	}
	if n < 5 {
		t.Fatalf("got %d direct requirements, want at least 5: is go.mod read rightly?", n)
	}
}
