package events

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A type of the test's own that has been through three versions.
type (
	songV1 struct {
		Singer string `json:"singer"`
	}
	songV2 struct {
		Singers []string `json:"singers"`
	}
	song struct {
		Singers []string `json:"singers"`
		Loud    bool     `json:"loud"`
	}
)

func (song) Type() Type { return "test.song" }

func songCatalog() catalog {
	return newCatalog([]kind{of[song](3)}, map[stored]lift{
		{"test.song", 1}: upcast(func(old songV1) songV2 { return songV2{[]string{old.Singer}} }),
		{"test.song", 2}: upcast(func(old songV2) song { return song{old.Singers, true} }),
	})
}

func TestUpcast(t *testing.T) {
	c := songCatalog()
	for version, data := range map[uint32]string{
		1: `{"singer":"kai"}`,
		2: `{"singers":["kai"]}`,
		3: `{"singers":["kai"],"loud":true}`,
	} {
		got, err := c.payload("test.song", version, []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Payload(song{[]string{"kai"}, true}), got); diff != "" {
			t.Errorf("version %d: %s", version, diff)
		}
		if got, err := c.payload("test.song", version, []byte(`{"mood":1}`)); err == nil {
			t.Errorf("version %d: an unknown member was read as %v", version, got)
		}
	}
	for _, version := range []uint32{0, 4} {
		if got, err := c.payload("test.song", version, []byte(`{}`)); err == nil {
			t.Errorf("version %d: got %v, want an error", version, got)
		}
	}
}

// An old version is canonical in its own form, not in the current one.
func TestCanonicalFormOfOldVersions(t *testing.T) {
	old := strings.NewReplacer(`task.assigned`, `test.song`, `{"assignee":"kai"}`, `{"singer":"kai"}`).Replace(minimal)
	again, err := reencode([]byte(old), songCatalog())
	if err != nil || string(again) != old {
		t.Errorf("got %s, %v, want %s", again, err, old)
	}
}

func TestCatalogMistakes(t *testing.T) {
	for name, make := range map[string]func(){
		"a name twice":     func() { newCatalog([]kind{of[song](1), of[song](1)}, nil) },
		"a version no way": func() { newCatalog([]kind{of[song](2)}, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: got no panic", name)
				}
			}()
			make()
		}()
	}
}

func TestCatalogIsConsistent(t *testing.T) {
	for _, k := range Catalog() {
		if k.Version < 1 || k.Zero.Type() != k.Type {
			t.Errorf("%+v: got type %s from its payload", k, k.Zero.Type())
		}
	}
	if got, want := len(Catalog()), 45; got != want {
		t.Errorf("got %d types, want %d", got, want)
	}
}
