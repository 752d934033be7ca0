package chat

import "errors"

// Person is somebody who may use a chat.
type Person struct {
	ID   string // as the platform names them
	Name string // for the record; empty = what the platform calls them
	Role Role
	Chat string // where they are heard; empty = in private
}

// ErrNobody says that nobody is allowed, so that nothing is started.
var ErrNobody = errors.New("nobody is on the chat's allow-list")

// standing is who somebody is in the chat an update comes from.
func standing(people []Person, u *Update) Person {
	who := Person{ID: u.From.ID}
	for _, p := range people {
		here := p.Chat == u.Chat.Chat || p.Chat == "" && u.Private
		if p.ID == u.From.ID && p.ID != "" && here && p.Role > who.Role {
			who = p
		}
	}
	if who.Name == "" {
		who.Name = u.From.Name
	}
	if who.Name = clean(who.Name, 60); who.Name == "" {
		who.Name = clean(who.ID, 60)
	}
	return who
}
