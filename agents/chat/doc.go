// Package chat lets people work with boards from a chat.
//
// A [Platform] is a small driver: it receives updates and sends messages. What
// an update means is decided here, the same for every platform, in pure
// functions ([Decide], [Split], [Table]); carrying it out is the business of a
// [Chat].
//
// # Who may do what
//
// Only people on the allow-list are heard, and each only where the list says:
// in private, or in the chat that is named. A role says what they may do. What
// a forwarded, edited or anonymous message says is nobody's word. Whoever is
// not on the list gets no answer, except that in private they may be given a
// pairing code, which an owner confirms.
//
// A command runs through [Exec], which is the program's own command tree: as the
// person in the chat, on one board that is fixed beforehand, without files, a
// terminal or standard input. [Table] lists the verbs and flags that exist in
// chat, and the board that a command gets is a [Seat]: it lets through the
// commands that a person in a chat may give and shows one tenant where the
// route has one.
//
// # What is promised
//
// An update is carried out once, however often it comes: its command's id is
// made of board, platform and update. A driver lets go of an update when it was
// handled, so one that was under way in a crash comes again, finds its command
// carried out, and is answered. An answer is sent twice only where the platform's
// reply was lost, once at most, and then says so.
//
// A reply to a message about a task answers it, and so do the buttons below the
// message: see [Settle].
package chat
