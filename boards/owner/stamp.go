package owner

import (
	"bufio"
	"crypto/rand"
	"io"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// stamper makes records of drafts. One goroutine.
type stamper struct {
	random  io.Reader // buffered: one system call for many salts
	entropy *ulid.MonotonicEntropy
	id      events.ULID // of the last record
	salt    events.Salt // of the last text
	encoder events.Encoder
	last    events.Time // of the last record
	asked   time.Time   // when now was called last, for the monotonic distance
}

func newStamper(last events.Time) *stamper {
	random := bufio.NewReaderSize(rand.Reader, 4<<10)
	return &stamper{random: random, entropy: ulid.Monotonic(random, 0), last: last}
}

// now returns the instant of a command, never before that of an earlier one.
func (s *stamper) now() events.Time {
	t, crept := time.Now(), s.last
	if !s.asked.IsZero() {
		crept = crept.Add(t.Sub(s.asked) / 2)
	}
	s.last, s.asked = max(events.TimeOf(t), crept), t
	return s.last
}

// stamp gives the drafts of a command their places after position head, and
// their bytes.
func (s *stamper) stamp(drafts []events.Draft, by events.Actor, id events.CommandID, head uint64, now events.Time) ([]events.Record, []events.Encoded, error) {
	records := make([]events.Record, len(drafts))
	encoded := make([]events.Encoded, len(drafts))
	if err := s.id.SetTime(uint64(now / 1000)); err != nil {
		return nil, nil, err
	}
	for i := range drafts {
		d, r := &drafts[i], &records[i]
		err := s.entropy.MonotonicRead(s.id.Time(), s.id[6:])
		if err != nil {
			return nil, nil, err
		}
		*r = events.Record{
			Seq: head + 1 + uint64(i), ID: s.id, Time: now,
			Task: d.Task, Run: d.Run, Tenant: d.Tenant,
			Actor: by, Cmd: id, Cause: d.Cause, Data: d.Data,
		}
		if d.After > 0 {
			r.Cause = head + uint64(d.After)
		}
		encoded[i].Task = d.Task
		if d.Text != nil {
			if _, err := io.ReadFull(s.random, s.salt[:]); err != nil {
				return nil, nil, err
			}
			if encoded[i].Text, err = s.encoder.EncodeText(s.salt, d.Text); err != nil {
				return nil, nil, err
			}
			r.Text = events.DigestOf(encoded[i].Text)
		}
		if encoded[i].Record, err = s.encoder.Encode(r); err != nil {
			return nil, nil, err
		}
	}
	return records, encoded, nil
}

// NewCommandID returns a new command id. Safe for concurrent use.
func NewCommandID() events.CommandID { return ulid.MustNew(ulid.Now(), rand.Reader) }

// checkOf sums up a command, to tell a repeat from another command under the
// same id. By which way it came does not count: a repeat may come by another.
func checkOf(by boards.Principal, c boards.Command) (events.Check, error) {
	content, err := boards.EncodeCommand(c)
	if err != nil {
		return events.Check{}, err
	}
	named := append(append(append(make([]byte, 0, len(content)+64), c.CommandName()...), 0), content...)
	named = append(append(named, 0), by.Run.String()...)
	return events.CheckOf(events.Actor{Kind: by.Actor.Kind, Name: by.Actor.Name}, named), nil
}
