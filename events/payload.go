package events

// Payload is what happened, without prose. Each event type is one struct; the
// catalog maps its wire name and version to it. A payload says the outcome
// outright (the status a task went to, the streak reached), so that folding
// needs no rules.
type Payload interface {
	// Type returns the wire name, for example "task.created".
	Type() Type
}

// Type is the wire name of an event type.
type Type string

// Edge is a dependency on a parent.
type Edge struct {
	Parent TaskID `json:"parent"`
	Needs  Needs  `json:"needs"`
}

// Artifact is a stored file, named by its content. Its name is in the text.
type Artifact struct {
	SHA256 Digest `json:"sha256"`
	Size   int64  `json:"size"`
}

// Workspace is where a task's runs work.
type Workspace struct {
	Kind   WorkspaceKind `json:"kind"`
	Path   string        `json:"path,omitzero"`   // dir, repo: absolute host path
	Base   string        `json:"base,omitzero"`   // repo: the commit or branch to start from
	Branch string        `json:"branch,omitzero"` // repo: the branch to hand back
}
