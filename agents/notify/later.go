package notify

import (
	"context"
	"errors"
	"strconv"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// maxLater is how often the reminder of one message can be put off.
const maxLater = 20

// ErrPutOff says that a reminder was put off too often.
var ErrPutOff = errors.New("that was put off often enough")

// Later puts off the reminder of a message: whoever was told is reminded once
// more, as long after this moment as after a message. It is put on record, so it
// holds for whoever has the board by then. The error is ErrPutOff if it was done
// too often. Doing it again under the same key, at most 200 bytes, changes
// nothing.
func Later(ctx context.Context, b Board, told projections.Sent, key string) error {
	info, err := b.Info(ctx)
	if err != nil {
		return err
	}
	r, err := findRounds(ctx, b, info.Board, told.Of, told.To)
	if err != nil {
		return err
	}
	if r.later >= maxLater {
		return ErrPutOff
	}
	_, err = b.Do(ctx, Principal, events.ForeignCommandID(info.Board, "notify.later", key),
		boards.RecordSent{Of: told.Of, Task: told.Task, To: told.To, Message: told.Message, Token: laterToken(info.Board, r.later+1, told.Of, told.To)})
	var no *boards.Rejection
	if errors.As(err, &no) && no.Code == boards.CodeMismatch { // the same tap, which is on record
		return nil
	}
	return err
}

// rounds is how often reminders of a message were put off.
type rounds struct {
	later int
	last  projections.Sent // when it was done last; zero = never
}

// findRounds counts them.
func findRounds(ctx context.Context, b Board, board events.BoardID, of uint64, to events.Destination) (r rounds, err error) {
	for r.later < maxLater {
		a, err := b.FindSent(ctx, api.SentQuery{Token: laterToken(board, r.later+1, of, to)})
		if err != nil || !a.Found {
			return r, err
		}
		r.later, r.last = r.later+1, a.Sent
	}
	return r, nil
}

func laterToken(board events.BoardID, n int, of uint64, to events.Destination) string {
	return Token(board, "later "+strconv.Itoa(n), of, to)
}

// remindToken is that of the reminder after it was put off n times.
func remindToken(board events.BoardID, n int, of uint64, to events.Destination) string {
	if n == 0 {
		return Token(board, "remind", of, to)
	}
	return Token(board, "remind "+strconv.Itoa(n), of, to)
}
