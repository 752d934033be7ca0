package boards

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/hermesboard/hermes/events"
)

// Limits of what a command may say, in bytes unless the name says otherwise.
const (
	MaxTitle        = 500
	MaxBody         = 200 << 10
	MaxComment      = 32 << 10
	MaxReason       = 32 << 10 // reasons, summaries, answers, notes
	MaxMetadata     = 64 << 10
	MaxEvidence     = 16 << 10 // longer evidence keeps its end
	MaxName         = 64       // agents, tenants
	MaxPath         = 1024
	MaxFileName     = 255
	MaxOption       = 100
	MaxOptions      = 6
	MaxParents      = 256
	MaxChildren     = 900 // so that one command can always move them all
	MaxArtifacts    = 200
	MaxArtifact     = 1 << 30
	MaxRunArtifacts = 4 << 30
	MaxSkills       = 64
	MaxHosts        = 100 // egress totals of one run; the rest is summed up

	maxReported = 8 << 10 // the reason of an end, cut to fit beside its evidence
	maxWaitMS   = 30 * 24 * 3_600_000
	maxTime     = events.Time(253_402_300_799_999_999) // the end of the year 9999
)

// reject makes a rejection about a task; task 0 = none.
func reject(code Code, id events.TaskID, hint, format string, args ...any) *Rejection {
	return &Rejection{Code: code, Task: id, Detail: fmt.Sprintf(format, args...), Hint: hint}
}

// firstBad returns a rejection for the first problem that is not empty.
func firstBad(id events.TaskID, problems ...string) *Rejection {
	for _, p := range problems {
		if p == "" {
			continue
		}
		hint := ""
		if strings.HasSuffix(p, tooLong) {
			hint = "hermes kanban attach " + taskOr(id, "TASK") + " FILE"
		}
		if id == 0 {
			return reject(CodeBadCommand, 0, hint, "%s", p)
		}
		return reject(CodeBadCommand, id, hint, "%v: %s", id, p)
	}
	return nil
}

func taskOr(id events.TaskID, otherwise string) string {
	if id == 0 {
		return otherwise
	}
	return id.String()
}

const tooLong = "attach it as a file"

// prose checks text of several lines; empty is fine.
func prose(what, s string, limit int) string {
	switch {
	case len(s) > limit:
		return fmt.Sprintf("%s is %d bytes, at most %d: %s", what, len(s), limit, tooLong)
	case !utf8.ValidString(s):
		return what + " is not valid UTF-8"
	case strings.IndexByte(s, 0) >= 0:
		return what + " holds a NUL byte"
	}
	return ""
}

// required is prose that must say something.
func required(what, s string, limit int) string {
	if strings.TrimSpace(s) == "" {
		return what + " is empty"
	}
	return prose(what, s, limit)
}

// line checks text of one line; empty is fine.
func line(what, s string, limit int) string {
	switch {
	case len(s) > limit:
		return fmt.Sprintf("%s is %d bytes, at most %d", what, len(s), limit)
	case !utf8.ValidString(s):
		return what + " is not valid UTF-8"
	case strings.ContainsFunc(s, unicode.IsControl):
		return what + " holds a control character"
	}
	return ""
}

func title(s string) string {
	if strings.TrimSpace(s) == "" {
		return "title is empty"
	}
	return line("title", s, MaxTitle)
}

// word checks a short token: letters, digits and the extra characters, starting
// with a letter or digit.
func word(what, s, extra string, limit int) string {
	if s == "" {
		return ""
	}
	if len(s) > limit {
		return fmt.Sprintf("%s is %d bytes, at most %d", what, len(s), limit)
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || i > 0 && strings.IndexByte(extra, c) >= 0) {
			return fmt.Sprintf("%s %q: want a letter or digit, then letters, digits and %s", what, s, extra)
		}
	}
	return ""
}

func agentName(what, s string) string { return word(what, s, "_-", MaxName) }
func tenantName(s string) string      { return word("tenant", s, "._-", MaxName) }
func modelName(s string) string       { return word("model", s, "._-:/@+[]", 200) }

// fold lowers ASCII letters: names of agents and tenants have one spelling.
func fold(s string) string { return strings.ToLower(s) }

func skills(list []string) string {
	if len(list) > MaxSkills {
		return fmt.Sprintf("%d skills, at most %d", len(list), MaxSkills)
	}
	for _, s := range list {
		if s == "" {
			return "a skill is empty"
		}
		if p := word("skill", s, "._-:/", 100); p != "" {
			return p
		}
	}
	return ""
}

