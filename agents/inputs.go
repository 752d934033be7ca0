package agents

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/hermesboard/hermes/projections"
)

// AttachedDir is the folder of a task's attachments among its inputs. Those of
// a parent are in a folder named after it.
const AttachedDir = "attached"

// InputNames returns under which relative slash path each file is put into its
// folder of inputs. It is its own name, unless a later file needs the place:
// then it is set apart by the beginning of its digest. The list comes oldest
// first, and the newest of a name keeps it.
func InputNames(files []projections.ArtifactRow) []string {
	names := make([]string, len(files))
	taken := make(map[string]bool, 2*len(files)) // by a file, or as a folder above one
	folders := make(map[string]bool)
	free := func(name string) bool {
		if taken[name] || folders[name] || len(name) > 255 || !filepath.IsLocal(name) || path.Clean(name) != name || name == "." || strings.ContainsRune(name, 0) {
			return false
		}
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if taken[dir] {
				return false
			}
		}
		return true
	}
	for i := len(files) - 1; i >= 0; i-- {
		name := files[i].Name
		if !free(name) {
			base := path.Base(path.Clean("/" + strings.ReplaceAll(name, "\x00", "")))
			name = fmt.Sprintf("%.12s-%s", files[i].SHA256, base[:cutAt(base, 200)])
			name = strings.ReplaceAll(name, "/", "_")
			for n := 2; !free(name); n++ {
				name = fmt.Sprintf("%.12s-%d", files[i].SHA256, n)
			}
		}
		names[i], taken[name] = name, true
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	return names
}

// Attachments returns a task's attachments, oldest first.
func Attachments(d projections.Detail) []projections.ArtifactRow {
	var out []projections.ArtifactRow
	for _, a := range d.Artifacts {
		if a.Kind == "attachment" {
			out = append(out, a)
		}
	}
	return out
}
