package owner

import (
	"context"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/projections"
)

// Notices implements [api.Board].
func (o *Owner) Notices(context.Context) (n api.Notices, err error) {
	o.View(func(v *projections.View) {
		n = api.Notices{Subscriptions: v.Subscriptions(), Dead: v.DeadLetters(), Head: v.Head()}
	})
	return n, nil
}

// FindSent implements [api.Board].
func (o *Owner) FindSent(_ context.Context, q api.SentQuery) (a api.SentAnswer, err error) {
	o.View(func(v *projections.View) { a = q.Find(v) })
	return a, nil
}
