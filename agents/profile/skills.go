package profile

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

//go:embed skills
var bundled embed.FS

// manifestFile says which bundled skills a profile was given, and what they
// were then.
const manifestFile = ".bundled.json"

// skillFile is what makes a folder a skill.
const skillFile = "SKILL.md"

// Skill is one of a profile.
type Skill struct {
	Name    string `json:"name"`
	Bundled bool   `json:"bundled"` // it came with the program
	Changed bool   `json:"changed"` // it came with the program, and was changed since
}

// Synced counts what became of the bundled skills.
type Synced struct {
	Added   int `json:"added"`
	Updated int `json:"updated"`
	Same    int `json:"same"`
	Kept    int `json:"kept"`    // changed by somebody, or theirs from the start: not touched
	Removed int `json:"removed"` // taken away by somebody: not put back
}

// SyncSkills brings the skills that come with the program into a profile's
// folder. One that somebody changed or took away is left as it is.
func SyncSkills(dir string) (Synced, error) {
	var n Synced
	unlock, err := lockFile(filepath.Join(dir, ".config.lock"))
	if err != nil {
		return n, err
	}
	defer unlock()
	root := filepath.Join(dir, "skills")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return n, err
	}
	given, err := readManifest(root)
	if err != nil {
		return n, err
	}
	for name, text := range bundledSkills() {
		file := filepath.Join(root, name, skillFile)
		now, err := readConfig(file)
		if err != nil {
			return n, fmt.Errorf("skill %s: %w", name, err)
		}
		was, known := given[name]
		switch {
		case now == nil && known:
			n.Removed++
			continue
		case now == nil:
			n.Added++
		case hashOf(now) == hashOf(text):
			n.Same++
		case !known || hashOf(now) != was:
			n.Kept++
			continue
		default:
			n.Updated++
		}
		if now == nil || hashOf(now) != hashOf(text) {
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), replaceFile(file, text)); err != nil {
				return n, fmt.Errorf("skill %s: %w", name, err)
			}
		}
		given[name] = hashOf(text)
	}
	b, err := json.MarshalIndent(given, "", "  ")
	if err != nil {
		return n, err
	}
	return n, replaceFile(filepath.Join(root, manifestFile), append(b, '\n'))
}

// Skills lists the skills in a profile's folder, sorted.
func Skills(dir string) ([]Skill, error) {
	root := filepath.Join(dir, "skills")
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	given, err := readManifest(root)
	if err != nil {
		return nil, err
	}
	var out []Skill
	for _, e := range entries {
		if !e.IsDir() || !skillName(e.Name()) {
			continue
		}
		b, err := readConfig(filepath.Join(root, e.Name(), skillFile))
		if err != nil || b == nil {
			continue
		}
		was, known := given[e.Name()]
		out = append(out, Skill{Name: e.Name(), Bundled: known, Changed: known && hashOf(b) != was})
	}
	return out, nil
}

// bundledSkills are those that come with the program, by name.
func bundledSkills() map[string][]byte {
	out := map[string][]byte{}
	entries, err := bundled.ReadDir("skills")
	for _, e := range entries {
		b, errRead := bundled.ReadFile("skills/" + e.Name() + "/" + skillFile)
		err = errors.Join(err, errRead)
		out[e.Name()] = b
	}
	if err != nil {
		panic(err) // they are part of the program
	}
	return out
}

// BundledSkills are the names of the skills that come with the program, sorted.
func BundledSkills() (names []string) {
	for name := range bundledSkills() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func readManifest(root string) (map[string]string, error) {
	given := map[string]string{}
	b, err := readConfig(filepath.Join(root, manifestFile))
	if err == nil && b != nil {
		err = json.Unmarshal(b, &given)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifestFile, err)
	}
	return given, nil
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
