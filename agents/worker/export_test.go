package worker

import "time"

// SetBodyTime changes how long a peer may take, until restore is called. No
// server may be serving.
func SetBodyTime(d time.Duration) (restore func()) {
	before := bodyTime
	bodyTime = d
	return func() { bodyTime = before }
}
