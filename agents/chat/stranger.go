package chat

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// stranger gives somebody unknown a code, if codes are given.
func (c *Chat) stranger(ctx context.Context, u *Update) {
	if c.Pairs == nil {
		return
	}
	code, err := c.Pairs.Code(u.From.ID, u.From.Name, time.Now())
	if errors.Is(err, ErrTooManyCodes) {
		return
	}
	if err != nil {
		c.Warn(fmt.Errorf("%s: %w", c.platform.Name(), err))
		return
	}
	c.say(ctx, u, Text{{"I do not know you. If somebody here is to let you in, give them this code; it holds for an hour:\n\n", Plain}, {code, Code}})
}

// confirm lets somebody in who was given a code. Only an owner may, in private.
func (c *Chat) confirm(ctx context.Context, u *Update, who Person, argv []string) {
	if who.Role < Owner || !u.Private || c.Pairs == nil {
		c.tell(ctx, u, "Nobody can be let in from here.")
		return
	}
	if len(argv) < 1 || len(argv) > 2 {
		c.tell(ctx, u, "Type /pair CODE, and behind it viewer, member or owner; member if you leave it out.")
		return
	}
	role, err := ParseRole(append(argv, "")[1])
	if err != nil {
		c.tell(ctx, u, err.Error())
		return
	}
	p, err := c.Pairs.Confirm(argv[0], role, who.Name, time.Now())
	switch {
	case errors.Is(err, ErrWrongCode), errors.Is(err, ErrLocked):
		c.tell(ctx, u, err.Error())
		return
	case err != nil:
		c.Warn(fmt.Errorf("%s: %w", c.platform.Name(), err))
		c.tell(ctx, u, sentence(err))
		return
	}
	c.tell(ctx, u, fmt.Sprintf("%s is a %s now.", clean(p.Name, 60), role))
}
