package dockerbox

import "fmt"

// EngineError says why an engine cannot be used, and what to do about it.
type EngineError struct {
	Engine  Engine
	Address string // where it was looked for
	Reason  string
	Hint    string // what to do; may be empty
	Err     error  // what the engine or the kernel said; may be nil
}

// Error has all of it in one sentence.
func (e *EngineError) Error() string {
	msg := fmt.Sprintf("%s at %s: %s", e.Engine, e.Address, e.Reason)
	if e.Err != nil {
		msg += fmt.Sprintf(" (%v)", e.Err)
	}
	if e.Hint != "" {
		msg += "; " + e.Hint
	}
	return msg
}

// Unwrap returns what the engine or the kernel said.
func (e *EngineError) Unwrap() error { return e.Err }

// ImageError says that an image is not on this host. Nothing is ever pulled.
type ImageError struct {
	Engine Engine
	Image  string
	Reason string
}

// Error names the command that gets the image.
func (e *ImageError) Error() string {
	return fmt.Sprintf("image %s: %s; get it with: %s pull %s", e.Image, e.Reason, e.Engine, e.Image)
}
