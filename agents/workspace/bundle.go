package workspace

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// What a bundle's header may hold. An honest one has one ref, and what it
// builds on: the base, and what was merged in from other branches of it.
const (
	maxHeaderLine    = 64 << 10 // a prerequisite is followed by the first line of its message
	maxPrerequisites = 1000
)

// header is the readable beginning of a bundle.
type header struct {
	tip           string
	prerequisites []string
}

// readHeader reads a bundle up to its pack. It accepts exactly one ref, the
// branch, and no filter.
func readHeader(r *bufio.Reader, branch, format string) (header, error) {
	var h header
	line, err := headerLine(r)
	if err != nil {
		return h, err
	}
	if line != "# v2 git bundle" && line != "# v3 git bundle" {
		return h, problem(CodeBadBundle, "this is not a git bundle of version 2 or 3")
	}
	length := map[string]int{"sha1": 40, "sha256": 64}[format]
	for {
		if line, err = headerLine(r); err != nil {
			return h, err
		}
		switch {
		case line == "":
			if h.tip == "" {
				return h, problem(CodeBadBundle, "the bundle holds no branch")
			}
			return h, nil
		case line == "@object-format="+format:
		case line[0] == '@':
			return h, problem(CodeBadBundle, "the bundle wants %.100q, which is not handled here", line)
		case line[0] == '-':
			id, _, _ := strings.Cut(line[1:], " ")
			if !isCommitID(id) || len(id) != length || len(h.prerequisites) == maxPrerequisites {
				return h, problem(CodeBadBundle, "the bundle's list of what it builds on is damaged")
			}
			h.prerequisites = append(h.prerequisites, id)
		default:
			id, name, _ := strings.Cut(line, " ")
			if !isCommitID(id) || len(id) != length || h.tip != "" || name != "refs/heads/"+branch {
				return h, problem(CodeBadBundle, "the bundle holds %.300q, and only refs/heads/%s was to be handed back", line, branch)
			}
			h.tip = id
		}
	}
}

// headerLine reads a line without its end.
func headerLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case err == io.EOF, errors.Is(err, bufio.ErrBufferFull):
		return "", problem(CodeBadBundle, "the bundle is damaged: its header does not end")
	case err != nil:
		return "", err
	}
	return string(line[:len(line)-1]), nil
}
