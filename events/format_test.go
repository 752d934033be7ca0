package events

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

const formatFile = "../FORMAT.md"

// The tables of FORMAT.md are written from the structs and their comments, and
// no struct may change without its table.
func TestFormatDocument(t *testing.T) {
	d := newDocument(t)
	for name, want := range map[string]string{
		"record": d.members(reflect.TypeFor[envelope]()),
		"fields": d.members(reflect.TypeFor[Fields]()),
		"words":  wordTable(),
		"events": d.events(),
		"parts":  d.parts(),
	} {
		if *update {
			replaceSection(t, name, want)
		}
		if got := section(t, name); got != want {
			t.Errorf("section %q differs from the code (go test -run Format -update writes it):\ngot\n%s\nwant\n%s", name, got, want)
		}
	}
}

// An independent look at the same tables: the rows alone, against reflection.
func TestFormatCatalog(t *testing.T) {
	heading := regexp.MustCompile("(?m)^#### `([a-z_.]+)` version ([0-9]+)$")
	row := regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|")
	text := section(t, "events")
	found := heading.FindAllStringSubmatchIndex(text, -1)
	if got, want := len(found), len(Catalog()); got != want {
		t.Fatalf("got %d event types, want %d", got, want)
	}
	for i, k := range Catalog() {
		end := len(text)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		at := found[i]
		name, version := text[at[2]:at[3]], text[at[4]:at[5]]
		if name != string(k.Type) || version != fmt.Sprint(k.Version) {
			t.Errorf("got %s version %s, want %s version %d", name, version, k.Type, k.Version)
		}
		var got, want []string
		for _, m := range row.FindAllStringSubmatch(text[at[1]:end], -1) {
			got = append(got, m[1])
		}
		for f := range fieldsOf(reflect.TypeOf(k.Zero)) {
			member, _ := memberOf(f)
			want = append(want, member)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got members %v, want %v", k.Type, got, want)
		}
	}
	for _, e := range enums {
		line := "| " + e.name + " | `" + strings.Join(e.words[1:], "` `") + "` |"
		if !strings.Contains(section(t, "words"), line) {
			t.Errorf("got no line %s", line)
		}
	}
}

// Texts name only members that there are.
func TestFormatTexts(t *testing.T) {
	known := map[string]bool{}
	for f := range fieldsOf(reflect.TypeFor[Fields]()) {
		member, _ := memberOf(f)
		known[member] = true
	}
	d := newDocument(t)
	parentheses := regexp.MustCompile(`\([^)]*\)`)
	used := 0
	for _, k := range Catalog() {
		_, list, ok := strings.Cut(d.types[reflect.TypeOf(k.Zero).Name()].doc, "Text: ")
		if !ok {
			continue
		}
		list = strings.TrimSuffix(parentheses.ReplaceAllString(list, ""), ".")
		for member := range strings.SplitSeq(list, ",") {
			used++
			if member = strings.TrimSpace(member); !known[member] {
				t.Errorf("%s: got text %q, want one of %v", k.Type, member, known)
			}
		}
	}
	if used == 0 {
		t.Error("got no texts at all")
	}
}

func TestFormatLimits(t *testing.T) {
	b, err := os.ReadFile(formatFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("at most %d bytes (60 KiB)", MaxRecordBytes),
		fmt.Sprintf("at most %d bytes (256 KiB)", MaxTextBytes),
		fmt.Sprintf("at most %d records", MaxCommandRecords),
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("got no %q", want)
		}
	}
}

// document holds the comments of this package's structs.
type document struct {
	t     *testing.T
	types map[string]typeDoc
	order []reflect.Type // structs that a payload refers to, as met
}

type typeDoc struct {
	doc    string
	fields map[string]string
}

func newDocument(t *testing.T) *document {
	d := &document{t: t, types: map[string]typeDoc{}}
	paths, err := filepath.Glob("*.go")
	if err != nil || len(paths) == 0 {
		t.Fatalf("got %d files, %v", len(paths), err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				d.read(g)
			}
		}
	}
	return d
}

