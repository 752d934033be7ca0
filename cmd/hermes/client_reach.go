package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/agents/profile"
)

// homeParts are what lies in a home besides boards and profiles, and is the
// operator's.
var homeParts = []string{"anchors", "run", "agents", "skills", "cron", "logs", "recipes", "planner.yaml", profile.ConfigFile, profile.SecretsFile, "SOUL.md"}

// foreign reports whether a path leads to a part of the home that is not the
// profile's which is meant. To one that may not open every board such a file is
// not there, through whatever link it is named.
func (x *call) foreign(path string) bool {
	p := x.quietProfile()
	if p == nil || p.MayOpenAll() {
		return false
	}
	for _, way := range []string{filepath.Clean(path), followed(path)} {
		for _, home := range []string{p.Home, followed(p.Home)} {
			rest, ok := strings.CutPrefix(way, strings.TrimSuffix(home, "/")+"/")
			if ok && !partOf(p, rest) {
				return true
			}
		}
	}
	return false
}

// partOf reports whether a path below the home is the profile's to read.
func partOf(p *profile.Profile, rest string) bool {
	top, below, _ := strings.Cut(rest, "/")
	name, _, _ := strings.Cut(below, "/")
	switch top {
	case "boards":
		return p.MayOpen(name)
	case "profiles":
		return name == p.Name
	}
	return !slices.Contains(homeParts, top)
}

// followed is a path without links, as far as it is there.
func followed(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		return real
	}
	if target, lerr := os.Readlink(path); lerr == nil { // a link to nowhere leads somewhere all the same
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	if dir := filepath.Dir(path); dir != path {
		return filepath.Join(followed(dir), filepath.Base(path))
	}
	return path
}
