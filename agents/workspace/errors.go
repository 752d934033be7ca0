package workspace

import (
	"fmt"
	"strings"
)

// The codes of an [Error].
const (
	CodeNoGit          = "runtime_missing"  // git is not installed
	CodeNoRepository   = "repo_missing"     // there is no repository
	CodeNoBase         = "base_missing"     // it has no such commit, branch or tag
	CodeUnsupported    = "repo_unsupported" // a name or a kind of repository that is not handled
	CodeTooLarge       = "too_large"
	CodeTimedOut       = "timed_out"
	CodeBadBundle      = "bundle_bad"      // damaged, or not what was to be handed back
	CodeMissingCommits = "commits_missing" // the repository lacks what the bundle builds on
	CodeRefExists      = "ref_exists"
	CodeGit            = "git_failed"
)

// Error is why a workspace cannot be made or commits cannot be taken back.
// Detail holds no control characters.
type Error struct {
	Code   string
	Detail string
	Hint   string // what to do about it; may be empty
}

// Error returns the detail.
func (e *Error) Error() string { return e.Detail }

func problem(code, format string, v ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, v...)}
}

// checkRepo refuses paths that could be read as something else.
func checkRepo(path string) error {
	if !strings.HasPrefix(path, "/") || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return problem(CodeUnsupported, "repository %.300q: want an absolute path without control characters", path)
	}
	return nil
}

// checkName is stricter than git: nothing that could be an option, an
// expression or a pattern.
func checkName(what, s string) error {
	bad := s == "" || len(s) > 200 || s == "HEAD" || strings.Contains(s, "..") || strings.Contains(s, "//") || strings.Contains(s, "/.") ||
		strings.Contains(s+"/", ".lock/") || strings.HasSuffix(s, "/") || strings.HasSuffix(s, ".")
	for i := range len(s) {
		c := s[i]
		bad = bad || !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || i > 0 && strings.IndexByte("._-/+", c) >= 0)
	}
	if bad {
		return problem(CodeUnsupported, "%s %.300q: want a letter or digit, then letters, digits and . _ - / +", what, s)
	}
	return nil
}

// isCommitID reports whether s is a full object name.
func isCommitID(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}