func workspace(w events.Workspace) string {
	switch w.Kind {
	case 0, events.Scratch:
		if w.Path != "" || w.Base != "" || w.Branch != "" {
			return "a scratch workspace has no path, base or branch"
		}
	case events.Dir:
		if w.Base != "" || w.Branch != "" {
			return "a dir workspace has no base or branch"
		}
		return folder(w.Path)
	case events.Repo:
		if w.Path != "" {
			if p := folder(w.Path); p != "" {
				return p
			}
		}
		if p := gitName("base", w.Base); p != "" {
			return p
		}
		return gitName("branch", w.Branch)
	default:
		return "no such kind of workspace"
	}
	return ""
}

func folder(p string) string {
	if !path.IsAbs(p) || path.Clean(p) != p || p == "/" {
		return fmt.Sprintf("workspace path %q: want an absolute path without . or .. and not /", p)
	}
	return line("workspace path", p, MaxPath)
}

// gitName is stricter than git: nothing that could be an option or an expression.
func gitName(what, s string) string {
	p := word(what, s, "._-/+", 200)
	if p == "" && (strings.Contains(s, "..") || strings.Contains(s, "//") || strings.HasSuffix(s, "/") ||
		strings.HasSuffix(s, ".") || strings.HasSuffix(s, ".lock") || strings.Contains(s, "/.")) {
		p = fmt.Sprintf("%s %q is not a name git allows", what, s)
	}
	return p
}

func metadata(v jsontext.Value) string {
	switch {
	case len(v) > MaxMetadata:
		return fmt.Sprintf("metadata is %d bytes, at most %d: %s", len(v), MaxMetadata, tooLong)
	case len(v) > 0 && !v.IsValid():
		return "metadata is not JSON"
	}
	return ""
}

