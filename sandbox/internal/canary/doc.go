// Package canary runs a trivial sandbox that tries to get out, and judges
// from the host's side whether its isolation holds.
package canary
