// Package sshbox runs programs on another machine, under an account there that
// is reached with SSH. It isolates nothing of its own: the program has what the
// account has.
//
// The other machine needs an OpenSSH server that allows stream local
// forwarding, and the same operating system and processor as [Options.Binary].
// Its key must be in the known_hosts file: an unknown or changed key is a
// [*HostKeyError] and never accepted. The key to log in with is a file, or one
// that the user's SSH agent holds.
//
// # What is where
//
// The binary of this program is copied once, under its SHA-256, to
// ~/.cache/hermes of the account, and read back before it is used. Workspace,
// inputs and the program's socket are in a folder of the account's own in
// [Options.Folder].
// Workspace and inputs are sent at the start; workspace and outputs come back
// when the session is closed, as untrusted: bounded in number and size, names
// checked, devices left out, links kept as links and never followed. They travel
// as one archive, because a question and an answer for each file take long over
// a distance. Mounts are not sent: they are paths of the other machine, and must
// exist there. The sockets that the socket folder has at the start are forwarded.
//
// A session of a workspace that another one has there joins it: it sends nothing,
// finds what that one has made so far and its sockets, and brings only the
// outputs back; the last of them to be closed brings the workspace.
//
// # The helper
//
// What runs there first is a second life of this binary, see [Main]. It gets its
// orders through a socket of the account's own, so that neither arguments nor
// environment are in any list of processes but the program's own, and runs the
// program as package localbox does on this machine. It ends the whole tree and
// removes the folder when the session is closed, when the connection ends, or
// when nothing was heard on it for a minute. Kill and Close say that the tree is
// gone when the helper has said so; after a lost connection they connect again
// to ask.
package sshbox
