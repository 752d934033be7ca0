//go:build linux

package localbox

import (
	"slices"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/sandbox/internal/process"
)

func TestAttribute(t *testing.T) {
	self := process.Stat{PID: 10, Parent: 1, Session: 5, Start: 50}
	mains := map[int]process.Main{
		20: {PID: 20, Start: 100, Mark: "a"},
		30: {PID: 30, Start: 200, Mark: "b"},
	}
	const stray, nobody = -1, 0
	tests := []struct {
		name string
		proc process.Stat
		mark string
		want int
	}{
		{"main", process.Stat{PID: 20, Parent: 10, Session: 20, Start: 100}, "a", nobody},
		{"other main", process.Stat{PID: 30, Parent: 10, Session: 30, Start: 200}, "b", nobody},
		{"child", process.Stat{PID: 21, Parent: 20, Session: 20, Start: 101}, "", 20},
		{"orphan in the session", process.Stat{PID: 22, Parent: 10, Session: 20, Start: 101}, "", 20},
		{"orphan with the mark", process.Stat{PID: 23, Parent: 10, Session: 23, Start: 101}, "a", 20},
		{"its child without", process.Stat{PID: 24, Parent: 23, Session: 24, Start: 102}, "", 20},
		{"mark outside this process's tree", process.Stat{PID: 31, Parent: 1, Session: 31, Start: 201}, "b", 30},
		{"stray", process.Stat{PID: 40, Parent: 10, Session: 40, Start: 201}, "", stray},
		{"stray in a group", process.Stat{PID: 42, Parent: 10, Session: 42, Start: 201}, "group:b", 30},
		{"in a group of nobody here", process.Stat{PID: 43, Parent: 10, Session: 43, Start: 201}, "group:c", nobody},
		{"child of the stray", process.Stat{PID: 41, Parent: 40, Session: 40, Start: 202}, "", stray},
		{"child of this process", process.Stat{PID: 50, Parent: 10, Session: 5, Start: 300}, "", nobody},
		{"grandchild of this process", process.Stat{PID: 51, Parent: 50, Session: 51, Start: 301}, "", nobody},
		{"child from before", process.Stat{PID: 60, Parent: 10, Session: 60, Start: 99}, "", nobody},
		{"somebody", process.Stat{PID: 70, Parent: 1, Session: 70, Start: 300}, "", nobody},
		{"parent unknown", process.Stat{PID: 71, Parent: 999, Session: 71, Start: 300}, "c", nobody},
		{"loop", process.Stat{PID: 80, Parent: 81, Session: 80, Start: 300}, "", nobody},
		{"loop's end", process.Stat{PID: 81, Parent: 80, Session: 80, Start: 300}, "", nobody},
	}
	all := []process.Stat{self}
	marks := make(map[int]string)
	for _, test := range tests {
		all = append(all, test.proc)
		marks[test.proc.PID] = test.mark
	}
	for _, order := range []string{"as given", "backwards"} {
		found := attribute(all, self, mains, func(pid int) (string, bool) {
			mark, certain := strings.CutPrefix(marks[pid], "group:")
			return mark, certain
		})
		for _, test := range tests {
			got := nobody
			for main, members := range found.members {
				if slices.Contains(members, test.proc) {
					got = main
				}
			}
			if slices.Contains(found.strays, test.proc) {
				got = stray
			}
			if got != test.want {
				t.Errorf("%s, %s: got %d, want %d", test.name, order, got, test.want)
			}
		}
		slices.Reverse(all)
	}
}
