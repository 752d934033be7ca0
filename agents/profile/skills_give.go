package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/hermesboard/hermes/agents"
)

// Bounds of what a run is given of a profile's skills.
const (
	maxSkillFiles = 2_000
	maxSkillBytes = 32 << 20
	maxSkillAbout = 500 // bytes of a description
)

// GivenSkill is a skill that lies in a folder of a run.
type GivenSkill struct {
	Name  string // of its folder
	About string // its description, on a line; empty = it has none
	Text  string // SKILL.md without its head
}

// GiveSkills copies a profile's skills into a folder, which must not be there,
// and returns them sorted by name. It makes no folder if there are none. Links
// and whatever else is no file are left out: a skill may come from anywhere, and
// is to bring nothing of the host that is not in its own folder.
func GiveSkills(dir, to string) ([]GivenSkill, error) {
	all, err := Skills(dir)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	var given []GivenSkill
	var room room
	for _, s := range all {
		from, into := filepath.Join(dir, "skills", s.Name), filepath.Join(to, s.Name)
		if err := room.take(from); err != nil {
			return nil, fmt.Errorf("skill %s: %w", s.Name, err)
		}
		if err := copyTree(from, into); err != nil {
			return nil, fmt.Errorf("skill %s: %w", s.Name, err)
		}
		b, err := readConfig(filepath.Join(into, skillFile))
		if err == nil && (!utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0) {
			err = errors.New(skillFile + " is not a text")
		}
		if err != nil {
			return nil, fmt.Errorf("skill %s: %w", s.Name, err)
		}
		skill := GivenSkill{Name: s.Name}
		skill.About, skill.Text = splitSkill(string(b))
		given = append(given, skill)
	}
	return given, nil
}

// room is what is left of the bounds of what is copied.
type room struct {
	files int
	bytes int64
}

// take counts the files below a folder.
func (r *room) take(dir string) error {
	return filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if r.files++; d.Type().IsRegular() {
			r.bytes += info.Size()
		}
		if r.files > maxSkillFiles || r.bytes > maxSkillBytes {
			return fmt.Errorf("the profile's skills have more than %d files or %d MiB", maxSkillFiles, maxSkillBytes>>20)
		}
		return nil
	})
}

// splitSkill divides a SKILL.md into the description in its head, which stands
// between two lines of dashes, and the rest.
func splitSkill(text string) (about, rest string) {
	head, ok := strings.CutPrefix(text, "---\n")
	if !ok {
		return "", text
	}
	head, rest, ok = strings.Cut(head, "\n---")
	var front struct {
		Description string `yaml:"description"`
	}
	if !ok || agents.Decode([]byte(head), &front) != nil {
		return "", text
	}
	about = strings.Join(strings.Fields(front.Description), " ")
	if len(about) > maxSkillAbout {
		about = strings.ToValidUTF8(about[:maxSkillAbout], "") + "…"
	}
	return about, strings.TrimLeft(rest, "-\n")
}

// skillName reports whether the name of a folder can be that of a skill: it is
// told to agents and is part of a path.
func skillName(s string) bool {
	return len(s) <= 64 && !strings.HasPrefix(s, ".") && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r == '-' || r == '_' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	})
}
