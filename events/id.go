package events

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/oklog/ulid/v2"
)

// ULID is a 128-bit identifier written as 26 characters of Crockford base32.
// Records, boards and commands are named by one. It is made by the shell, never here.
type ULID = ulid.ULID

// BoardID names a board for ever; the slug is only where it lies.
type BoardID = ulid.ULID

// CommandID names a command, so that the same command sent twice has one effect.
// Foreign keys become one as 128 bits of SHA-256: see [ForeignCommandID].
type CommandID = ulid.ULID

// TaskID numbers the tasks of one board from 1; 0 means no task. Written "t42".
type TaskID uint32

// String returns "t42", and "" for no task.
func (t TaskID) String() string {
	if t == 0 {
		return ""
	}
	return "t" + strconv.FormatUint(uint64(t), 10)
}

// ParseTaskID reads "t42". It refuses signs, leading zeros and t0.
func ParseTaskID(s string) (TaskID, error) {
	rest, ok := strings.CutPrefix(s, "t")
	n, err := parseNumber(rest)
	if !ok || err != nil {
		return 0, fmt.Errorf("%q is not a task id (want for example t42)", s)
	}
	return TaskID(n), nil
}

// MarshalText implements encoding.TextMarshaler.
func (t TaskID) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *TaskID) UnmarshalText(b []byte) (err error) {
	*t, err = ParseTaskID(string(b))
	return err
}

// RunID is one attempt at a task: the task and the number of the attempt from 1.
// Written "t42.1"; the zero value means no run.
type RunID struct {
	Task TaskID
	N    uint32
}

// String returns "t42.1", and "" for no run.
func (r RunID) String() string {
	if r == (RunID{}) {
		return ""
	}
	return r.Task.String() + "." + strconv.FormatUint(uint64(r.N), 10)
}

// ParseRunID reads "t42.1".
func ParseRunID(s string) (RunID, error) {
	task, attempt, _ := strings.Cut(s, ".")
	t, err := ParseTaskID(task)
	n, err2 := parseNumber(attempt)
	if err != nil || err2 != nil {
		return RunID{}, fmt.Errorf("%q is not a run id (want for example t42.1)", s)
	}
	return RunID{t, n}, nil
}

// MarshalText implements encoding.TextMarshaler.
func (r RunID) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *RunID) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRunID(string(b))
	return err
}

// parseNumber reads a positive decimal number in its only spelling.
func parseNumber(s string) (uint32, error) {
	if s == "" || s[0] < '1' || s[0] > '9' {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err
}
