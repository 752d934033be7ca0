package runtime

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// Conversation is what is remembered of an agent's conversation about a task.
type Conversation struct {
	Kind    string `json:"kind"`    // of the runtime
	Version string `json:"version"` // of its program
	ID      string `json:"id"`
}

// NewConversation is the id of the conversation that an attempt begins: a UUID
// made of the names of board, agent and run. A later attempt that begins anew
// gets another.
func NewConversation(board, agent, run string) string {
	h := sha256.Sum256([]byte("conversation\x00" + board + "\x00" + agent + "\x00" + run))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80 // version 8, the variant of RFC 9562
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// ConversationFile is where the conversation of an agent about a task is
// remembered: beside its state folder, which it can write to.
func ConversationFile(state string) string { return filepath.Clean(state) + ".conversation" }

// idRule is for what becomes an argument and part of a path: ids of all the
// programs fit it.
var idRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{7,63}$`)

// Remember writes down a conversation; one without a usable id is forgotten.
func Remember(state string, c Conversation) error {
	file := ConversationFile(state)
	if !idRule.MatchString(c.ID) {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// Resumable is the id of the conversation that an attempt can go on with;
// empty if there is none, if another program or version had it, or if its files
// are gone.
func Resumable(a Adapter, state, version string) string {
	b, err := os.ReadFile(ConversationFile(state))
	if err != nil {
		return ""
	}
	var c Conversation
	if json.Unmarshal(b, &c) != nil || c.Kind != a.Kind() || c.Version != version || !idRule.MatchString(c.ID) {
		return ""
	}
	root, err := os.OpenRoot(state) // nothing outside is looked at, whatever the agent linked
	if err != nil {
		return ""
	}
	defer root.Close()
	if !a.Kept(root.FS(), c.ID) {
		return ""
	}
	return c.ID
}

// isFile reports whether there is something like a file of a conversation.
func isFile(fsys fs.FS, name string) bool {
	info, err := fs.Stat(fsys, name)
	return err == nil && info.Mode().IsRegular() && info.Size() > 0
}

// anyFile reports whether a pattern has a file.
func anyFile(fsys fs.FS, pattern string) bool {
	names, err := fs.Glob(fsys, pattern)
	if err != nil {
		return false
	}
	for _, name := range names {
		if isFile(fsys, name) {
			return true
		}
	}
	return false
}
