package events

import (
	"encoding/hex"
	"errors"
	"strconv"
)

// How the simple types of the format are walked.

// word walks a member that is one of a set of words.
func word[T ~uint8](w *wire, name string, v *T, set words, p presence) {
	if !w.field(name, *v == 0, p) {
		return
	}
	if w.writing {
		if *v == 0 || int(*v) >= len(set) {
			w.fail(errors.New("no word for " + name + " " + strconv.Itoa(int(*v))))
			return
		}
		w.b = append(w.b, '"')
		w.b = append(w.b, set[*v]...)
		w.b = append(w.b, '"')
		return
	}
	inner, _ := w.quoted()
	for i, s := range set {
		if i > 0 && s == string(inner) {
			*v = T(i)
			return
		}
	}
	w.fail(errNotCanonical)
}

// task walks a member that names a task.
func (w *wire) task(name string, v *TaskID, p presence) {
	if w.field(name, *v == 0, p) {
		w.bareTask(v)
	}
}

// bareTask walks "t42".
func (w *wire) bareTask(v *TaskID) {
	w.token('"')
	w.taskNumber(v)
	w.token('"')
}

func (w *wire) taskNumber(v *TaskID) {
	w.token('t')
	positive(w, (*uint32)(v))
}

func positive(w *wire, v *uint32) {
	integer(w, v)
	if *v == 0 {
		w.fail(errors.New("a task or run has number 0"))
	}
}

// run walks an optional member that names a run: "t42.1".
func (w *wire) run(name string, v *RunID) {
	if w.member(name, *v != RunID{}) {
		w.token('"')
		w.taskNumber(&v.Task)
		w.token('.')
		positive(w, &v.N)
		w.token('"')
	}
}

// ulid walks a required member that is an id.
func (w *wire) ulid(name string, v *ULID) {
	if !w.field(name, false, required) {
		return
	}
	if w.writing {
		if v.IsZero() {
			w.fail(errors.New(name + " is zero"))
			return
		}
		w.b = append(w.b, `"00000000000000000000000000"`...)
		w.fail(v.MarshalTextTo(w.b[len(w.b)-27 : len(w.b)-1]))
		return
	}
	inner, _ := w.quoted()
	if w.err == nil && (parseULID(v, inner) != nil || v.IsZero()) {
		w.fail(errNotCanonical)
	}
}

// time walks a member that is an instant.
func (w *wire) time(name string, v *Time, p presence) {
	if !w.field(name, *v == 0, p) {
		return
	}
	if w.writing {
		if *v == 0 || *v < minTime || *v > maxTime {
			w.fail(errors.New(name + " is not a time that can be written: " + strconv.FormatInt(int64(*v), 10)))
			return
		}
		w.b = append(w.b, '"')
		w.b = v.appendTo(w.b)
		w.b = append(w.b, '"')
		return
	}
	inner, _ := w.quoted()
	t, ok := parseTime(inner)
	if !ok || t == 0 {
		w.fail(errNotCanonical)
	}
	*v = t
}

// digest walks an optional member that is a hash.
func (w *wire) digest(name string, v *Digest, p presence) {
	if !w.field(name, *v == Digest{}, p) {
		return
	}
	if w.writing {
		w.b = append(w.b, '"')
		w.b = hex.AppendEncode(w.b, v[:])
		w.b = append(w.b, '"')
		return
	}
	inner, _ := w.quoted()
	if w.err == nil && v.UnmarshalText(inner) != nil {
		w.fail(errNotCanonical)
	}
	w.settle(*v == Digest{}, p)
}
