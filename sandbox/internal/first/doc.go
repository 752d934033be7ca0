// Package first is what the first programs of sandboxes have in common: each
// starts the sandbox's program, keeps it company and takes in the orphans that
// the kernel leaves to it. It is small, as they are: most of them take over
// before the rest of their binary is initialised.
package first