func (d *document) read(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		s := spec.(*ast.TypeSpec)
		doc := typeDoc{oneLine(g.Doc), map[string]string{}}
		if st, ok := s.Type.(*ast.StructType); ok {
			for _, f := range st.Fields.List {
				for _, name := range f.Names {
					doc.fields[name.Name] = oneLine(f.Comment)
				}
			}
		}
		d.types[s.Name.Name] = doc
	}
}

func oneLine(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }

// about returns a type's comment with its Go name replaced.
func (d *document) about(t reflect.Type, name string) string {
	return strings.Replace(d.types[t.Name()].doc, t.Name(), "`"+name+"`", 1)
}

func (d *document) events() string {
	var b strings.Builder
	for _, k := range Catalog() {
		t := reflect.TypeOf(k.Zero)
		fmt.Fprintf(&b, "#### `%s` version %d\n\n%s\n\n", k.Type, k.Version, d.about(t, string(k.Type)))
		if t.NumField() == 0 {
			b.WriteString("No members: `{}`.\n\n")
			continue
		}
		b.WriteString(d.members(t) + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (d *document) parts() string {
	d.events()
	d.members(reflect.TypeFor[envelope]())
	var b strings.Builder
	for i := 0; i < len(d.order); i++ { // grows while parts refer to parts
		t := d.order[i]
		fmt.Fprintf(&b, "#### %s\n\n%s\n\n%s\n", strings.ToLower(t.Name()), d.about(t, strings.ToLower(t.Name())), d.members(t))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (d *document) members(t reflect.Type) string {
	var b strings.Builder
	b.WriteString("| member | type | left out | meaning |\n|---|---|---|---|\n")
	for f := range fieldsOf(t) {
		member, omitzero := memberOf(f)
		left := "never"
		switch kind := f.Type.Kind(); {
		case omitzero && kind == reflect.Pointer:
			left = "if not given"
		case omitzero && kind == reflect.Slice:
			left = "if none"
		case omitzero:
			left = "if zero"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", member, d.typeName(f.Type), left, d.types[t.Name()].fields[f.Name])
	}
	return b.String()
}

// typeName returns what FORMAT.md calls a type.
func (d *document) typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Time]():
		return "time"
	case reflect.TypeFor[TaskID]():
		return "task"
	case reflect.TypeFor[RunID]():
		return "run"
	case reflect.TypeFor[Digest]():
		return "digest"
	case reflect.TypeFor[ULID]():
		return "ulid"
	case reflect.TypeFor[jsontext.Value]():
		return "any JSON"
	}
	for _, e := range enums {
		if e.typ == t {
			return e.name
		}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.typeName(t.Elem())
	case reflect.Slice:
		return "list of " + d.typeName(t.Elem())
	case reflect.Struct:
		if !slices.Contains(d.order, t) {
			d.order = append(d.order, t)
		}
		name := strings.ToLower(t.Name())
		return "[" + name + "](#" + name + ")"
	}
	return t.Kind().String()
}

func fieldsOf(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

func wordTable() string {
	var b strings.Builder
	b.WriteString("| type | words |\n|---|---|\n")
	for _, e := range enums {
		fmt.Fprintf(&b, "| %s | `%s` |\n", e.name, strings.Join(e.words[1:], "` `"))
	}
	return b.String()
}

func markers(name string) (begin, end string) {
	return "<!-- " + name + ": written by go test ./events -run Format -update -->\n\n", "\n<!-- end of " + name + " -->"
}

// section returns what stands between the markers of a section.
func section(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(formatFile)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := markers(name)
	_, rest, ok := strings.Cut(string(b), begin)
	text, _, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no section %q", formatFile, name)
	}
	return text
}

func replaceSection(t *testing.T, name, text string) {
	t.Helper()
	b, err := os.ReadFile(formatFile)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := markers(name)
	old := begin + section(t, name) + end
	s := strings.Replace(string(b), old, begin+text+end, 1)
	if err := os.WriteFile(formatFile, []byte(s), 0o644); err != nil {
		t.Fatal(err)
	}
}