func fileName(s string) string {
	switch {
	case s == "":
		return "a file has no name"
	case s == "." || strings.HasPrefix(s, "/") || path.Clean(s) != s || s == ".." || strings.HasPrefix(s, "../") || strings.Contains(s, `\`):
		return fmt.Sprintf("file name %q: want a relative path without . or ..", s)
	}
	return line("file name", s, MaxFileName)
}

// stored checks artifacts and their names. A file without a digest was not stored.
func stored(id events.TaskID, files []events.Artifact, names []string) *Rejection {
	if len(files) != len(names) || len(files) > MaxArtifacts {
		return firstBad(id, fmt.Sprintf("%d artifacts with %d names, at most %d and as many names", len(files), len(names), MaxArtifacts))
	}
	var total int64
	seen := make(map[string]bool, len(names))
	for i, f := range files {
		if r := firstBad(id, fileName(names[i])); r != nil {
			return r
		}
		total += max(f.Size, 0)
		switch {
		case f.SHA256 == (events.Digest{}):
			return reject(CodeNoArtifact, id, "", "%v: %q is not stored", id, names[i])
		case f.Size < 0 || f.Size > MaxArtifact || total > MaxRunArtifacts:
			return firstBad(id, fmt.Sprintf("%q is too large: at most %d bytes a file and %d together", names[i], int64(MaxArtifact), int64(MaxRunArtifacts)))
		case seen[names[i]]:
			return firstBad(id, fmt.Sprintf("two artifacts are named %q", names[i]))
		}
		seen[names[i]] = true
	}
	return nil
}

func options(list []string) string {
	if len(list) > MaxOptions {
		return fmt.Sprintf("%d options, at most %d", len(list), MaxOptions)
	}
	for _, o := range list {
		if strings.TrimSpace(o) == "" {
			return "an option is empty"
		}
		if p := line("option", o, MaxOption); p != "" {
			return p
		}
	}
	return ""
}

// instant checks a time a person names.
func instant(what string, t events.Time) string {
	if t < 0 || t > maxTime {
		return what + " is not a time before the year 10000"
	}
	return ""
}

func duration(what string, ms int64) string {
	if ms < 0 || ms > 365*24*3_600_000 {
		return what + " is not between 0 and a year"
	}
	return ""
}

// policy checks that the rules can go by p.
func policy(p *events.Policy) string {
	atLeastOne := []struct {
		name string
		v    int64
	}{
		{"host_slots", int64(p.HostSlots)}, {"failure_limit", int64(p.FailureLimit)}, {"verdict_limit", int64(p.VerdictLimit)},
		{"lost_limit", int64(p.LostLimit)}, {"block_loop", int64(p.BlockLoop)}, {"term_ms", p.TermMS},
		{"person_term_ms", p.PersonTermMS}, {"silence_ms", p.SilenceMS}, {"stop_grace_ms", p.StopGraceMS},
		{"backoff_ms", p.BackoffMS}, {"backoff_max_ms", p.BackoffMaxMS}, {"rate_limit_ms", p.RateLimitMS},
		{"rate_limit_max_ms", p.RateLimitMax}, {"lost_wait_ms", p.LostWaitMS},
	}
	for _, f := range atLeastOne {
		if f.v < 1 {
			return fmt.Sprintf("policy: %s is %d, want 1 or more", f.name, f.v)
		}
		if f.v > 365*24*3_600_000 {
			return fmt.Sprintf("policy: %s is %d, more than a year has milliseconds", f.name, f.v)
		}
	}
	notNegative := []int64{
		int64(p.BoardCap), int64(p.AgentCap), int64(p.TenantCap), p.MaxRuntimeMS, p.KeepScratchMS, p.KeepLogMS, p.KeepOrphanMS,
		p.MaxBytes,
	}
	for _, b := range []events.Budget{p.Budget, p.TokenBudget} {
		notNegative = append(notNegative, b.Run, b.Task, b.BoardDay, b.BoardMonth, b.AgentDay, b.AgentMonth, b.TenantDay, b.TenantMonth)
	}
	caps := append(append([]events.Cap{}, p.AgentCaps...), p.TenantCaps...)
	for _, c := range caps {
		notNegative = append(notNegative, int64(c.Max))
		if c.Name == "" {
			return "policy: a cap names nobody"
		}
		if problem := word("policy: name of a cap", c.Name, "._-", MaxName); problem != "" {
			return problem
		}
	}
	for _, v := range notNegative {
		if v < 0 {
			return fmt.Sprintf("policy: %d where 0 (no limit) or more is wanted", v)
		}
	}
	if p.Order > events.ByAge {
		return "policy: order is neither priority nor fifo"
	}
	if p.Deliver != "" && (!path.IsAbs(p.Deliver) || path.Clean(p.Deliver) != p.Deliver) {
		return "policy: deliver is not a clean absolute path"
	}
	for _, problem := range []string{
		line("policy: deliver", p.Deliver, MaxPath),
		agentName("policy: default_assignee", p.DefaultAssignee), agentName("policy: reviewer", p.Reviewer),
		word("policy: currency", p.Currency, "", 3),
	} {
		if problem != "" {
			return problem
		}
	}
	if len(caps) > 500 {
		return "policy: more than 500 caps"
	}
	return ""
}

// measured cuts what a program reports to what a record can hold. The end of a
// run must never be refused for how it is worded.
func measured(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if r == 0 {
			return -1
		}
		return r
	}, s)
	if len(s) > limit {
		s = strings.ToValidUTF8(s[len(s)-limit:], "")
	}
	return s
}

// fits checks that a draft's text stays under its limit once written as JSON,
// where quotes and control characters take more room.
func fits(d *events.Draft) *Rejection {
	f, id := d.Text, d.Task
	if f == nil {
		return nil
	}
	if _, created := d.Data.(events.TaskCreated); created {
		id = 0 // the task is not there to attach anything to
	}
	raw := len(f.Title) + len(f.Body) + len(f.Summary) + len(f.Result) + len(f.Comment) + len(f.Reason) +
		len(f.Answer) + len(f.Note) + len(f.Evidence) + len(f.Metadata)
	if raw < events.MaxTextBytes/8 { // options and names are bounded well below the rest
		return nil
	}
	n := len(f.Metadata) + 1024
	for _, s := range []string{f.Title, f.Body, f.Summary, f.Result, f.Comment, f.Reason, f.Answer, f.Note, f.Evidence} {
		n += quotedSize(s)
	}
	for _, s := range f.Options {
		n += quotedSize(s)
	}
	for _, s := range f.Names {
		n += quotedSize(s)
	}
	if n > events.MaxTextBytes {
		return firstBad(id, fmt.Sprintf("the text takes %d bytes as JSON, at most %d: %s", n, events.MaxTextBytes, tooLong))
	}
	return nil
}

// quotedSize returns the length of s as a JSON string, at most.
func quotedSize(s string) int {
	n := len(s) + 3
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t':
			n++
		case c < 0x20:
			n += 5
		}
	}
	return n
}
